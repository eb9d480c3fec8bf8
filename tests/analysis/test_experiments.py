"""Tables and curves over many maps: final values, bold numbers, ragged steps, and what may not be mixed."""

import numpy as np
import pandas as pd
import pytest

from analysis import paper
from analysis.__main__ import main
from analysis.experiments import Experiment, find
from analysis.figures.curves import curve_table
from analysis.runs import load_runs
from analysis.tables.beside_paper import cells

SETTINGS = {"map": {}, "budget": {"eval_interval": 100, "eval_episodes": 32}}


@pytest.fixture
def write_smac(write_run, tmp_path):
    """Write a run on a SMAC map whose evaluations come a few steps late, as episodes end where they end."""

    def write(wins, algo="qmix", map="MMM", seed=0, late=7, **changes):
        rows = [{"env_step": 100 * k + (late * k) % 50, "eval/independent/win_rate": win} for k, win in enumerate(wins)]
        extra = {"env": "smac", "config": SETTINGS, **changes.pop("extra", {})}
        options = {"backend": "embedded", "total": rows[-1]["env_step"]} | changes
        return write_run(tmp_path, rows, algo=algo, map=map, seed=seed, extra=extra, **options)

    return write


def test_the_papers_rule_gives_the_papers_counts():
    """16, 7, 8, 9 and 5 of the 18 maps (section 5.2)."""
    table = paper.table("table2")
    assert table["map"].nunique() == 18
    marked = pd.concat([paper.bold(part["mean"], part["std"]) for _, part in table.groupby("map")])
    counts = table[marked.sort_index()].groupby("algo").size().to_dict()
    assert counts == {"macpf": 16, "qmix": 7, "qplex": 8, "mappo": 9, "fop": 5}


def test_a_final_value_is_the_mean_of_the_last_five_evaluations(write_smac, tmp_path):
    write_smac([0, 0, 0, 0.1, 0.2, 0.3, 0.4, 0.5])
    write_smac([1.0] * 8, seed=1, late=13)
    found = find(load_runs(tmp_path), Experiment("table2", "smac", ("MMM",), ("qmix",), (0, 1)))
    assert sorted(found.final("MMM", "qmix")) == pytest.approx([0.3, 1.0])
    (line,) = cells(found, paper.table("table2")).to_dict("records")
    assert line["seeds"] == 2
    assert line["mean"] == pytest.approx(0.65)
    assert line["std"] == pytest.approx(0.35)
    assert line["paper_mean"] == 0.984
    error = np.sqrt(0.35**2 / 1 + line["paper_std"] ** 2 / 5)
    assert line["gap_in_errors"] == pytest.approx((0.65 - 0.984) / error)


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


def test_a_nan_is_kept_and_marked_by_nobody(write_smac, tmp_path):
    write_smac([0.5, 0.5, float("nan")])
    write_smac([0.5, 0.5, 0.5], algo="fop")
    found = find(load_runs(tmp_path), Experiment("table2", "smac", ("MMM",), ("qmix", "fop"), (0,)))
    table = cells(found, paper.table("table2")).set_index("algo")
    assert np.isnan(table.loc["qmix", "mean"])
    assert not table.loc["qmix", "bold"]
    assert table.loc["fop", "bold"]


def test_unfinished_runs_stand_in_only_where_nothing_is_finished(write_smac, tmp_path):
    write_smac([0.1] * 6)
    write_smac([0.9] * 3, seed=1, done=False, total=9000)
    write_smac([0.7] * 3, algo="fop", done=False, total=9000)
    found = find(load_runs(tmp_path), Experiment("table2", "smac", ("MMM",), ("qmix", "fop"), (0, 1)))
    assert found.final("MMM", "qmix").tolist() == pytest.approx([0.1])
    assert found.final("MMM", "fop").tolist() == pytest.approx([0.7])
    assert "1 of 4 planned runs are finished. 1 unfinished ones" in found.caption


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"budget": "smoke"}, "--budget paper"),
        ({"backend": "starcraft"}, "--backend embedded"),
        ({"config_hash": "ffff0000"}, "two configurations"),
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
    assert not cells(found, paper.table("table2"))["bold"].any()
    assert "SMOKE RUN" in found.caption


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
