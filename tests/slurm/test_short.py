"""The short form of the tests beside this one, for every run of the test suite where SLURM is installed."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_an_array_is_submitted_once_and_a_requeued_run_goes_on(launch, until):
    launch.settings |= {"hydra.launcher.runs_per_job": 2, "hydra.launcher.at_once": 2, "budget.env_steps": 4000}
    assert "Submitted 3 runs" in launch("--seeds=3")
    first, *_ = jobs = launch.jobs()
    assert len(set(jobs.values())) == 2
    until(lambda: launch.is_on(first))
    launch.slurm.ask("scontrol", "requeue", jobs[first])
    assert "to launch now: 0 runs" in launch("--seeds=3"), "a run that waits or runs must not be submitted again"
    until(launch.slurm.is_idle)
    assert launch.states() == ["finished"] * 3
    assert launch.run_state(first).status["attempt"] == 2
    assert "3 runs: 3 finished" in launch.status()


@pytest.mark.slurm
def test_a_sweep_of_ones_own_waits_for_its_runs_and_plays_none_twice(slurm, tmp_path):
    command = [sys.executable, ROOT / "run.py", "-m", "hydra/launcher=slurm", "algo=qmix", "budget=smoke", "seed=0,1"]
    command += ["hydra.launcher.mem_gb=2", "tracking=disabled", f"outputs={tmp_path}"]
    for said in ("submitted 2 runs as job array", "nothing to submit"):
        done = subprocess.run(command, env=slurm.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
        assert "2 of 2 runs are finished." in done.stdout
