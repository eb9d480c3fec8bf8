"""Hyperparameters that change during a run, as functions of its clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import ConfigDict, NonNegativeFloat, PositiveInt
from pydantic.dataclasses import dataclass as checked


@dataclass
class Clock:
    """The counters of a run. Env steps are summed over all parallel environments."""

    env_steps: int = 0
    episodes: int = 0
    updates: int = 0

    def state_dict(self) -> dict[str, int]:
        """The three counters."""
        return {"env_steps": self.env_steps, "episodes": self.episodes, "updates": self.updates}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Restore what `state_dict` returned."""
        self.env_steps, self.episodes, self.updates = state["env_steps"], state["episodes"], state["updates"]


@checked(frozen=True, config=ConfigDict(extra="forbid"))
class Schedule:
    """A value that goes from `start` to `end` and then stays constant.

    Exactly one of `duration` and `factor` must be given.

    Attributes:
        start, end: first and last value.
        per: unit of time, ``env_steps`` or ``episodes``.
        duration: for a straight line: time from start to end, in units of `per`; else None.
        factor: for a geometric fall: factor of the value for each unit of `per`; else None.
    """

    start: NonNegativeFloat
    end: NonNegativeFloat
    per: Literal["env_steps", "episodes"]
    duration: PositiveInt | None
    factor: float | None

    def __post_init__(self) -> None:
        if (self.duration is None) == (self.factor is None):
            raise ValueError("give duration (a straight line) or factor (a geometric fall), and set the other to null")
        if self.factor is not None and not 0 < self.factor < 1:
            raise ValueError(f"factor={self.factor} must lie between 0 and 1")
        if self.factor is not None and self.end > self.start:
            raise ValueError(f"end={self.end} is above start={self.start}, but a factor below 1 only falls")

    def as_probability(self, name: str) -> Schedule:
        """The schedule itself.

        Raises:
            ValueError: it exceeds 1.
        """
        if max(self.start, self.end) > 1:
            raise ValueError(f"{name} is a probability, but reaches {max(self.start, self.end)}; use at most 1")
        return self

    def __call__(self, clock: Clock) -> float:
        """The value at the time that the clock shows."""
        passed = getattr(clock, self.per)
        if self.factor is not None:
            return max(self.end, self.start * self.factor**passed)
        assert self.duration is not None
        return self.start + min(passed / self.duration, 1.0) * (self.end - self.start)
