"""The overall progress of a set of runs, and the time until all are finished."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from macpf.records.run_state import RUNNING, RunState

#: What similar runs share of their folders' parts, the most similar first.
_ALIKE = (("env", "map", "algo"), ("env", "algo"), ("env", "map"), ("env",), ())


@dataclass(frozen=True)
class Outlook:
    """The overall progress of a set of runs.

    Attributes:
        progress: fraction of all their env steps that have been played, 0 to 1.
        seconds_left: seconds until all are over, if as many are trained at once as now; None if no run is active, or
            the speed of an active run cannot be estimated.
        at_once: how many runs are active.
    """

    progress: float
    seconds_left: float | None
    at_once: int

    def __str__(self) -> str:
        if self.progress >= 1:
            return "100% done"
        left = (
            f"about {duration(self.seconds_left)} left with {self.at_once} at once"
            if self.at_once
            else "none is being played"
        )
        return f"{int(100 * self.progress)}% done, {left}"


def outlook(runs: Sequence[RunState]) -> Outlook:
    """The overall progress of some runs.

    A run that has not started has no known length, and one that waits has no known speed. Both are taken from the
    median of the most similar runs. The remaining time is simulated: the worker that finishes first takes the next run.
    """
    lengths = _medians(runs, "total_env_steps")
    speeds = _medians(runs, "steps_per_second")
    played = total = 0.0
    busy, waiting = list[float](), list[float]()
    for run in runs:
        length = run.status.get("total_env_steps") or _of(lengths, run) or 1.0
        total += length
        played += run.progress * length
        if run.is_over:
            continue
        own = run.status.get("steps_per_second") if run.state == RUNNING else None
        speed = own or _of(speeds, run)
        seconds = (1 - run.progress) * length / speed if speed else None
        if seconds is not None:
            (busy if run.state == RUNNING else waiting).append(seconds)
        elif run.state == RUNNING:
            return Outlook(played / total, None, sum(run.state == RUNNING for run in runs))
    at_once = len(busy)
    if busy:
        heapq.heapify(busy)
        for seconds in waiting:
            heapq.heapreplace(busy, busy[0] + seconds)
    return Outlook(played / total if total else 1.0, max(busy, default=None), at_once)


def _medians(runs: Sequence[RunState], what: str) -> dict[tuple[tuple[str, str], ...], float]:
    found: dict[tuple[tuple[str, str], ...], list[float]] = defaultdict(list)
    for run in runs:
        if value := run.status.get(what):
            for alike in _kinds(run):
                found[alike].append(float(value))
    return {alike: median(values) for alike, values in found.items()}


def _of(medians: dict[tuple[tuple[str, str], ...], float], run: RunState) -> float | None:
    return next((medians[alike] for alike in _kinds(run) if alike in medians), None)


def _kinds(run: RunState) -> list[tuple[tuple[str, str], ...]]:
    parts = dict(zip(("env", "map", "algo"), run.folder.parts[-5:-2], strict=True))
    return [tuple((key, parts[key]) for key in keys) for keys in _ALIKE]


def duration(seconds: float | None) -> str:
    """Seconds as ``m:ss`` or ``h:mm:ss``."""
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
