"""The JSON that marl-eval reads: its shape, what it maps to what, and what may not stand in one place."""

import json
import math

import pytest

import analysis.__main__ as command
from analysis import AnalysisError
from analysis.export import export
from macpf import names
from tests.analysis.synthetic import make_run, make_runs


def test_the_shape_is_the_documented_one():
    curve = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    runs = make_runs(
        make_run(curve, "macpf", "8m", 3, dependent=[0.5] * 6, extra={names.WALL_SECONDS: 12.5}),
        make_run(curve, "qmix", "8m", 0),
        make_run([1.0] * 6, "qmix", "8m", 1, state="crashed"),
    )
    document = export(runs)
    assert list(document) == ["smac"]
    assert list(document["smac"]) == ["8m"]
    assert list(document["smac"]["8m"]) == ["MACPF", "MACPF_DEP", "QMIX"]
    assert list(document["smac"]["8m"]["QMIX"]) == ["seed_0"]
    run = document["smac"]["8m"]["MACPF"]["seed_3"]
    assert list(run) == [*(f"step_{k}" for k in range(6)), "absolute_metrics"]
    assert run["step_2"] == {"step_count": 200, "win_rate": [0.2]}
    assert run["step_5"] == {"step_count": 500, "elapsed_time": 12.5, "win_rate": [0.5]}
    assert run["absolute_metrics"] == {"win_rate": [pytest.approx(0.3)]}


def test_joint_policies_are_no_metric():
    joint = {names.joint(names.INDEPENDENT, (0, 0)): 0.5}
    document = export(make_runs(make_run([0.5, 0.7], "qmix", extra=joint)))
    steps = document["smac"]["8m"]["QMIX"]["seed_0"]
    assert list(steps["step_1"]) == ["step_count", "win_rate"]


def test_policies_of_any_name_are_exported():
    frame, line = make_run([0.1, 0.9], "qmix")
    frame["metric"] = frame["metric"].str.replace("independent", "greedy")
    line["config"] |= {names.LABELS: {"greedy": "QMIX"}}
    (steps,) = export(make_runs((frame, line)))["smac"]["8m"].values()
    assert steps["seed_0"]["step_1"] == {"step_count": 100, "win_rate": [0.9]}


def test_what_marl_eval_would_mix_is_refused():
    one, other = make_run([0.1], "qmix"), make_run([0.1], "qmix", "MMM", budget="laptop")
    with pytest.raises(AnalysisError, match="--budget laptop"):
        export(make_runs(one, other))
    assert list(export(make_runs(one, other), budget="paper")["smac"]) == ["8m"]
    twin = make_run([0.2], "qmix")
    twin[0]["run"] = twin[1]["run"] = "qmix-smac-8m-ffff0000-s0"
    with pytest.raises(AnalysisError, match="would stand in one place"):
        export(make_runs(one, twin))
    with pytest.raises(AnalysisError, match="no whole run"):
        export(make_runs(make_run([0.1], state="short"), make_run([math.nan], seed=1)))


def test_a_budget_is_found_under_the_name_that_its_runs_have():
    """In the matrix game the laptop's budget is the paper's, and its runs are kept under that name."""
    run = make_run([0.1], "qmix", "p0_12", env="matrix_game", score="return")
    assert list(export(make_runs(run), budget="laptop")) == ["matrix_game"]
    with pytest.raises(AnalysisError, match="no whole run"):
        export(make_runs(run), budget="smoke")


def test_the_command_writes_a_file_and_says_what_it_lacks(monkeypatch, tmp_path, capsys):
    runs = [
        make_run([0.1], "qmix"),
        make_run([math.nan], "qmix", seed=1),
        make_run([0.2], "qmix", state="short", seed=2),
    ]
    monkeypatch.setattr(command, "load_runs", lambda *_: make_runs(*runs))
    arguments = ["export", "--to", str(tmp_path / "new" / "runs.json")]
    said = {
        (): (["seed_0"], ["Left out: QMIX seed 1 (diverged); QMIX seed 2 (short at 0 of 0 env steps)."]),
        ("--allow-incomplete",): (
            ["seed_0", "seed_2"],
            [
                "Left out: QMIX seed 1 (diverged).",
                "Not whole, but counted on request: QMIX seed 2 (short at 0 of 0 env steps).",
            ],
        ),
    }
    for options, (seeds, lines) in said.items():
        assert command.main([*arguments, *options]) == 0
        assert list(json.loads((tmp_path / "new" / "runs.json").read_text())["smac"]["8m"]["QMIX"]) == seeds
        assert capsys.readouterr().err.splitlines() == [f"analysis: {line}" for line in lines]


def test_the_document_is_made_of_plain_mappings():
    document = export(make_runs(make_run([0.1, 0.2], "qmix", "8m")))
    for key in ("smac", "8m", "QMIX", "seed_0"):
        with pytest.raises(KeyError):
            document["typo"]
        document = document[key]
