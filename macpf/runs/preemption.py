"""Stopping on request: a signal sets a flag, the training loop saves at its next safe point and stops."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from macpf.runs.errors import Interrupted

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)

#: Environment variable by which a sweep's processes know the sweep's own.
SWEEP_PID = "MACPF_SWEEP_PID"


def in_worker() -> bool:
    """Whether this is a process that a sweep on this machine started (joblib plays single runs in the sweep's own)."""
    return os.environ.get(SWEEP_PID, str(os.getpid())) != str(os.getpid())


class StopRequests:
    """Remembers the first of SIGTERM, SIGINT and SIGUSR2 while it is active.

    A process that received one starts no further run: a sweep's worker is asked once for all the runs it would still
    play. With `follow_parent` the end of the process that started this one counts as a SIGTERM, so that no worker
    outlives its sweep.
    """

    received: int | None = None  # of the process, so that it outlives the run that was stopped

    def __init__(self, follow_parent: bool) -> None:
        self.parent = os.getppid() if follow_parent else None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopRequests:
        if threading.current_thread() is threading.main_thread():
            self._previous = {signum: signal.signal(signum, self._note) for signum in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        StopRequests.received = StopRequests.received or signum

    def pending(self) -> bool:
        """Whether the run should save and stop now."""
        if self.parent is not None and os.getppid() != self.parent:
            StopRequests.received = StopRequests.received or signal.SIGTERM
        return StopRequests.received is not None

    def stop(self) -> None:
        """Leave the run, to be called once it is saved.

        A handler that somebody installed before for SIGUSR2 is called first: submitit's asks SLURM to requeue.

        Raises:
            Interrupted: always, unless that handler ends the process.
        """
        signum = StopRequests.received
        assert signum is not None
        handler: Callable[..., object] | Any = self._previous.get(signum)
        if signum == signal.SIGUSR2 and callable(handler):
            handler(signum, None)
        raise Interrupted(signum)
