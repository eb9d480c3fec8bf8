"""The run folder: its lock, and the files in it."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from macpf.records.files import Damaged, write_atomically
from macpf.records.ledger import NAME
from macpf.records.run_state import STATUS, Status, read_status
from macpf.runs.errors import RunRefused


class RunFolder:
    """``config.yaml``, ``ledger.jsonl``, ``checkpoint.pt``, ``status.json``, ``wandb/``, ``episodes/``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def checkpoint(self) -> Path:
        """The newest checkpoint."""
        return self.path / "checkpoint.pt"

    @property
    def continuable(self) -> Path:
        """The state from which a finished run continues to a larger budget, if it was kept."""
        return self.path / "continuable.pt"

    @property
    def ledger(self) -> Path:
        """The run's record of its results."""
        return self.path / NAME

    @property
    def episodes(self) -> Path:
        """Where the run keeps the episodes of its replay until it is finished."""
        return self.path / "episodes"

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the folder; the operating system releases the lock when the process ends in any way.

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
        """What `write_status` wrote last; empty if there is no status."""
        try:
            return read_status(self.path)
        except Damaged:
            return {}

    def write_status(self, state: str, **facts: Any) -> None:
        """Write the status of the run atomically."""
        here = {"pid": os.getpid(), "host": socket.gethostname(), "updated": time.time()}
        status = Status.model_validate({"state": state} | here | facts)
        write_atomically(self.path / STATUS, status.model_dump_json(indent=1, exclude_none=True).encode())
