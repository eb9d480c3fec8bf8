"""Add an environment: two agents on a line of cells are paid when they meet. Train QMIX on it.

Usage: python examples/add_an_environment.py [MORE SETTINGS, e.g. algo=macpf]

Its settings are in examples/conf/env/meeting.yaml and examples/conf/map/nine_cells.yaml. docs/add_an_environment.md
explains the interface.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from macpf.configuration import compose
from macpf.envs.base import Env, EnvSpec, Step
from macpf.runs.job import run


class Meeting(Env):
    """B games in parallel. Actions: 0 stay, 1 left, 2 right. Each agent observes both places; the state is the same.

    Args:
        cells: cells of the line.
        length: env steps of an episode.
        batch_size: games B.
        seed: of all random streams.
    """

    def __init__(self, cells: int, length: int, batch_size: int, seed: int) -> None:
        self.cells, self.batch_size = cells, batch_size
        self.spec = EnvSpec(
            n_agents=2, n_actions=3, obs_dim=2 * cells, state_dim=2 * cells, episode_limit=length, score="return"
        )
        self.streams = [np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(b,))) for b in range(batch_size)]
        self.places: Int[np.ndarray, "B N"] = np.zeros((batch_size, 2), dtype=np.int64)
        self.played = 0

    def reset(self) -> Step:
        """Start new games at random places."""
        self.played = 0
        self.places = np.array([stream.integers(self.cells, size=2) for stream in self.streams])
        return self._step(np.zeros(self.batch_size, dtype=np.float32))

    def step(self, actions: Int[np.ndarray, "B N"]) -> Step:
        """Move, and pay 1 where both agents are in the same cell."""
        self.played += 1
        self.places = np.clip(self.places + np.array([0, -1, 1])[actions], 0, self.cells - 1)
        return self._step((self.places[:, 0] == self.places[:, 1]).astype(np.float32))

    def _step(self, reward: Float[np.ndarray, " B"]) -> Step:
        state = np.eye(self.cells, dtype=np.float32)[self.places].reshape(self.batch_size, -1)
        return Step(
            obs=np.repeat(state[:, None], 2, axis=1),
            state=state,
            available=np.ones((self.batch_size, 2, 3), dtype=bool),
            reward=reward,
            terminated=np.zeros(self.batch_size, dtype=bool),
            truncated=np.full(self.batch_size, self.played >= self.spec.episode_limit),
        )

    def state_dict(self) -> dict[str, Any]:
        """The random streams: runs are saved between episodes, so the games themselves need not be saved."""
        return {"streams": [stream.bit_generator.state for stream in self.streams]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        for stream, saved in zip(self.streams, state["streams"], strict=True):
            stream.bit_generator.state = saved


if __name__ == "__main__":
    conf = f"hydra.searchpath=[file://{Path(__file__).resolve().parent / 'conf'}]"
    print("final return:", run(compose("algo=qmix", "env=meeting", conf, "budget=smoke", *sys.argv[1:])))
