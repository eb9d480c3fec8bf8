"""Several runs in one job, without SLURM: what is played, what is skipped, what a death and a signal do."""

import os
import pickle
import signal
import subprocess
import sys
import time

import pytest

from macpf.configuration import compose
from macpf.runs.errors import RunRefused
from macpf.runs.job import run as play
from macpf.runs.pack import Pack
from macpf.runs.plan import run_states, runs_of
from macpf.runs.preemption import SWEEP_PID

JOB = "import pickle, sys; from macpf.runs.errors import Interrupted\ntry: pickle.load(sys.stdin.buffer)()\n"
JOB += "except Interrupted as stopped: sys.exit(128 + stopped.signum)"


@pytest.fixture
def needed(tmp_path, monkeypatch):
    monkeypatch.setenv(SWEEP_PID, str(os.getpid()))  # put back afterwards

    def runs(*more):
        settings = ["algo=qmix", "env=matrix_game", "budget=smoke", "tracking=disabled", f"outputs={tmp_path}"]
        (result,) = runs_of([[*settings, "seed=0,1,2", *more]])
        return result

    return runs


def states(runs):
    return [now.state for _, now in run_states(runs)]


def test_what_is_finished_is_skipped_and_what_fails_is_named_while_the_others_finish(needed, hold):
    runs = needed()
    play(compose(*runs[0].overrides))
    before = (runs[0].identity.folder / "status.json").read_bytes()
    hold(runs[1].identity.folder)
    with pytest.raises(RunRefused, match=r"1 of 3 runs failed: qmix on matrix_game/p0_12 seed=1 \(exit code 1\)"):
        Pack(runs, at_once=2)()
    assert (runs[0].identity.folder / "status.json").read_bytes() == before
    assert states(runs) == ["finished", "running", "finished"]


def test_a_signal_saves_those_that_play_and_starts_no_more(needed, tmp_path):
    runs = needed("budget.env_steps=100000", "checkpoint.every_seconds=0.3")
    job = subprocess.Popen([sys.executable, "-c", JOB], stdin=subprocess.PIPE, cwd=tmp_path)
    job.stdin.write(pickle.dumps(Pack(runs, at_once=2)))
    job.stdin.close()
    deadline = time.monotonic() + 120
    while len(list(tmp_path.rglob("checkpoint.pt"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    job.send_signal(signal.SIGTERM)
    assert job.wait(timeout=60) == 128 + signal.SIGTERM
    assert states(runs) == ["interrupted", "interrupted", "missing"]
