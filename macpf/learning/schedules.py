"""Values that change while a run goes on, as functions of its clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import ConfigDict, NonNegativeFloat, PositiveInt
from pydantic.dataclasses import dataclass as checked


@dataclass
class Clock:
    """The one place that counts. Env steps are counted over all parallel environments."""

    env_steps: int = 0
    episodes: int = 0
    updates: int = 0

    def state_dict(self) -> dict[str, int]:
        """The three counters."""
        return {"env_steps": self.env_steps, "episodes": self.episodes, "updates": self.updates}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Put back what `state_dict` returned."""
        self.env_steps, self.episodes, self.updates = state["env_steps"], state["episodes"], state["updates"]


@checked(frozen=True, config=ConfigDict(extra="forbid"))
class Schedule:
    """From `start` to `end`, then constant; constant throughout if the two are equal.

    Attributes:
        start, end: first and last value.
        per: what is counted, ``env_steps`` or ``episodes``.
        duration: units of `per` for a straight line from start to end, or None.
        factor: what each unit of `per` multiplies the value by, or None. One of the two must be given.
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
            ValueError: it rises above 1.
        """
        if max(self.start, self.end) > 1:
            raise ValueError(f"{name} is a probability, but reaches {max(self.start, self.end)}; use at most 1")
        return self

    def __call__(self, clock: Clock) -> float:
        """Value at the clock's time."""
        passed = getattr(clock, self.per)
        if self.factor is not None:
            return max(self.end, self.start * self.factor**passed)
        assert self.duration is not None
        return self.start + min(passed / self.duration, 1.0) * (self.end - self.start)
