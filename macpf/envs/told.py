"""The numbers in the infos of PettingZoo environments, collected for each episode."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from jaxtyping import Float


class Told:
    """The numbers in the infos of B episodes so far.

    Each number is averaged over the agents whose info contains it. ``<name>`` is its value at the latest env step that
    reported it (e.g. ``success`` at the end of an episode), ``<name>_total`` its sum over env steps (``collisions``).

    Args:
        batch_size: number of episodes B.
    """

    def __init__(self, batch_size: int) -> None:
        self._numbers: dict[str, Float[np.ndarray, " B"]] = defaultdict(lambda: np.full(batch_size, np.nan))

    def forget(self, b: int) -> None:
        """Discard the numbers of copy b, for a new episode."""
        for values in self._numbers.values():
            values[b] = np.nan

    def note(self, b: int, infos: Mapping[str, Any]) -> None:
        """Add the infos of one env step of copy b, by agent."""
        said: dict[str, list[float]] = defaultdict(list)
        for info in infos.values():
            for name, value in info.items() if isinstance(info, Mapping) else ():
                if isinstance(value, Real | np.bool_):
                    said[re.sub(r"[^\w.-]+", "_", str(name))].append(float(value))
        for name, values in said.items():
            self._numbers[name][b] = now = float(np.mean(values))
            total = self._numbers[f"{name}_total"]
            total[b] = now if np.isnan(total[b]) else total[b] + now

    @property
    def info(self) -> dict[str, Float[np.ndarray, " B"]]:
        """All numbers by name; NaN for episodes that have not reported one."""
        return {name: values.copy() for name, values in self._numbers.items()}
