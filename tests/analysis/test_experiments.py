"""Tables and curves over many maps: final values, bold numbers, ragged steps, and what may not be mixed."""

from dataclasses import replace

import numpy as np
import pytest

from analysis import paper, style
from analysis.__main__ import main
from analysis.beside_paper import cells, write_table
from analysis.evidence import Experiment
from analysis.figures.learning_curves import cell_curve, curve_table, draw, write_curves
from analysis.runs import load_runs
from analysis.selection import find
from tests.analysis.synthetic import numbered

SETTINGS = {"map": {}, "budget": {"eval_interval": 100, "eval_episodes": 32}}


@pytest.fixture
def write_smac(write_run, tmp_path):
    """Write a run on a SMAC map whose evaluations come a few steps late, as episodes end where they end."""

    def write(wins, algo="qmix", map="MMM", seed=0, late=7, lost=None, **changes):
        rows = [{"env_step": 100 * k + (late * k) % 50, "eval/independent/win_rate": win} for k, win in enumerate(wins)]
        if lost is not None:
            rows = numbered(rows)
            del rows[lost]
            changes |= {"evaluations": len(wins)}
        extra = {"env": "smac", "config": SETTINGS, **changes.pop("extra", {})}
        options = {"backend": "embedded", "total": 100 * (len(wins) - 1)} | changes
        return write_run(tmp_path, rows, algo=algo, map=map, seed=seed, extra=extra, **options)

    return write


def test_the_papers_rule_gives_the_papers_counts():
    """16, 7, 8, 9 and 5 of the 18 maps (section 5.2)."""
    table = paper.table("table2")
    assert table["map"].nunique() == 18
    counts = table[paper.marks(table)].groupby("algo").size().to_dict()
    assert counts == {"macpf": 16, "qmix": 7, "qplex": 8, "mappo": 9, "fop": 5}


def test_a_final_value_is_the_mean_of_the_last_five_evaluations(write_smac, tmp_path):
    write_smac([0, 0, 0, 0.1, 0.2, 0.3, 0.4, 0.5])
    write_smac([1.0] * 8, seed=1, late=13)
    found = find(load_runs(tmp_path), Experiment("table2", "smac", ("MMM",), ("qmix",), (0, 1)))
    assert sorted(found.final("MMM", "qmix")) == pytest.approx([0.3, 1.0])
    (line,) = cells(found).to_dict("records")
    assert line["seeds"] == 2
    assert line["mean"] == pytest.approx(0.65)
    assert line["std"] == pytest.approx(0.35)
    assert line["paper_mean"] == 0.984
    error = np.sqrt(0.35**2 / 1 + line["paper_std"] ** 2 / 4)
    assert line["gap_in_errors"] == pytest.approx((0.65 - 0.984) / error)
    half = 12.706 * 0.35  # Student's t of one degree of freedom times the standard error
    assert [line["low"], line["high"]] == pytest.approx([0.65 - half, 0.65 + half], abs=1e-3)
    assert line["verdict"] == "not told apart"


@pytest.mark.parametrize(
    ("finals", "verdict", "shown"),
    [
        ([0.90], "a single run", "0.900 ± 0.000, n=1"),
        ([0.10, 0.11, 0.12], "below the paper's", "0.110 ± 0.008, n=3"),
        ([1.0, 1.0, 1.0, 1.0, 1.0], "above the paper's", "1.000 ± 0.000"),
        ([0.984, 0.984, 0.984], "not told apart", "0.984 ± 0.000, n=3"),
        ([], "", "–"),
    ],
)
def test_each_cell_has_an_interval_and_a_verdict_and_a_single_run_has_neither(
    write_smac, tmp_path, finals, verdict, shown
):
    write_smac([0.5] * 6, algo="fop")
    for seed, final in enumerate(finals):
        write_smac([final] * 6, seed=seed)
    plan = Experiment("table2", "smac", ("MMM",), ("qmix", "fop"), (0, 1, 2, 3, 4))
    found = find(load_runs(tmp_path), plan)
    line = cells(found).set_index("algo").loc["qmix"]
    assert line["verdict"] == verdict
    assert np.isnan(line["low"]) == np.isnan(line["high"]) == (len(finals) < 2)
    write_table(found, tmp_path)
    page = (tmp_path / "table2.md").read_text()
    assert shown in page.replace("*", "")
    assert page.count("| QMIX ") == 1 + bool(finals)  # the head, and a row below it


def test_equal_runs_have_no_interval_and_another_budget_is_named(write_smac, tmp_path):
    for seed in (0, 1):
        write_smac([0.0] * 6, seed=seed, budget="laptop")
    found = find(load_runs(tmp_path), Experiment("table2", "smac", ("MMM",), ("qmix",), (0, 1, 2)))
    assert cells(found)["verdict"].tolist() == ["two equal runs (budget laptop)"]
    write_table(found, tmp_path)
    page = (tmp_path / "table2.md").read_text()
    assert "[0.000, 0.000]" not in page
    assert "Brackets: the paper's mean." in page


def test_a_mean_of_fewer_evaluations_says_so(write_smac, tmp_path):
    for evaluations, said in ((5, "of the last 5 evaluations."), (3, "evaluations, or of all, where there are fewer.")):
        write_smac([0.5] * evaluations, seed=evaluations)
        plan = Experiment("table2", "smac", ("MMM",), ("qmix",), (3, 5))
        write_table(find(load_runs(tmp_path).without([f"-s{8 - evaluations}"] * (evaluations == 3)), plan), tmp_path)
        assert said in (tmp_path / "table2.md").read_text()


def test_without_a_plan_a_single_run_is_not_bold_and_seeds_are_counted(write_smac, tmp_path):
    write_smac([0.9] * 6)
    for seed in (0, 1):
        write_smac([0.5] * 6, algo="fop", seed=seed)
    plan = Experiment("table", "smac", ("MMM",), ("qmix", "fop"), (0, 1), of_runs=True)
    for seeds, bold in (((0, 1), {"qmix": False, "fop": True}), ((0,), {"qmix": False, "fop": True})):
        found = find(load_runs(tmp_path), replace(plan, seeds=seeds))
        assert cells(found).set_index("algo")["bold"].to_dict() == bold
        write_table(found, tmp_path)
        page = (tmp_path / "table.md").read_text()
        assert "0.900 ± 0.000, n=1" in page
        assert "**0.500 ± 0.000**, n=2" in page


def test_curves_say_of_how_many_seeds_they_are_and_empty_panels_have_no_axis(write_smac, tmp_path):
    for seed in (0, 1):
        write_smac([0.5] * 6, seed=seed)
    write_smac([0.5] * 6, algo="fop")
    found = find(load_runs(tmp_path), Experiment("figure5", "smac", ("MMM", "8m"), ("qmix", "fop"), (0, 1)))
    write_curves(found, tmp_path, ("independent",), caption=False)
    assert "Seeds of each map: QMIX 0 to 2, FOP 0 to 1." in (tmp_path / "figure5.txt").read_text()
    empty = draw(found, ("independent",), "").axes[1]
    assert empty.get_title() == "8m"
    assert len(empty.get_xticks()) == len(empty.get_yticks()) == 0


def test_curves_are_smoothed_over_five_and_meet_at_the_evaluation_grid(write_smac, tmp_path):
    write_smac([0, 1, 1, 1, 1, 1, 1])
    write_smac([0, 0, 0, 0, 0, 0, 1], seed=1, late=23)
    found = find(load_runs(tmp_path), Experiment("figure5", "smac", ("MMM", "8m"), ("qmix",), (0, 1)))
    table = curve_table(found, ("independent",))
    assert table["env_step"].tolist() == [0, 100, 200, 300, 400, 500, 600]
    one, other = [0, 1 / 2, 2 / 3, 3 / 4, 4 / 5, 1, 1], [0, 0, 0, 0, 0, 0, 1 / 5]
    np.testing.assert_allclose(table["mean"], np.mean([one, other], axis=0))
    np.testing.assert_allclose(table["std"], np.std([one, other], axis=0))
    assert (table["seeds"] == 2).all()


def test_a_run_that_diverged_is_no_score_and_is_named(write_smac, tmp_path):
    write_smac([0.5, 0.5, float("nan")])
    write_smac([0.5, 0.5, 0.5], algo="fop")
    for runs in (load_runs(tmp_path), load_runs(tmp_path).with_incomplete()):
        found = find(runs, Experiment("table2", "smac", ("MMM",), ("qmix", "fop"), (0,)))
        table = cells(found).set_index("algo")
        assert table["seeds"].to_dict() == {"qmix": 0, "fop": 1}
        assert np.isnan(table.loc["qmix", "mean"])
        assert table["bold"].to_dict() == {"qmix": False, "fop": True}
        assert table["not_whole"].to_dict() == {"qmix": "seed 0: diverged", "fop": ""}
        assert "Left out: QMIX seed 0 (diverged)." in found.caption()
        curves = curve_table(found, ("independent",)).set_index("method")
        assert list(curves.index) == ["FOP"] * 3


def test_unfinished_runs_count_only_on_request(write_smac, tmp_path):
    write_smac([0.1] * 6)
    write_smac([0.9] * 3, seed=1, done=False, total=500)
    write_smac([0.7] * 3, algo="fop", done=False, total=500)
    runs, experiment = load_runs(tmp_path), Experiment("table2", "smac", ("MMM",), ("qmix", "fop"), (0, 1))
    found = find(runs, experiment)
    assert found.final("MMM", "qmix").tolist() == pytest.approx([0.1])
    assert found.final("MMM", "fop").empty
    missing = "Missing: FOP on MMM; QMIX on MMM (seed 1)"
    named = "FOP seed 0 (crashed at 214 of 500 env steps); QMIX seed 1 (crashed at 214 of 500 env steps)"
    named = named.replace("crashed", "short")
    assert f"1 of 4 planned runs are finished. {missing}. Left out: {named}." in found.caption()
    assert "Greedy evaluation, 32 episodes every 100 env steps" in found.caption()
    assert not cells(found)["bold"].any()  # neither has all its seeds
    asked = find(runs.with_incomplete(), experiment)
    assert asked.final("MMM", "qmix").tolist() == pytest.approx([0.1, 0.9])
    assert asked.final("MMM", "fop").tolist() == pytest.approx([0.7])
    assert (
        f"1 of 4 planned runs are finished. {missing}. Not whole, but counted on request: {named}." in asked.caption()
    )
    assert not cells(asked)["bold"].any()  # nor is a cell whole that has an unfinished run
    write_table(asked, tmp_path / "out")
    page = (tmp_path / "out" / "table2.md").read_text()
    assert "0.500 ± 0.400, n=2, unfinished (" in page
    assert "0.700 ± 0.000, n=1, unfinished (" in page


def test_one_lucky_run_takes_the_bold_from_nobody(write_smac, tmp_path):
    for seed in (0, 1):
        write_smac([0.5] * 6, seed=seed)
    write_smac([0.9] * 6, algo="fop")
    found = find(load_runs(tmp_path), Experiment("table2", "smac", ("MMM",), ("qmix", "fop"), (0, 1)))
    assert cells(found).set_index("algo")["bold"].to_dict() == {"qmix": True, "fop": False}


def test_a_run_without_scores_does_not_count_as_finished(write_run, write_smac, tmp_path):
    write_smac([0.5] * 6)
    rows = [{"env_step": 100 * k, "train/loss": 1.0} for k in range(6)]
    extra = {"env": "smac", "config": SETTINGS}
    write_run(tmp_path, rows, algo="qmix", map="MMM", seed=1, extra=extra, backend="embedded", total=500)
    found = find(load_runs(tmp_path), Experiment("table2", "smac", ("MMM",), ("qmix",), (0, 1)))
    assert "1 of 2 planned runs are finished. Missing: QMIX on MMM (seed 1)." in found.caption()


def test_a_lost_evaluation_shows_in_the_number_of_seeds_where_the_run_counts(write_smac, tmp_path):
    write_smac([0.5, 0.5, 0.5, 0.5], lost=2)
    write_smac([0.1] * 4, seed=1)
    runs, experiment = load_runs(tmp_path), Experiment("figure5", "smac", ("MMM",), ("qmix",), (0, 1))
    table = curve_table(find(runs, experiment), ("independent",))
    np.testing.assert_allclose(table["mean"], 0.1)
    assert table["seeds"].tolist() == [1, 1, 1, 1]
    table = curve_table(find(runs.with_incomplete(), experiment), ("independent",))
    np.testing.assert_allclose(table["mean"], [0.3, 0.3, np.nan, 0.3])  # no mean of those that are left
    assert table["seeds"].tolist() == [2, 2, 1, 2]
    assert set(table["of"]) == {2}
    assert set(table["not_whole"]) == {"seed 0: incomplete, 3 of 4 evaluations (counted)"}


def test_a_curve_ends_with_its_first_seed_and_the_others_go_on_thin(write_smac, tmp_path):
    """Five runs that crashed one after the other: the mean of those that are left would climb."""
    for seed in range(5):
        write_smac([0.2 * seed] * (2 * seed + 3), seed=seed, done=False, total=1000)
    found = find(load_runs(tmp_path).with_incomplete(), Experiment("x", "smac", ("MMM",), ("qmix",), tuple(range(5))))
    table = curve_table(found, ("independent",))
    np.testing.assert_allclose(table["mean"].dropna(), [0.4] * 3)
    assert table["seeds"].tolist() == [5, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1]
    beyond = cell_curve(found, "MMM", "qmix", "independent").beyond
    assert beyond.index.tolist() == list(range(200, 1100, 100))
    (axes,) = (a for a in draw(found, ("independent",), "").axes if a.get_title() == "MMM")
    assert len(axes.lines[0].get_xdata()) == 11  # the mean, NaN from the fourth on
    assert len(axes.lines) == 6
    assert [text.get_text() for text in axes.texts] == ["1 of 5"]


def test_ablations_and_variants_are_told_from_what_they_vary():
    macpf, control = style.lines(["MACPF", style.label("macpf_control")]).values()
    assert style.label("macpf_control") == "MACPF_CONTROL"
    assert (macpf.color, macpf.style) != (control.color, control.style)
    looks = style.lines(["MACPF", "MACPF (tempered)", "VDN", "CENTRAL", "MACPF_ATT", "MACPF_NONLINEAR"]).values()
    assert len({(line.color, line.style) for line in looks}) == 6
    assert style.lines(["MACPF (tempered)"])["MACPF (tempered)"] == macpf


def test_excluding_seed_1_keeps_seed_10(write_smac, tmp_path):
    for seed in (1, 10):
        write_smac([0.5] * 2, seed=seed)
    left = load_runs(tmp_path).without(["ab12cd34-s1"])
    assert left.report["seed"].tolist() == [10]
    assert set(left.configs) == set(left.frame["run"]) == set(left.report["run"])
    assert (
        "Left out on request: ab12cd34-s1" in find(left, Experiment("x", "smac", ("MMM",), ("qmix",), (0,))).caption()
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"budget": "smoke"}, "--budget paper"),
        ({"backend": "starcraft"}, "--backend embedded"),
        ({"config_hash": "ffff0000"}, "2 configurations"),
        ({"total": 900}, "differ in env steps"),
        ({"extra": {"config": {**SETTINGS, "env": {"make": {"reward_sparse": True}}}}}, "different games"),
        ({"extra": {"game_build": "75689"}}, "different games"),
    ],
)
def test_what_may_not_be_mixed_is_refused_in_one_line(write_smac, tmp_path, capsys, changes, says):
    write_smac([0.1] * 6)
    write_smac([0.1] * 6, seed=1, **changes)
    assert main(["table2", "--runs", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line


def test_smoke_runs_are_never_bold(write_smac, tmp_path):
    write_smac([0.5] * 6, budget="smoke")
    found = find(load_runs(tmp_path), Experiment("table2", "smac", ("MMM",), ("qmix",), (0,)))
    assert not cells(found)["bold"].any()
    assert "SMOKE RUN" in found.caption()


@pytest.mark.parametrize("name", ["figure5", "figure6", "figure7", "figure8", "figure9", "table2"])
def test_every_figure_and_table_is_written_however_few_runs_there_are(write_smac, tmp_path, name):
    for algo in ("macpf", "macpf_control", "macpf_att"):
        for map_ in ("MMM2", "8m"):
            write_smac([0.1, 0.2, 0.3], algo=algo, map=map_)
    out = tmp_path / "out"
    assert main([name, "--runs", str(tmp_path), "--out", str(out)]) == 0
    suffixes = ("csv", "md", "tex") if name == "table2" else ("pdf", "png", "csv")
    assert all((out / f"{name}.{suffix}").stat().st_size > 100 for suffix in suffixes)


def test_no_runs_at_all_say_what_to_type(write_smac, tmp_path, capsys):
    write_smac([0.1] * 3, map="3m")
    assert main(["figure5", "--runs", str(tmp_path)]) == 2
    assert "python run.py -m +experiment=figure5" in capsys.readouterr().err
