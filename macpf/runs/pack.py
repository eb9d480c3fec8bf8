"""One task of a job array: one or several runs, some of them in parallel, each in its own process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from macpf.records.run_state import run_state
from macpf.runs.errors import RunRefused
from macpf.runs.plan import Needed
from macpf.runs.preemption import SWEEP_PID, StopRequests

#: Seconds between two checks of the processes.
EVERY = 0.2


class Pack:
    """Runs that share one job.

    Args:
        runs: runs, in the order in which they are started.
        at_once: number of runs in parallel.
    """

    def __init__(self, runs: Sequence[Needed], at_once: int) -> None:
        self.runs, self.at_once = list(runs), at_once

    def __call__(self) -> None:
        """Train every run to its end from its current state; finished runs are skipped.

        A signal is passed on to the active runs. Once they have saved, submitit queues the job again
        (SIGUSR2), or SLURM does so itself (SIGTERM).

        Raises:
            RunRefused: a run failed or was killed; the others are finished.
            Interrupted: a signal stopped the job.
        """
        os.environ[SWEEP_PID] = str(os.getpid())  # so that no run outlives this process
        waiting = self._unfinished()
        playing: dict[subprocess.Popen[bytes], Needed] = {}
        failed: dict[Needed, int] = {}
        told = False
        with StopRequests() as stop:
            while playing or (waiting and not stop.pending()):
                while waiting and len(playing) < self.at_once and not stop.pending():
                    run = waiting.pop(0)
                    playing[_start(run)] = run
                if stop.pending() and not told:
                    told = True
                    for process in playing:
                        process.send_signal(stop.signum)
                for process in [process for process in playing if process.poll() is not None]:
                    run = playing.pop(process)
                    # A process that gets the signal before it can handle it is killed; it had not begun to train.
                    stopped = stop.pending() and process.returncode in (128 + stop.signum, -stop.signum)
                    if process.returncode and not stopped:
                        failed[run] = process.returncode
                time.sleep(EVERY)
            if stop.pending() and set(self._unfinished()) - set(failed):
                stop.stop()
        if failed:
            names = ", ".join(f"{run.identity} (exit code {code})" for run, code in failed.items())
            raise RunRefused(f"{len(failed)} of {len(self.runs)} runs failed: {names}")

    def _unfinished(self) -> list[Needed]:
        return [run for run in self.runs if not run_state(run.identity.folder).is_over]

    def checkpoint(self) -> Any:
        """What submitit queues again when SLURM preempts the job: the same runs, which resume from their folders."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)


def _start(run: Needed) -> subprocess.Popen[bytes]:
    # An experiment among the overrides would otherwise start a sweep.
    return subprocess.Popen([sys.executable, "-m", "macpf", "train", "hydra.mode=RUN", *run.overrides])
