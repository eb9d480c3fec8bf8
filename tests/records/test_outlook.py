"""How far many runs are together, and when they will be done, against sums done by hand."""

from pathlib import Path

import pytest

from macpf.records.outlook import outlook
from macpf.records.run_state import RunState


def run_of(state, played=0, length=1000, speed=None, task="smac/3m/qmix"):
    status = {"env_step": played, "total_env_steps": length} if length else {}
    if speed:
        status["steps_per_second"] = speed
    return RunState(Path(f"outputs/{task}/hash/seed=0"), state, status)


def seconds(*runs):
    return outlook(runs).seconds_left


def test_nothing_runs():
    assert str(outlook([run_of("finished"), run_of("interrupted", 500)])) == "75% done, none is being played"
    assert str(outlook([run_of("finished")])) == "100% done"
    assert outlook([]).progress == 1


def test_one_run_takes_what_it_has_left():
    assert seconds(run_of("running", 400, speed=10)) == 60
    assert str(outlook([run_of("running", 400, speed=10)])) == "40% done, about 1:00 left with 1 at once"


def test_waiting_runs_go_to_whoever_is_done_first():
    busy = [run_of("running", 900, speed=10), run_of("running", 500, speed=10)]  # 10 and 50 seconds left
    new = [run_of("missing", length=None)] * 2  # 100 seconds each, as the others
    assert seconds(*busy) == 50
    assert seconds(*busy, new[0]) == 110
    assert seconds(*busy, *new) == 150


def test_what_a_run_has_not_said_comes_from_the_most_alike():
    slow = run_of("running", 0, length=100, speed=1, task="smac/MMM2/qmix")
    done = run_of("finished", 1000, length=1000, speed=100, task="smac/3m/qmix")
    assert seconds(slow, done, run_of("missing", length=None, task="smac/3m/qmix")) == 100 + 10
    assert seconds(slow, done, run_of("missing", length=None, task="smac/MMM2/vdn")) == 100 + 100
    unlike = run_of("missing", length=None, task="mpe/simple_spread/vdn")
    assert seconds(slow, done, unlike) == pytest.approx(100 + 550 / 50.5)


def test_a_run_that_has_just_begun_promises_nothing():
    run = outlook([run_of("running", 0, length=None), run_of("missing", length=None)])
    assert (run.seconds_left, run.at_once) == (None, 1)
    assert str(run) == "0% done, about ? left with 1 at once"


def test_progress_counts_env_steps_not_runs():
    assert outlook([run_of("finished", length=100), run_of("running", 0, length=900, speed=1)]).progress == 0.1
