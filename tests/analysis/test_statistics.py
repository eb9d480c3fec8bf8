"""An experiment's statistics: on one scale, on the maps that all have, never mixed; and what the command writes."""

import numpy as np
import pandas as pd
import pytest

import analysis.__main__ as command
from analysis import AnalysisError
from analysis.comparison import aggregates, bounds, compare, refuse_other_rules
from analysis.evidence import Experiment
from analysis.selection import find
from macpf.envs.mpe.particles import Particles
from tests.analysis.synthetic import make_run, make_runs
from tests.envs.mpe.scripted import returns, scripted_actions

TABLE2 = Experiment("table2", "smac", ("8m", "MMM", "MMM2"), ("macpf", "qmix", "fop"), (0, 1))


def some_runs(**changes):
    """MACPF and QMIX on two maps, FOP nowhere; QMIX also on a third."""
    scores = {"macpf": 0.8, "qmix": 0.4}
    cells = [(algo, map_) for algo in scores for map_ in ("8m", "MMM")] + [("qmix", "MMM2")]
    return [
        make_run([0.1 * seed, *[scores[algo] + 0.1 * seed] * 5], algo, map_, seed, **changes)
        for algo, map_ in cells
        for seed in (0, 1)
    ]


def test_methods_are_compared_on_the_maps_that_all_of_them_have():
    compared = compare(find(make_runs(*some_runs()), TABLE2))
    assert compared.maps == ("8m", "MMM")
    assert list(compared.final) == ["MACPF", "QMIX"]
    np.testing.assert_allclose(compared.final["QMIX"].values, [0.4, 0.5, 0.4, 0.5])
    np.testing.assert_allclose(compared.curves["MACPF"].values[1], [0.1, *[0.9] * 5])
    assert compared.left_out == "Methods without runs: FOP. Maps left out, which not all methods have: MMM2."


def test_no_shared_map_is_one_line():
    runs = make_runs(make_run([0.1], "macpf", "8m"), make_run([0.1], "qmix", "MMM"))
    with pytest.raises(AnalysisError, match="no map of table2 on which all methods have scores"):
        compare(find(runs, TABLE2))


def test_unequal_numbers_of_seeds_are_used_as_they_are():
    runs = make_runs(*some_runs(), *(make_run([0.5] * 6, "qmix", "MMM", seed) for seed in (2, 3)))
    table = aggregates(compare(find(runs, TABLE2))).set_index(["method", "statistic"])
    assert table.loc[("QMIX", "mean"), "point"] == pytest.approx((0.45 + (0.4 + 3 * 0.5) / 4) / 2)
    assert table.loc[("QMIX", "mean"), "runs"] == 6
    assert table.loc[("QMIX", "P(MACPF better)"), "point"] == 1


@pytest.mark.parametrize("task", ["simple_spread", "formation_control", "line_control"])
def test_returns_are_0_for_a_random_team_and_1_for_one_that_knows_everything(task):
    env = Particles(task, 300, 1, 3, 25, "sum", False, "velocity_first", 0.8, True, None)
    random, (low, high) = np.random.default_rng(2), bounds("return", task)
    assert (returns(env, lambda _: random.integers(5, size=(300, 3))).mean() - low) / (high - low) == pytest.approx(
        0, abs=0.05
    )
    assert (returns(env, lambda env: scripted_actions(env, True)).mean() - low) / (high - low) == pytest.approx(
        1, abs=0.05
    )


def test_returns_without_bounds_are_refused():
    with pytest.raises(AnalysisError, match=r"return_bounds\.csv"):
        bounds("return", "elsewhere")
    with pytest.raises(AnalysisError, match="--exclude qmix-mpe-line_control-00"):
        refuse_other_rules({"qmix-mpe-line_control-00-s3": {"config": {"env": {"rules": "mpe2"}}}})
    with pytest.raises(AnalysisError, match=r"env\.make\.reward=mean, whose returns are on another scale"):
        refuse_other_rules({"qmix-mpe-line_control-00-s3": {"config": {"env": {"make": {"reward": "mean"}}}}})


def test_figure_6_compares_both_policies_of_macpf():
    experiment = Experiment("figure6", "smac", ("8m",), ("macpf",), (0, 1))
    runs = make_runs(*(make_run([0.5] * 5, seed=seed, dependent=[0.6] * 5) for seed in (0, 1)))
    table = aggregates(compare(find(runs, experiment), ("independent", "dependent")))
    better = table[table["statistic"] == "P(MACPF better)"].set_index("method")["point"]
    assert better.to_dict() == {"MACPF_DEP": 0.0}


def run_command(monkeypatch, runs, *arguments):
    monkeypatch.setattr(command, "load_runs", lambda *_: make_runs(*runs))
    return command.main([str(argument) for argument in arguments])


@pytest.mark.parametrize("budget", ["paper", "smoke"])
def test_the_command_writes_tables_and_figures(monkeypatch, tmp_path, capsys, budget):
    assert run_command(monkeypatch, some_runs(budget=budget), "statistics", "--out", tmp_path) == 0
    written = {path.name for path in tmp_path.iterdir()}
    kinds = ("intervals", "profile", "efficiency", "improvement")
    assert {f"statistics_table2_{kind}.{suffix}" for kind in kinds for suffix in ("pdf", "png")} < written
    assert pd.read_csv(tmp_path / "statistics_table2_efficiency.csv")["env_step"].nunique() == 6
    page = (tmp_path / "statistics_table2.md").read_text()
    assert page in capsys.readouterr().out
    assert "runs of each map: 2." in page
    assert ("SMOKE RUN" in page) == (budget == "smoke")


def test_the_command_mixes_no_budgets(monkeypatch, tmp_path, capsys):
    runs = [*some_runs(), make_run([0.1], "fop", budget="laptop")]
    assert run_command(monkeypatch, runs, "statistics", "table2", "--out", tmp_path) == 2
    assert "--budget laptop" in capsys.readouterr().err
    assert run_command(monkeypatch, runs, "statistics", "table2", "--budget", "paper", "--out", tmp_path) == 0
