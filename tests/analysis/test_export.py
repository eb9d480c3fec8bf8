"""The JSON that marl-eval reads: its shape, what it maps to what, and what may not stand in one place."""

import json
import math

import pytest

import analysis.__main__ as command
from analysis.errors import AnalysisError
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


def test_joint_policies_are_no_metric_and_nan_stays():
    joint = {names.joint(names.INDEPENDENT, (0, 0)): 0.5}
    document = export(make_runs(make_run([0.5, math.nan], "qmix", extra=joint)))
    steps = document["smac"]["8m"]["QMIX"]["seed_0"]
    assert list(steps["step_1"]) == ["step_count", "win_rate"]
    assert math.isnan(steps["absolute_metrics"]["win_rate"][0])


def test_what_marl_eval_would_mix_is_refused():
    one, other = make_run([0.1], "qmix"), make_run([0.1], "qmix", "MMM", budget="laptop")
    with pytest.raises(AnalysisError, match="--budget laptop"):
        export(make_runs(one, other))
    assert list(export(make_runs(one, other), budget="paper")["smac"]) == ["8m"]
    twin = make_run([0.2], "qmix")
    twin[0]["run"] = twin[1]["run"] = "qmix-smac-8m-ffff0000-s0"
    with pytest.raises(AnalysisError, match="would stand in one place"):
        export(make_runs(one, twin))
    with pytest.raises(AnalysisError, match="no finished run"):
        export(make_runs(make_run([0.1], state="short")))


def test_the_command_writes_a_file(monkeypatch, tmp_path):
    monkeypatch.setattr(command, "load_runs", lambda _: make_runs(make_run([0.1], "qmix")))
    assert command.main(["export", "--to", str(tmp_path / "new" / "runs.json")]) == 0
    assert json.loads((tmp_path / "new" / "runs.json").read_text())["smac"]["8m"]["QMIX"]["seed_0"]
