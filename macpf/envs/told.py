"""What environments of PettingZoo say beside observations and rewards: the numbers in their infos, for each episode."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from jaxtyping import Float


class Told:
    """The numbers that B episodes have told so far.

    Each is the mean over the agents whose info names it. ``<name>`` is that of the newest step that told it
    (``success`` of an episode that is over), ``<name>_total`` its sum over the steps (``collisions``).

    Args:
        batch_size: episodes B.
    """

    def __init__(self, batch_size: int) -> None:
        self._numbers: dict[str, Float[np.ndarray, "B"]] = defaultdict(lambda: np.full(batch_size, np.nan))

    def forget(self, b: int) -> None:
        """Begin a new episode in copy b."""
        for values in self._numbers.values():
            values[b] = np.nan

    def note(self, b: int, infos: Mapping[str, Any]) -> None:
        """Take in what a step of copy b said, by agent."""
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
    def info(self) -> dict[str, Float[np.ndarray, "B"]]:
        """Each number by its name; NaN for episodes that have not told it."""
        return {name: values.copy() for name, values in self._numbers.items()}
