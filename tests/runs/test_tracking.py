"""W&B gets every row, and whatever happens to it, training goes on and the log is whole in the end."""

import logging
import os
import shutil
import signal
import threading
import time

import psutil
import pytest

from analysis.runs import load_runs
from macpf import names
from macpf.records.ledger import End, Evaluation, Ledger
from macpf.records.run_state import FINISHED, run_state
from macpf.records.wandb_log import Logs
from macpf.runs import tracking
from macpf.runs.errors import RunRefused
from macpf.runs.identity import Identity
from macpf.runs.job import run
from macpf.runs.settings import TrackingSettings
from macpf.runs.tracking import Tracker, write_again

OFFLINE = TrackingSettings("offline")


@pytest.fixture
def ledger(ledger_at, tmp_path):
    return ledger_at(tmp_path / "ledger.jsonl", evaluations=4, env_steps=3)


def row(number, x=None):
    counts = {names.ENV_STEP: number, names.EVALUATION: number, names.EVALUATION_AFTER: number - 1, names.UPDATES: 1}
    return Evaluation(number=number, after=number - 1, values=counts | {"x": number / 3 if x is None else x})


def filled(ledger, count=4):
    for number in range(count):
        ledger.append(row(number))
    return ledger


def history(path):
    frame = load_runs(path).frame
    return dict(zip(frame[frame.metric == "x"].env_step, frame[frame.metric == "x"].value, strict=True))


def state(path):
    (report,) = load_runs(path).report.itertuples()
    return report.state


def test_offline_rows_are_read_back_as_soon_as_the_run_is_finished(ledger, tmp_path):
    tracker = Tracker(OFFLINE, filled(ledger), attempt=1)
    tracker.log(entry.values for entry in ledger.rows)
    tracker.finish(0, end="finished")
    assert history(tmp_path) == {step: step / 3 for step in range(4)}
    assert state(tmp_path) == "finished"
    assert Logs.read(tmp_path, ledger.manifest.owner).first_unlogged(ledger.rows) is None


def test_the_next_attempt_replaces_what_came_after_the_checkpoint(ledger, tmp_path):
    first = Tracker(OFFLINE, filled(ledger, 3), attempt=1)
    first.log(entry.values for entry in [*ledger.rows, row(3, x=99.0)])
    first.finish(143)
    second = Tracker(OFFLINE, ledger, attempt=2)
    second.log([row(3).values])
    second.finish(0, end="finished")
    assert history(tmp_path) == {0: 0.0, 1: 1 / 3, 2: 2 / 3, 3: 1.0}
    assert state(tmp_path) == "finished"


def test_a_lost_row_makes_a_run_incomplete(ledger, tmp_path):
    tracker = Tracker(OFFLINE, filled(ledger), attempt=1)
    tracker.log(entry.values for entry in ledger.rows if entry.number != 1)
    tracker.finish(0, end="finished")
    assert state(tmp_path) == "incomplete"
    assert Logs.read(tmp_path, ledger.manifest.owner).first_unlogged(ledger.rows) == 1


def test_a_run_that_breaks_is_opened_again_and_no_row_is_lost(ledger, tmp_path, caplog, monkeypatch):
    opened = threading.Event()
    init = Tracker._init

    def noted(self, mode):
        run = init(self, mode)
        opened.set()
        return run

    monkeypatch.setattr(Tracker, "_init", noted)
    tracker = Tracker(OFFLINE, filled(ledger, 3), attempt=1)
    tracker.log([ledger.rows[0].values])
    assert opened.wait(60)

    def broken(row):
        raise BrokenPipeError("the service is gone")

    with caplog.at_level(logging.WARNING):
        monkeypatch.setattr(tracker._run, "log", broken)
        tracker.log(entry.values for entry in ledger.rows[1:])
        tracker.finish(0, end="finished")
    assert "opening it again" in caplog.text
    assert Logs.read(tmp_path, ledger.manifest.owner).first_unlogged(ledger.rows) is None


def core():
    """The W&B service of this process."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for child in psutil.Process().children(recursive=True):
            if "wandb-core" in child.name():
                return child
        time.sleep(0.05)
    raise AssertionError("no W&B service was started")


@pytest.mark.parametrize("signum", [signal.SIGSTOP, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_service_that_stops_or_dies_costs_no_row(ledger, tmp_path, monkeypatch, signum):
    monkeypatch.setattr(tracking, "PATIENCE", 8.0)
    tracker = Tracker(OFFLINE, filled(ledger), attempt=1)
    tracker.log([ledger.rows[0].values])
    while not list(tmp_path.rglob("*.wandb")):
        time.sleep(0.05)
    os.kill(core().pid, signum)
    begun = time.monotonic()
    tracker.log(entry.values for entry in ledger.rows[1:])
    assert time.monotonic() - begun < 1, "training waited for W&B"
    tracker.finish(0, end="finished")
    monkeypatch.setattr(tracking, "PATIENCE", 30.0)
    ledger.append(End(state="finished"))
    assert write_again(OFFLINE, ledger) is not None
    assert history(tmp_path) == {step: step / 3 for step in range(4)}
    assert state(tmp_path) == "finished"


def test_a_service_that_stalls_for_a_while_writes_the_rest_then(ledger, tmp_path):
    tracker = Tracker(OFFLINE, filled(ledger), attempt=1)
    tracker.log([ledger.rows[0].values])
    while not list(tmp_path.rglob("*.wandb")):
        time.sleep(0.05)
    service = core()
    service.suspend()
    tracker.log(entry.values for entry in ledger.rows[1:])
    threading.Timer(3.0, service.resume).start()
    tracker.finish(0, end="finished")
    assert Logs.read(tmp_path, ledger.manifest.owner).first_unlogged(ledger.rows) is None


def test_online_without_a_server_is_offline(ledger, tmp_path, caplog, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))  # no key of the user's either
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    with caplog.at_level(logging.WARNING):
        tracker = Tracker(TrackingSettings("online"), filled(ledger, 1), attempt=1)
        tracker.log([ledger.rows[0].values])
        tracker.finish(0)
    assert "cannot be opened online" in caplog.text
    assert "; the run is logged offline" in caplog.text
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
    assert run_state(Identity.of(cfg).folder).state != FINISHED
    assert run(cfg) in (-12.0, 0.0, 8.0)
    frame = load_runs(tmp_path).frame
    assert sorted(frame.env_step.unique()) == [0, 200, 400]
    assert state(tmp_path) == "finished"


@pytest.mark.parametrize("damage", ["deleted", "one bit"])
def test_the_lost_log_of_a_finished_run_is_written_again(configured, tmp_path, capsys, damage):
    cfg = configured("tracking=offline", "algo=qmix")
    run(cfg)
    before = load_runs(tmp_path).frame
    (log,) = (path for path in tmp_path.rglob("*.wandb") if not path.parent.is_symlink())
    if damage == "deleted":
        shutil.rmtree(log.parents[1])
    else:
        content = bytearray(log.read_bytes())
        content[len(content) // 2] ^= 16
        log.write_bytes(content)
    folder = Identity.of(cfg).folder
    assert not run_state(folder).is_over
    capsys.readouterr()
    run(cfg)
    assert "was written again from the ledger" in " ".join(capsys.readouterr().out.split())
    assert run_state(folder).is_over
    again = load_runs(tmp_path)
    assert again.frame.equals(before)
    assert list(again.report["gaps"]) == [0]
    assert len(Ledger.read(folder / "ledger.jsonl").rows) == 3


def test_disabled_writes_nothing(ledger, tmp_path):
    tracker = Tracker(TrackingSettings("disabled"), filled(ledger), attempt=1)
    tracker.log(entry.values for entry in ledger.rows)
    tracker.finish(0, end="finished")
    assert not list(tmp_path.rglob("*.wandb"))
