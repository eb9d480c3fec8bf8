"""A sweep through a real SLURM on this machine, with what happens to jobs there."""

import os

import pytest

pytestmark = pytest.mark.slurm


def test_preempted_requeued_and_killed_runs_end_as_if_nothing_had_happened(slurm, launch, until):
    launch.settings |= {"algo": "qmix,macpf", "budget.env_steps": 6000, "hydra.launcher.signal_delay_s": 30}
    assert "Submitted 4 runs" in launch("--seeds=2")
    preempted, requeued, killed, _ = jobs = launch.jobs()
    until(lambda: launch.is_on(preempted))
    slurm.preempt(jobs[preempted])
    until(lambda: launch.is_on(requeued))
    slurm.ask("scontrol", "requeue", jobs[requeued])
    until(lambda: launch.is_on(killed))
    os.kill(launch.run_state(killed).status["pid"], 9)
    until(slurm.is_idle)

    assert launch.run_state(killed).state == "stale"
    assert sorted(launch.states()) == ["finished"] * 3 + ["stale"]
    assert [launch.run_state(key).status["attempt"] for key in (preempted, requeued)] == [2, 2]
    said = launch.status()
    assert "4 runs: 3 finished, 1 stale" in said
    assert "killed: matrix_game/p0_12/" in said

    again = launch("--seeds=2", "--wait")
    assert "killed: matrix_game/p0_12/" in again
    assert "Submitted 1 runs" in again
    assert launch.states() == ["finished"] * 4
    launch.assert_as_if_nothing_had_happened()
