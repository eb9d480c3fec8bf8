"""Whatever is wrong with runs stands in everything that is made of them; one's own experiments draw themselves."""

import json
import re

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import analysis.__main__ as command
from analysis import AnalysisError, style
from analysis.beside_paper import write_table
from analysis.claims.verdicts import gather, ledger
from analysis.comparison import aggregates, compare, write_aggregates
from analysis.differences import apart, chosen
from analysis.evidence import Experiment
from analysis.figures.figure4 import collect
from analysis.figures.learning_curves import curve_table, draw, spread
from analysis.outcomes import find_outcomes, write_outcomes
from analysis.report.page import gather as gather_report
from analysis.report.page import render
from analysis.run_facts import full_length
from analysis.runs import load_runs
from analysis.selection import find, select
from macpf import names
from tests.analysis.synthetic import make_run, make_runs

PAYOFF = [[8, -12], [-12, 8]]
FAULTS = ("missing", "short", "crashed", "incomplete", "diverged", "untrained", "no data", "damaged")
#: How a fault is called where it is told.
CALLED = {"missing": ("missing", "Missing"), "damaged": ("damaged", "damaged")}


def one(env, map_, algo, seed, fault):
    """A run with a fault; None if it is missing."""
    if fault == "missing":
        return None
    score = {"env": env, "score": "return", "backend": "builtin", "settings": {"map": {"payoff": PAYOFF}}}
    dependent = [0.0, 1.0] if algo == "macpf" else None
    frame, line = make_run([0.0, 8.0], algo, map_, seed, dependent=dependent, **score)
    line |= {"total": full_length(env, "paper")}
    if fault == "damaged":
        return frame, line | {"gaps": 1, "lost_bytes": 9}
    if fault == "no data":
        return frame.iloc[:0], line | {"state": fault, "counts": False, "env_step": -1, "found": 0}
    return frame, line | ({"state": fault, "counts": False} if fault else {})


def faulty(env, maps, algos, seed):
    """Runs of five seeds, some of them with faults, and the faults by place."""
    random, runs, faults = np.random.default_rng(seed), [], {}
    for map_ in maps:
        for algo in algos:
            for number in range(5):
                place = (map_, algo, number)
                faults[place] = FAULTS[random.integers(len(FAULTS))] if number and random.random() < 0.15 else ""
                runs.append(one(env, map_, algo, number, faults[place]))
    return make_runs(*(run for run in runs if run is not None)), {
        place: fault for place, fault in faults.items() if fault
    }


def tells(text, place, fault):
    """Whether a text names this run's fault; long captions count what they have no room for, and say where to look."""
    return any(word in text for word in CALLED.get(fault, (fault,)))


@pytest.mark.parametrize("seed", range(8))
def test_every_fault_of_a_table_stands_in_every_rendering(seed, tmp_path):
    maps, algos = ("simple_spread", "line_control"), ("macpf", "qmix", "fop")
    runs, faults = faulty("mpe", maps, algos, seed)
    found = find(runs, Experiment("table1", "mpe", maps, algos, tuple(range(5))))
    texts = [found.caption(), *(path.read_text() for path in write_table(found, tmp_path))]
    comparison = compare(found)
    texts += [path.read_text() for path in write_aggregates(aggregates(comparison), comparison, found, tmp_path)]
    texts.append(curve_table(found, ("independent",)).to_csv())
    texts.append(" ".join(ledger(gather(runs)).set_index("id").loc["table1-best", ["evidence"]]))
    for place, fault in faults.items():
        for text in texts:
            assert tells(text, place, fault), (place, fault, text[:3000])
    by_cell = curve_table(found, ("independent",)).groupby(["map", "method"])["not_whole"].first()
    for (map_, algo, number), fault in faults.items():  # and cell by cell
        assert f"seed {number}: {'its log is ' * (fault == 'damaged')}{fault}" in by_cell[map_, algo.upper()]


@pytest.mark.parametrize("seed", range(5))
def test_every_fault_of_the_matrix_game_stands_in_every_rendering(seed, tmp_path):
    runs, faults = faulty("matrix_game", ("p0_12",), ("macpf", "qmix", "qplex", "qtran", "fop", "mappo"), seed)
    figure4 = collect(select(runs, "matrix_game", plan="figure4"), "macpf")
    texts = [figure4.caption, json.dumps(figure4.not_whole)]
    for place, fault in faults.items():
        assert all(tells(text, place, fault) for text in texts), (place, fault, texts)
    made = [path.read_text() for path in write_outcomes(find_outcomes(runs), tmp_path)]
    for place, fault in faults.items():
        assert all(tells(text, place, fault) for text in made), (place, fault, made)


def test_every_fault_stands_in_the_report():
    runs, faults = faulty("mpe", ("simple_spread", "line_control"), ("macpf", "qmix", "fop"), 3)
    page = render(gather_report(runs, None))
    assert all(tells(page, place, fault) for place, fault in faults.items())


def with_one_twice(seed):
    """Whole runs of Table 1, one of which two people made; with its place and the name of the second."""
    maps, algos = ("simple_spread", "line_control"), ("macpf", "qmix", "fop")
    random = np.random.default_rng(seed)
    twice = (maps[random.integers(2)], algos[random.integers(3)], int(random.integers(5)))
    runs = [one("mpe", map_, algo, k, "") for map_ in maps for algo in algos for k in range(5)]
    frame, line = one("mpe", *twice, "")
    other = line["run"] + "@ffffffff"
    copy = (frame.assign(run=other, value=-99.0), line | {"run": other, "origin": "f" * 32})
    return make_runs(*runs, copy), twice, other, Experiment("table1", "mpe", maps, algos, tuple(range(5)))


@pytest.mark.parametrize("seed", range(4))
def test_a_run_that_is_there_twice_is_in_no_number_and_is_named(seed):
    runs, _, other, experiment = with_one_twice(seed)
    key = other.partition("@")[0]
    with pytest.raises(AnalysisError, match=re.escape(f"{key} and {other} are one run begun by two people")):
        find(runs, experiment)
    assert other in " ".join(ledger(gather(runs)).set_index("id").loc["table1-best", ["evidence"]])
    assert find(runs.without(["@ffffffff"]), experiment).not_whole == ""


def test_the_report_names_a_run_that_is_there_twice_and_draws_no_curve_of_it():
    runs, twice, other, _ = with_one_twice(0)
    report = gather_report(runs, None)
    assert other in render(report)
    assert not any((chart.lines and chart.map == twice[0]) for chart in report["charts"])


def test_only_the_metrics_that_are_asked_for_are_held(tmp_path, write_run):
    rows = [{"env_step": 100 * k, "eval/independent/return": 1.0, "train/loss/td": 2.0} for k in range(2)]
    write_run(tmp_path, rows, total=100)
    few, all_ = load_runs(tmp_path, "eval/"), load_runs(tmp_path)
    assert set(few.frame["metric"]) == {"eval/independent/return"} < set(all_.frame["metric"])
    pd.testing.assert_frame_equal(few.report, all_.report)


def two_rates(**changes):
    runs = []
    for rate in (0.001, 0.0005):
        for seed in range(3):
            settings = {"algo": {"learner": {"lr": rate, "gamma": 0.99}}, "seed": seed, "checkpoint": {"keep": [seed]}}
            frame, line = make_run([0.1, rate * 500], "macpf", "3m", seed, settings=settings, **changes)
            run = f"macpf-smac-3m-{'aaaa' if rate == 0.001 else 'bbbb'}0000-s{seed}"
            runs.append((frame.assign(run=run), line | {"run": run}))
    return make_runs(*runs)


def test_two_learning_rates_of_one_algorithm_are_two_methods_named_by_the_key_that_differs():
    found = chosen(two_rates(), None, {"map": "3m"})
    table = curve_table(found, ("independent",))
    assert list(dict.fromkeys(table["method"])) == ["MACPF (lr=0.001)", "MACPF (lr=0.0005)"]
    assert (table["seeds"] == 3).all()
    only = chosen(two_rates(), None, {"algo.learner.lr": "0.001"})
    assert set(only.report["algo"]) == {"macpf"}
    assert apart(only_one := make_runs(make_run([0.1], "qmix"))) is only_one


def test_a_schedule_is_one_setting_of_a_name_and_like_names_are_told_apart():
    def kind(name, alpha, lr, mixer_lr):
        learner = {"alpha": {"start": alpha[0], "end": alpha[1]}, "lr": lr, "mixer": {"lr": mixer_lr}}
        frame, line = make_run([0.5], "macpf", "3m", 0, settings={"algo": {"learner": learner}})
        return frame.assign(run=f"macpf-smac-3m-{name}-s0"), line | {"run": f"macpf-smac-3m-{name}-s0"}

    falls, flat = kind("aaaa0000", (0.5, 0.05), 0.1, 0.2), kind("bbbb0000", (0.001, 0.001), 0.2, 0.1)
    assert set(apart(make_runs(falls, flat)).report["algo"]) == {
        "macpf|alpha=0.5 to 0.05, learner.lr=0.1, mixer.lr=0.2",
        "macpf|alpha=0.001, learner.lr=0.2, mixer.lr=0.1",
    }


def test_a_setting_that_ends_like_another_has_its_whole_name():
    def kind(name, depth):
        frame, line = make_run([0.5], "macpf", "3m", 0, settings={"depth": depth, "algo": {"depth": 2 * depth}})
        return frame.assign(run=f"macpf-smac-3m-{name}-s0"), line | {"run": f"macpf-smac-3m-{name}-s0"}

    found = apart(make_runs(kind("aaaa0000", 1), kind("bbbb0000", 2))).report["algo"]
    assert set(found) == {"macpf|algo.depth=2, depth=1", "macpf|algo.depth=4, depth=2"}


def test_a_legend_of_long_names_stays_in_the_figure_and_off_the_panels():
    runs = two_rates()
    for line in runs.report.to_dict("records"):
        learner = runs.configs[line["run"]]["config"]["algo"]["learner"]
        learner |= {f"a_setting_with_a_long_name_{k}": learner["lr"] for k in range(4)}
    with mpl.rc_context(style.RC):
        figure = draw(chosen(runs, None, {"map": "3m"}), ("independent",), "")
        figure.canvas.draw()
    (legend,) = figure.legends
    panel = figure.axes[0].get_tightbbox()
    for text in legend.get_texts():
        box = text.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.width
        assert box.y1 <= figure.bbox.height
        assert box.y0 >= panel.y1


def test_a_smoke_run_of_ones_own_is_planned_as_often_as_it_is_there():
    found = chosen(two_rates(budget="smoke"), None, {"map": "3m"})
    assert found.caption().startswith("6 of 6 runs that are here are finished")


def test_a_budget_is_found_by_its_other_names():
    runs = make_runs(*(make_run([8.0], "qmix", "p0_12", seed, env="matrix_game", budget="paper") for seed in range(2)))
    for name in ("laptop", "archive", "paper"):
        assert len(chosen(runs, None, {"budget": name}).report) == 2
    with pytest.raises(AnalysisError, match="no run with budget=smoke"):
        chosen(runs, None, {"budget": "smoke"})


def test_rules_other_than_the_papers_are_named_in_the_caption(tmp_path):
    settings = {"env": {"rules": "mpe2", "make": {"reward": "sum"}}}
    of_task = {"env": "mpe", "score": "return", "backend": "embedded"}
    runs = [make_run([-17.0], "qmix", "simple_spread", seed, settings=settings, **of_task) for seed in range(2)]
    experiment = Experiment("table1", "mpe", ("simple_spread",), ("qmix",), (0, 1))
    write_table(find(make_runs(*runs), experiment), tmp_path)
    sentence = "Not by the paper's rules, but env.rules=mpe2, whose returns are on another scale."
    assert sentence in (tmp_path / "table1.md").read_text()
    ours = make_runs(*(make_run([-17.0], "qmix", "simple_spread", seed, **of_task) for seed in range(2)))
    assert "rules" not in find(ours, experiment).caption()


def test_runs_of_another_budget_neither_name_nor_miss_anything():
    long = make_run([0.1], "macpf", "3m", 9, state="short", settings={"budget": {"name": "laptop"}}, budget="laptop")
    smoke = two_rates(budget="smoke")
    both = make_runs(
        *(
            (smoke.frame[smoke.frame["run"] == line["run"]], line | {"config": smoke.configs[line["run"]]})
            for line in smoke.report.to_dict("records")
        ),
        long,
    )
    found = chosen(both, None, {"map": "3m"}, budget="smoke")
    assert set(found.experiment.algos) == {"macpf|lr=0.001", "macpf|lr=0.0005"}
    assert found.not_whole == ""


def test_any_experiment_is_drawn_with_its_missing_runs(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(command, "load_runs", lambda *_: two_rates(budget="laptop"))
    arguments = ["--out", str(tmp_path), "--no-caption"]
    assert command.main(["curves", "release_grid", *arguments]) == 0
    assert "Missing: " in (tmp_path / "curves_release_grid.txt").read_text()
    assert set(pd.read_csv(tmp_path / "curves_release_grid.csv")["method"]) >= {"MACPF (lr=0.001)"}
    assert command.main(["table", "--where", "map=3m", "--out", str(tmp_path)]) == 0
    assert "MACPF (lr=0.0005)" in (tmp_path / "table.md").read_text()
    assert command.main(["table", "release_grid", "--out", str(tmp_path)]) == 0
    assert {path.stem for path in tmp_path.iterdir()} == {"curves_release_grid", "table", "table_release_grid"}
    assert command.main(["curves", "release_gird", *arguments]) == 2
    assert command.main(["curves", "--where", "map", *arguments]) == 2
    assert command.main(["curves", "--where", "algo.learner.lr=3", *arguments]) == 2
    assert command.main(["curves", "--where", "algo.learner.lrr=0.001", *arguments]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 4
    assert said[-1].endswith("no run logged a setting algo.learner.lrr; did you mean algo.learner.lr?")


def test_runs_of_several_environments_are_told_apart_by_what_is_typed(monkeypatch, tmp_path, capsys):
    runs = make_runs(make_run([0.1], "qmix"), make_run([0.1], "qmix", "p0_12", env="matrix_game", score="return"))
    monkeypatch.setattr(command, "load_runs", lambda *_: runs)
    arguments = ["table", "--out", str(tmp_path)]
    assert command.main(arguments) == 2
    assert capsys.readouterr().err.endswith("matrix_game, smac: type --where env=matrix_game\n")
    assert command.main([*arguments, "--where", "env=matrix_game"]) == 0


def test_a_run_says_itself_what_its_score_and_policies_are():
    frame, line = make_run([0.1, 0.9], "qmix", "x", score="goals", env="pettingzoo")
    frame["metric"] = frame["metric"].str.replace("independent", "greedy")
    line["config"] |= {names.SCORE: "goals", names.LABELS: {"greedy": "QMIX"}}
    found = find(make_runs((frame, line)), Experiment("x", "pettingzoo", ("x",), ("qmix",), (0,)))
    assert found.score == "goals"
    assert found.final("x", "qmix").tolist() == pytest.approx([0.5])


def test_published_runs_of_the_real_game_stand_beside_ours_and_are_never_pooled(monkeypatch, tmp_path, capsys):
    runs = [make_run(np.linspace(0, 0.9, 12), algo, "MMM2", seed) for algo in ("qmix", "macpf") for seed in range(2)]
    monkeypatch.setattr(command, "load_runs", lambda *_: make_runs(*runs))
    assert command.main(["figure5", "--real-game", "--no-caption", "--out", str(tmp_path)]) == 0
    assert "StarCraft II 4.6.2" in (tmp_path / "figure5.txt").read_text()
    ours, theirs = (pd.read_csv(tmp_path / f"figure5{which}.csv") for which in ("", "_real_game"))
    assert (ours["of"].dropna() == 2).all()
    assert set(theirs["algo"]) == {"qmix"}
    assert theirs[theirs["map"] == "MMM2"]["median"].iloc[-1] == pytest.approx(
        0.61, abs=0.1
    )  # of the last five evaluations
    monkeypatch.setattr(command, "load_runs", lambda *_: make_runs(make_run([0.1, 0.2], "fop", "MMM2")))
    assert command.main(["curves", "--real-game", "--out", str(tmp_path)]) == 2
    assert "leave out --real-game" in capsys.readouterr().err


@pytest.mark.parametrize("wanted", [[0.5, 0.5, 0.52], [0.99, 0.98], [0.0, 0.3, 0.31, 0.9]])
def test_what_is_written_where_curves_end_does_not_overlap(wanted):
    places = sorted(spread(wanted, 0.1, 0.0, 0.9))
    assert min(np.diff(places)) >= 0.1 - 1e-9
    assert places[0] >= 0
    assert places[-1] <= 0.9
    assert (
        np.argsort(spread(wanted, 0.1, 0.0, 0.9), kind="stable").tolist() == np.argsort(wanted, kind="stable").tolist()
    )


def test_no_letter_of_a_narrow_figure_is_cut_off():
    found = find(make_runs(make_run([0.1, 0.9], "qmix")), Experiment("one", "smac", ("8m",), ("qmix",), (0,)))
    with mpl.rc_context(style.RC):
        figure = draw(found, ("independent",), found.caption())
        figure.canvas.draw()
    inside = figure.get_tightbbox()  # in inches, of all that is drawn
    assert 0 <= inside.x0 < inside.x1 <= figure.get_figwidth()
    assert 0 <= inside.y0 < inside.y1 <= figure.get_figheight()
