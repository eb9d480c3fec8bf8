"""The output of a single run on the terminal."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from macpf.records.outlook import duration

#: Seconds between lines if there is no terminal for a progress bar: LINE_EVERY at first, later a SHARE of the time
#: passed, so that a day has some hundred lines. The wait doubles if a line says nothing new, up to LONGEST (an hour).
LINE_EVERY, SHARE, LONGEST = 10.0, 0.05, 3600.0


class Lines:
    """Decides when the next line of a log is due."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._said = float("-inf")
        self._wait = 0.0
        self._last = ""

    def due(self, line: str) -> bool:
        """Whether to print this line now; it then counts as printed."""
        now = time.monotonic()
        if now - self._said < self._wait:
            return False
        wait = max(LINE_EVERY, SHARE * (now - self._begun), 2 * self._wait if line == self._last else 0.0)
        self._wait = min(wait, LONGEST)
        self._said, self._last = now, line
        return True


def describe_score(status: dict[str, Any]) -> str:
    """The latest greedy score of each policy, e.g. ``return 8.00 (dependent 8.00)``."""
    score = dict(status.get("score") or {})
    if not score:
        return "not evaluated yet"
    first = f"{status['score_name']} {score.pop(next(iter(score))):.2f}"
    others = ", ".join(f"{policy} {value:.2f}" for policy, value in score.items())
    return f"{first} ({others})" if others else first


def describe_pace(status: dict[str, Any]) -> str:
    """Speed and time left, e.g. ``420 steps/s, 0:12 left``."""
    return f"{status['steps_per_second']:,.0f} steps/s, {duration(status['seconds_left'])} left"


class RunConsole:
    """A progress bar on a terminal, occasional lines elsewhere, and nothing in the workers of a sweep."""

    def __init__(self, title: str, quiet: bool) -> None:
        self.title, self.quiet = title, quiet
        self.console = Console(highlight=False)
        self._bar: Progress | None = None
        self._lines: Lines | None = Lines()

    def __enter__(self) -> RunConsole:
        if not self.quiet and self.console.is_terminal:
            columns = ("[bold]{task.description}", "{task.percentage:>3.0f}%", "{task.fields[score]}")
            self._bar = Progress(
                TextColumn(columns[0]),
                BarColumn(),
                TextColumn(columns[1]),
                TextColumn(columns[2]),
                TextColumn("[dim]{task.fields[pace]}"),
                console=self.console,
            )
            self._bar.start()
            self._bar.add_task(self.title, total=None, score="starting", pace="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, line: str) -> None:
        """Print one line, unless quiet."""
        if not self.quiet:
            self.console.print(line, soft_wrap=True, markup=False)

    def update(self, status: dict[str, Any]) -> None:
        """Show the progress of the run."""
        score, pace = describe_score(status), describe_pace(status)
        step, total = status["env_step"], status["total_env_steps"]
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], total=total, completed=step, score=score, pace=pace)
        elif self._lines is not None:
            line = f"{self.title}: {step:,}/{total:,} env steps, {score}, {pace}"
            if step >= total:
                self._lines = None  # that was the last one
                self.say(line)
            elif self._lines.due(line):
                self.say(line)
