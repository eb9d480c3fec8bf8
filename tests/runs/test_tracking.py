"""W&B gets every row, and whatever happens to it, training goes on."""

import logging

import pytest

from analysis.runs import load_runs
from macpf import names
from macpf.runs.errors import RunRefused
from macpf.runs.job import run
from macpf.runs.tracking import Tracker


@pytest.fixture
def tracker_in(tmp_path):
    config = {"algo": "a", "env": "e", "map": "m", "backend": "b", "budget": "smoke", "seed": 0, "run_key": "k"}

    def opened(mode, attempt=1):
        run_config = config | {names.ATTEMPT: attempt, names.TOTAL_ENV_STEPS: 3, names.COMMIT: "c"}
        run_config[names.CONFIG] = {"budget": {"eval_interval": 1}}
        return Tracker(mode, "macpf", None, tmp_path, "k", "g", run_config)

    return opened


def history(path):
    frame = load_runs(path).frame
    return dict(zip(frame[frame.metric == "x"].env_step, frame[frame.metric == "x"].value, strict=True))


def test_offline_rows_are_read_back_as_soon_as_the_run_is_finished(tracker_in, tmp_path):
    tracker = tracker_in("offline")
    for step in range(4):
        tracker.log({names.ENV_STEP: step, "x": step / 3})
    tracker.finish(0, done=True)
    assert history(tmp_path) == {step: step / 3 for step in range(4)}
    (report,) = load_runs(tmp_path).report.itertuples()
    assert report.state == "finished"


def test_the_next_attempt_logs_again_what_may_be_lost(tracker_in, tmp_path):
    first = tracker_in("offline")
    for step in range(3):
        first.log({names.ENV_STEP: step, "x": 1.0 * step})
    saved = first.state_dict()
    first.log({names.ENV_STEP: 3, "x": 99.0})  # after the checkpoint: the next attempt will do it again
    first.finish(143, done=False)
    second = tracker_in("offline", attempt=2)
    second.replay_rows(saved)
    second.log({names.ENV_STEP: 3, "x": 3.0})
    second.finish(0, done=True)
    assert history(tmp_path) == {0: 0.0, 1: 1.0, 2: 2.0, 3: 3.0}


def test_a_service_that_dies_is_started_again_and_no_row_is_lost(tracker_in, tmp_path, caplog, monkeypatch):
    tracker = tracker_in("offline")
    tracker.log({names.ENV_STEP: 0, "x": 0.0})

    def broken(row):
        raise BrokenPipeError("the service is gone")

    monkeypatch.setattr(tracker._run, "log", broken)
    with caplog.at_level(logging.WARNING):
        tracker.log({names.ENV_STEP: 1, "x": 1.0})
    assert "opening it again" in caplog.text
    tracker.log({names.ENV_STEP: 2, "x": 2.0})
    tracker.finish(0, done=True)
    assert history(tmp_path) == {0: 0.0, 1: 1.0, 2: 2.0}


def test_online_without_a_server_is_offline(tracker_in, tmp_path, caplog, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))  # no key of the user's either
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    with caplog.at_level(logging.WARNING):
        tracker = tracker_in("online")
    assert "cannot be opened online" in caplog.text
    tracker.log({names.ENV_STEP: 0, "x": 0.0})
    tracker.finish(0, done=True)
    assert history(tmp_path) == {0: 0.0}


def test_a_run_whose_log_was_lost_is_not_finished_and_writes_it_the_next_time(configured, tmp_path, monkeypatch):
    cfg = configured("tracking=offline", "algo=qmix")

    def broken(self, mode):
        raise OSError("no W&B today")

    with monkeypatch.context() as patched:
        patched.setattr(Tracker, "_init", broken)
        with pytest.raises(RunRefused, match="the same command writes it"):
            run(cfg)
    assert not list(tmp_path.rglob("*.wandb"))
    assert run(cfg) in (-12.0, 0.0, 8.0)
    frame = load_runs(tmp_path).frame
    assert sorted(frame.env_step.unique()) == [0, 200, 400]
    (report,) = load_runs(tmp_path).report.itertuples()
    assert report.state == "finished"


def test_disabled_writes_nothing(tracker_in, tmp_path):
    tracker = tracker_in("disabled")
    tracker.log({names.ENV_STEP: 0, "x": 0.0})
    tracker.finish(0, done=True)
    assert not list(tmp_path.rglob("*.wandb"))
