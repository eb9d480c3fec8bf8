"""The examples do what they say."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = ["budget.env_steps=60", "budget.eval_interval=60", "budget.eval_episodes=20", "env.parallel=2"]
SMALL += ["env.eval_parallel=20", "algo.replay.burn_in=2", "algo.replay.batch=2"]


def done(*command: str | Path) -> str:
    environment = os.environ | {"PYTHON": sys.executable}
    result = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_run_is_evaluated_and_played(tmp_path, capsys):
    assert done(EXAMPLES / "evaluate.sh", tmp_path, *SMALL).count("40 episodes with seed 1") == 2
    (folder,) = tmp_path.glob("mpe/simple_spread/macpf/*/seed=0")
    assert len([*folder.glob("evaluations/*/episodes.parquet")]) == 2
    play = runpy.run_path(str(EXAMPLES / "play_trained_policy.py"))["play"]
    assert play(folder, "dependent") < 0
    assert capsys.readouterr().out.startswith("<dependent policy of macpf on mpe/simple_spread seed=0 after")


def test_without_a_run_one_line_says_what_to_type():
    result = subprocess.run([sys.executable, EXAMPLES / "play_trained_policy.py"], capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr == "type the folder of a run on simple_spread, e.g. one that examples/evaluate.sh makes\n"


@pytest.mark.parametrize(
    ("example", "run"),
    [("add_an_algorithm", "matrix_game/p0_12/vdn_with_value"), ("add_an_environment", "meeting/nine_cells/qmix")],
)
def test_what_an_example_adds_is_trained_and_plotted(tmp_path, monkeypatch, example, run):
    assert "final return:" in done(sys.executable, EXAMPLES / f"{example}.py", f"outputs={tmp_path}")
    (status,) = tmp_path.glob(f"{run}/*/seed=0/status.json")
    assert json.loads(status.read_text())["state"] == "finished"
    monkeypatch.setattr(sys, "argv", ["plot_a_curve.py", str(tmp_path), str(tmp_path / "curve.png")])
    runpy.run_path(str(EXAMPLES / "plot_a_curve.py"), run_name="__main__")
    assert (tmp_path / "curve.png").stat().st_size > 10_000


def test_every_example_is_listed_and_tested():
    listed = (EXAMPLES / "README.md").read_text()
    tested = Path(__file__).read_text()
    for file in [*EXAMPLES.glob("*.py"), *EXAMPLES.glob("*.sh")]:
        assert f"]({file.name})" in listed
        assert file.stem in tested
