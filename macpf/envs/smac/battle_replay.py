"""Replays of battles as animated GIFs, in place of SMAC's replay files."""

from __future__ import annotations

import datetime
import logging
from pathlib import Path

import numpy as np

from macpf.envs.animation import as_gif
from macpf.envs.smac.maps import SmacMap
from macpf.envs.smac.skirmish.battles import Skirmish
from macpf.envs.smac.skirmish.layout import Battlefield
from macpf.extras import require

#: Libraries for drawing whose debug messages are silenced, as numba's are in `macpf.envs.smac.skirmish`.
QUIET = ("matplotlib", "PIL")


class Replay:
    """The frames of one battle. It stores the engine's arrays; pictures are only drawn on request."""

    def __init__(self) -> None:
        self._field: tuple[SmacMap, Battlefield] | None = None
        self._moments: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def begin(self, battle: Skirmish) -> None:
        """Start recording a new battle; the previous one is dropped."""
        self._field, self._moments = (battle.roster(), battle.constants()), []
        self.add(battle)

    def add(self, battle: Skirmish) -> None:
        """Store the current state of battle 0."""
        self._moments.append((battle.floats[0].copy(), battle.ints[0].copy(), battle.counts[0].copy()))

    def gif(self) -> bytes:
        """The battle as an animation.

        Raises:
            RuntimeError: no battle has begun.
        """
        require("render", "an animation of a battle")
        from macpf.envs.smac.skirmish.battle_pictures import Painter  # loads matplotlib, which playing does not need

        if self._field is None:
            raise RuntimeError("no battle has begun; call reset() first")
        for name in QUIET:
            if logging.getLogger(name).level == logging.NOTSET:
                logging.getLogger(name).setLevel(logging.WARNING)
        painter = Painter(*self._field)
        return as_gif(painter.paint(*moment) for moment in self._moments)

    @staticmethod
    def write(gif: bytes, folder: str, prefix: str) -> Path:
        """Write a GIF to ``<folder>/<prefix>_<time>.gif``; the folder is created if needed."""
        now = datetime.datetime.now().strftime("%Y-%m-%d-%H-%M-%S-%f")
        path = Path(folder or ".") / f"{prefix}_{now}.gif"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gif)
        return path
