"""The page as text: every section, escaping, what is missing, and what is never mixed."""

import json
import re
import time

import pytest

from analysis.__main__ import main
from analysis.report import page as page_of_runs
from analysis.report.animations import pictures
from analysis.report.charts import charts
from analysis.report.groups import groups
from analysis.report.inventory import inventory
from analysis.report.overview import overview
from analysis.report.page import write_report
from analysis.report.sections import paper_tables
from analysis.runs import load_runs
from tests.analysis.synthetic import make_run, make_runs


@pytest.fixture
def written(tmp_path):
    """Write the page of the runs in the test's folder and return it as text."""

    def write() -> str:
        assert main(["report", "--runs", str(tmp_path), "--out", str(tmp_path / "out" / "report.html")]) == 0
        return (tmp_path / "out" / "report.html").read_text()

    return write


def test_a_single_run_gives_all_sections_and_says_what_to_type_for_the_rest(write_evaluations, tmp_path, written):
    write_evaluations(tmp_path, [0.0, 0.5], budget="smoke")
    text = written()
    headings = re.findall(r'id="(\w+)">', text)
    wanted = ["overview", "claims", "tables", "curves", "games", "trajectories", "hyperparameters", "runs", "pictures"]
    assert [name for name in headings if name in wanted] == wanted
    assert "This run is a smoke run" in text
    for command in (
        "+experiment=table1",
        "+experiment=table2",
        "+experiment=figure4",
        "+experiment=figure1",
        "mode=render",
    ):
        assert f"python run.py {'' if command.startswith('mode') else '-m '}{command}" in text


def test_a_run_without_a_row_is_listed_and_nothing_else_is_drawn(write_evaluations, tmp_path, written):
    write_evaluations(tmp_path, [], total=100, done=False, exit_code=1)
    text = written()
    assert "No run has data yet" in text
    assert "Nothing has been evaluated yet" in text
    assert "no data" in text


def test_episodes_of_the_multi_goal_game_are_drawn_and_counted(write_paths, tmp_path, written):
    write_paths(tmp_path, "central", [[(4, 0), (5, 0)], [(0, 4), (0, 5)]])
    text = written()
    assert 'src="data:image/png;base64,iVBORw0KGgo' in text
    assert re.search(r"<th scope=.row.>CENTRAL</th>\s*<td class=.number.>0</td>\s*<td class=.number.>2</td>", text)
    assert "Sampled (not greedy) episodes of the final behaviour policy, 2 for each run" in text


def test_names_of_runs_and_files_cannot_become_markup(write_evaluations, tmp_path, written):
    evil = "<img src=x onerror=alert(1)>"
    write_evaluations(
        tmp_path,
        [0.5, 0.5],
        extra={"env": "smac", "map": evil, "version": "</script><b>", "config": {"budget": {"eval_interval": 100}}},
    )
    text = written()
    assert evil not in text
    assert "&lt;img src=x" in text
    assert "</script><b>" not in text


def test_nothing_is_loaded_from_elsewhere(page):
    text = page.read_text()
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text)
    assert "default-src 'none'" in text


def test_the_curves_hold_means_and_bands_and_name_what_is_not_in_them(write_evaluations, tmp_path, written):
    for seed, last in enumerate((3.0, 3.0, float("nan"))):
        write_evaluations(tmp_path, [0.0, 1.0 + seed, last], env="mpe", map="line_control", seed=seed)
    write_evaluations(tmp_path, [0.0, float("nan")], env="mpe", map="simple_spread", total=200)
    text = written()
    data = json.loads(re.search(r'id="curve-data">(.*?)</script>', text, re.S).group(1))
    chart, nothing = data["charts"]
    (line,) = chart["lines"]
    assert line["steps"] == [0, 100, 200]
    assert line["mean"] == [0.0, 1.5, 3.0]
    assert line["spread"] == [0.0, 0.5, 0.0]  # population standard deviation, unsmoothed outside SMAC
    assert line["seeds"] == [2, 2, 2]
    assert nothing["lines"] == []
    assert "Left out: QMIX seed 2 (diverged)." in text
    assert "Runs are not shown: no run of simple_spread is whole: QMIX seed 0 (diverged)." in text


def test_smac_is_smoothed_with_half_a_deviation_on_each_side(write_evaluations, tmp_path, written):
    write_evaluations(tmp_path, [0.0, 1.0], seed=0)
    write_evaluations(tmp_path, [0.0, 0.0], seed=1)
    data = json.loads(re.search(r'id="curve-data">(.*?)</script>', written(), re.S).group(1))
    (line,) = data["charts"][0]["lines"]
    assert line["mean"] == [0.0, 0.25]
    assert line["spread"] == [0.0, 0.125]


def test_budgets_backends_lengths_and_configurations_are_never_in_one_line(write_evaluations, tmp_path):
    write_evaluations(tmp_path, [0.1, 0.1])
    write_evaluations(tmp_path, [0.2, 0.2], seed=1, budget="laptop", config_hash="00000001")
    write_evaluations(tmp_path, [0.3, 0.3], seed=2, backend="starcraft", config_hash="00000002")
    write_evaluations(tmp_path, [0.4, 0.4, 0.4], seed=3, config_hash="00000003")
    write_evaluations(tmp_path, [0.5, 0.5], seed=4, config_hash="00000004")
    drawn = charts(groups(load_runs(tmp_path)))
    assert len(drawn) == 4
    lines = [line for chart in drawn for line in chart.lines]
    assert sorted(line.points["mean"].iloc[0] for line in lines) == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert {line.method for line in drawn[1].lines} | {line.method for line in drawn[0].lines} >= {"QMIX (ab12cd34)"}


def test_long_curves_are_thinned_and_keep_their_last_point(write_evaluations, tmp_path):
    write_evaluations(tmp_path, [k / 500 for k in range(501)], env="mpe", map="line_control")
    (chart,) = charts(groups(load_runs(tmp_path)))
    assert chart.thinned == 3
    assert len(chart.lines[0].points) <= 200
    assert chart.lines[0].points["env_step"].iloc[-1] == 50_000
    assert chart.table().index[-1] == 50_000


def test_a_table_shows_no_runs_of_two_configurations_and_says_what_to_type(write_evaluations, tmp_path, written):
    write_evaluations(tmp_path, [0.1, 0.1])
    write_evaluations(tmp_path, [0.4, 0.4], seed=1, config_hash="00000004")
    text = written()
    assert "Runs are not shown: qmix on MMM2 was run in 2 configurations" in text
    assert "--exclude qmix-smac-MMM2-00000004" in text


def test_the_head_warns_of_what_spoils_a_result(write_evaluations, tmp_path, written):
    write_evaluations(tmp_path, [0.1, float("nan")])
    write_evaluations(tmp_path, [0.1, 0.2], seed=1, extra={"env": "smac", "config": {}})
    text = written()
    assert "1 run of smac with 100 env steps instead of the 2,050,000 of the paper budget" in text
    assert "NaN or infinite values: 1 run." in text
    assert "Left out: QMIX seed 0 (diverged); QMIX seed 1 (no data)." in text
    assert "Values of 1 run are left out" in text
    assert "does not say config.budget.eval_interval" in text


def test_the_inventory_knows_wall_time_versions_and_who_was_killed(write_evaluations, tmp_path):
    settings = {"budget": {"eval_interval": 100}}
    write_evaluations(
        tmp_path,
        [0.1, 0.2],
        done=False,
        exit_code=1,
        total=900,
        extra={"env": "smac", "run_key": "qmix-smac-MMM2-ab12cd34-s0", "config": settings, "game": "4.10"},
    )
    folder = tmp_path / "smac" / "MMM2" / "qmix" / "ab12cd34" / "seed=0"
    folder.mkdir(parents=True)
    (folder / "status.json").write_text(json.dumps({"state": "failed"}))
    (line,) = inventory(load_runs(tmp_path), tmp_path).to_dict("records")
    assert line["state"] == "failed"
    assert line["wall seconds"] == 100.0
    assert line["versions"] == "game 4.10"
    assert (line["env steps"], line["of"]) == (100, 900)


def test_the_head_says_how_far_a_sweep_is_and_when_it_will_be_done(write_evaluations, tmp_path):
    write_evaluations(tmp_path, [0.1, 0.2])
    runs = load_runs(tmp_path)
    assert overview(runs, [], [], tmp_path)["progress"] == ""
    now = {"state": "running", "env_step": 250, "total_env_steps": 1000, "steps_per_second": 5}
    now |= {"host": "far", "updated": time.time()}
    for seed in range(2):
        folder = tmp_path / "smac" / "MMM2" / "qmix" / "ab12cd34" / f"seed={seed}"
        folder.mkdir(parents=True)
        (folder / "status.json").write_text(json.dumps(now))
    assert overview(runs, [], [], tmp_path)["progress"] == (
        "Of 2 runs, begun or planned: 25% done, about 2:30 left with 2 at once."
    )


def test_a_table_comes_with_statistics_over_maps_and_losses_are_means_of_all_seeds(tmp_path):
    runs = []
    for seed in range(3):
        for algo, score in (("macpf", 0.9), ("qmix", 0.5)):
            frame, line = make_run([score] * 3, algo, "MMM2", seed, extra={"train/loss/td": float(seed)})
            runs.append((frame, line))
    parted = groups(make_runs(*runs))
    table = next(table for table in paper_tables(parted) if table["name"] == "table2")
    statistics = table["statistics"].set_index("method")
    assert statistics.loc["MACPF", "IQM"] == "0.900 [0.900, 0.900]"
    assert statistics.loc["QMIX", "P(MACPF better)"] == "1.000 [1.000, 1.000]"
    (chart,) = charts(parted)
    (loss,) = chart.training["loss td"]["QMIX"].to_dict("records")
    assert (loss["env_step"], loss["mean"], loss["seeds"]) == (200, 1.0, 3)
    assert chart.lines[0].single.columns.tolist() == [0, 1, 2]


def test_pictures_over_the_limit_are_named_instead(tmp_path):
    folder = tmp_path / "smac" / "3m" / "qmix" / "ab12cd34" / "seed=2"
    folder.mkdir(parents=True)
    (folder / "battle.gif").write_bytes(b"x" * 10)
    (folder / "battle_greedy_8m_seed3.gif").write_bytes(b"x" * 4)
    (tmp_path / "random_3m_seed3.gif").write_bytes(b"x" * 4)
    (tmp_path / "random_8m.gif").write_bytes(b"x" * 30)
    shown, left_out = pictures([tmp_path], limit=20)
    assert {picture.alt for picture in shown} == {
        "One episode on 3m (smac), played by qmix, seed 2",
        "One episode on 3m (smac), played by qmix, seed 2 (greedy_8m_seed3)",
        "One episode on 3m, played by a random team (seed 3)",
    }
    assert left_out == ["random_8m.gif"]


def test_what_cannot_be_done_is_said_in_one_line(write_evaluations, tmp_path, capsys):
    write_evaluations(tmp_path, [0.1, 0.2])
    for arguments, says in ((["--exclude", "qmix"], "--exclude"), (["--pictures", "nowhere"], "--pictures")):
        assert main(["report", "--runs", str(tmp_path), *arguments]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert says in line


def test_a_file_that_cannot_be_written_is_said_in_one_line(write_evaluations, tmp_path, capsys, monkeypatch):
    write_evaluations(tmp_path / "runs", [0.1, 0.2])
    monkeypatch.setattr(page_of_runs, "gather", lambda *_: {})
    monkeypatch.setattr(page_of_runs, "render", lambda _: "")
    (tmp_path / "folder").mkdir()
    for out, why in ((f"{tmp_path}/folder", "it is a folder"), ("/proc/r.html", "No such file or directory")):
        assert main(["report", "--runs", str(tmp_path / "runs"), "--out", out]) == 2
        line = f"analysis: cannot write {out}: {why}; --out wants a file, e.g. --out report.html\n"
        assert capsys.readouterr().err == line
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "folder"}


def test_the_page_does_not_need_a_folder(write_evaluations, tmp_path):
    write_evaluations(tmp_path, [0.1, 0.2])
    assert write_report(load_runs(tmp_path), tmp_path / "report.html") > 50_000
