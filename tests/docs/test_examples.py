"""The examples do what they say."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = ["budget.env_steps=60", "budget.eval_interval=60", "budget.eval_episodes=20", "env.parallel=2"]
SMALL += ["env.eval_parallel=20", "algo.replay.burn_in=2", "algo.replay.batch=2"]


def test_a_run_is_evaluated_and_played(tmp_path, capsys):
    command = [str(EXAMPLES / "evaluate.sh"), str(tmp_path), *SMALL]
    done = subprocess.run(command, env=os.environ | {"PYTHON": sys.executable}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("40 episodes with seed 1") == 2
    (folder,) = tmp_path.glob("mpe/simple_spread/macpf/*/seed=0")
    assert len([*folder.glob("evaluations/*/episodes.parquet")]) == 2
    play = runpy.run_path(str(EXAMPLES / "play_trained_policy.py"))["play"]
    assert play(folder, "dependent") < 0
    assert capsys.readouterr().out.startswith("<dependent policy of macpf on mpe/simple_spread seed=0 after")
