"""Stopping on request: a signal sets a flag, and the training loop saves at its next safe point and stops."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from macpf.runs.errors import Interrupted

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)

#: Environment variable with the process id of the sweep or job that started this process.
SWEEP_PID = "MACPF_SWEEP_PID"


def in_worker() -> bool:
    """Whether a sweep or a job started this process for its runs (joblib trains single runs in the sweep's process)."""
    return os.environ.get(SWEEP_PID, str(os.getpid())) != str(os.getpid())


def orphaned() -> bool:
    """Whether this process is a sweep's worker and the sweep is gone."""
    return in_worker() and os.environ[SWEEP_PID] != str(os.getppid())


class StopRequests:
    """Remembers the first of SIGTERM, SIGINT and SIGUSR2 while it is active. A second SIGINT (Ctrl-C) ends at once.

    A process that received a signal starts no further run: one signal to a sweep's worker stops all of its remaining
    runs. For a worker, the end of its parent process counts as a SIGTERM, so that no worker outlives its sweep.
    """

    received: int | None = None  # for the whole process, so it is kept after the run that was stopped

    def __init__(self) -> None:
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopRequests:
        if threading.current_thread() is threading.main_thread():
            self._previous = {signum: signal.signal(signum, self._note) for signum in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if signum == StopRequests.received == signal.SIGINT:
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
        if signum == signal.SIGINT and not in_worker() and StopRequests.received is None:
            os.write(2, b"\nsaving after this round of episodes; Ctrl-C again ends at once\n")
        StopRequests.received = StopRequests.received or signum

    @property
    def signum(self) -> int:
        """The signal that was received; there must be one."""
        assert StopRequests.received is not None
        return StopRequests.received

    def pending(self) -> bool:
        """Whether the run should save and stop now."""
        if orphaned():
            StopRequests.received = StopRequests.received or signal.SIGTERM
        return StopRequests.received is not None

    def stop(self) -> None:
        """Leave the run, to be called once it is saved.

        A previously installed handler for SIGUSR2 is called first: submitit's asks SLURM to requeue.

        Raises:
            Interrupted: always, unless that handler ends the process.
        """
        handler: Callable[..., object] | Any = self._previous.get(self.signum)
        if self.signum == signal.SIGUSR2 and callable(handler):
            handler(self.signum, None)
        raise Interrupted(self.signum)
