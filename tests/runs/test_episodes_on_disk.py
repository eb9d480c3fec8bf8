"""A run keeps its episodes while it may need them, and says so if there is no room for them."""

from __future__ import annotations

import errno
import os

import pytest

from macpf.experience.journal import Journal
from macpf.records.run_state import FINISHED, run_state
from macpf.runs import attempt, job
from macpf.runs.errors import RunRefused
from macpf.runs.folder import RunFolder
from macpf.runs.identity import Identity


@pytest.fixture
def cfg(configured):
    return configured("algo=qmix", "checkpoint.every_seconds=0")


@pytest.fixture
def folder(cfg):
    return RunFolder(Identity.of(cfg).folder)


def test_a_finished_run_has_no_episodes_left(cfg, folder):
    job.run(cfg)
    assert run_state(folder.path).state == FINISHED
    assert folder.checkpoint.exists()
    assert not (folder.path / "episodes").exists()


def test_a_finished_run_that_was_killed_before_deleting_them_is_tidied(cfg, folder):
    job.run(cfg)
    (folder.path / "episodes").mkdir()
    (folder.path / "episodes" / "000000000000.bin").write_bytes(b"left over")
    job.run(cfg)
    assert not (folder.path / "episodes").exists()


def test_a_full_disk_is_said_in_one_line_and_the_same_command_goes_on(cfg, folder, monkeypatch):
    append, left = Journal.append, 20

    def full(self, episodes):
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        append(self, episodes)

    monkeypatch.setattr(Journal, "append", full)
    with pytest.raises(RunRefused, match="No space left on device; make room, then the same command resumes") as caught:
        job.run(cfg)
    assert "\n" not in str(caught.value)
    assert folder.status()["state"] == "failed"
    monkeypatch.undo()
    score = job.run(cfg)
    assert run_state(folder.path).state == FINISHED
    assert folder.status()["attempt"] == 2
    assert score == folder.status()["score"]["independent"]


def test_episodes_stay_while_the_log_is_not_written(cfg, folder, monkeypatch):
    monkeypatch.setattr(attempt, "write_again", lambda settings, ledger: None)
    cfg.tracking.mode = "offline"
    with pytest.raises(RunRefused, match="W&B could not write the log"):
        job.run(cfg)
    assert (folder.path / "episodes").exists()
    monkeypatch.undo()
    cfg.tracking.mode = "disabled"
    job.run(cfg)
    assert run_state(folder.path).state == FINISHED
    assert not (folder.path / "episodes").exists()
