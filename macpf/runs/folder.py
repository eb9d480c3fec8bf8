"""The run folder: who may write in it, and what it says about its run."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from macpf.runs.errors import RunRefused
from macpf.standing import FINISHED


class RunFolder:
    """A folder with ``config.yaml``, ``checkpoint.pt``, ``status.json``, ``run.lock``, ``wandb/`` and ``episodes/``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def checkpoint(self) -> Path:
        """The newest checkpoint."""
        return self.path / "checkpoint.pt"

    @property
    def episodes(self) -> Path:
        """Where the run keeps the episodes of its replay until it is finished."""
        return self.path / "episodes"

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder; the system lets go of it when the process ends, however it ends.

        Raises:
            RunRefused: another process holds it, or the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / "run.lock", timeout=0)
            lock.acquire()
        except Timeout:
            holder = self.status()
            who = f"process {holder['pid']} on host {holder['host']}" if "pid" in holder else "another process"
            raise RunRefused(f"{self.path} is being run by {who}; wait for it or stop it first") from None
        except OSError as error:
            raise RunRefused(f"cannot write in {self.path}: {error.strerror or error}") from None
        try:
            yield
        finally:
            lock.release()

    def status(self) -> dict[str, Any]:
        """What `write_status` wrote last; empty if there is nothing to read."""
        try:
            status = json.loads((self.path / "status.json").read_text())
        except (OSError, ValueError):
            return {}
        return status if isinstance(status, dict) else {}

    def write_status(self, state: str, **facts: Any) -> None:
        """Say how the run stands; readers never see half of it."""
        here = {"pid": os.getpid(), "host": socket.gethostname(), "updated": time.time()}
        write_atomically(self.path / "status.json", json.dumps({"state": state} | here | facts, indent=1).encode())

    @property
    def is_finished(self) -> bool:
        """Whether the run reached its budget."""
        return self.status().get("state") == FINISHED


def write_atomically(path: Path, content: bytes, keep_previous: bool = False) -> None:
    """Write a file so that a crash at any moment leaves the old content or the new, on the disk and not in a cache.

    With `keep_previous` the old content stays as ``<stem>.previous<suffix>``.
    """
    new = path.with_name(f"{path.name}.new")
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if keep_previous and path.exists():
        os.replace(path, previous(path))
    os.replace(new, path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def previous(path: Path) -> Path:
    """Where `write_atomically` keeps the previous content."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")
