"""Replay memory that stores episodes in the compact form of their environment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from macpf.envs.base import Env
from macpf.experience.batch import EpisodeBatch
from macpf.experience.recording import Episode, as_batch


class Replay:
    """The last `capacity` episodes, each in its own memory and only as long as it was played.

    Observations, states and available actions are not stored. They are expanded from the environment's record when they
    are sampled, with identical bits (records are float32, actions int16, rewards float32). Sampling is uniform without
    replacement.

    Args:
        capacity: largest number of episodes; the oldest is dropped first.
        seed: seed of the random stream for sampling.
        env: the environment, which expands its records into observations and states.
    """

    def __init__(self, capacity: int, seed: int, env: Env) -> None:
        self.capacity, self.env = capacity, env
        self.random = np.random.default_rng(seed)
        self.added = 0  # episodes ever added; number k lies at k % capacity
        self.episodes: list[Episode] = []

    def __len__(self) -> int:
        return len(self.episodes)

    @property
    def nbytes(self) -> int:
        """Bytes of the stored episodes."""
        return sum(episode.nbytes for episode in self.episodes)

    def add(self, episodes: Iterable[Episode]) -> None:
        """Append episodes in order."""
        for episode in episodes:
            if len(self) < self.capacity:
                self.episodes.append(episode.copy())
            else:
                self.episodes[self.added % self.capacity] = episode.copy()
            self.added += 1

    def sample(self, size: int, visibility: bool = False, after_end: bool = False) -> EpisodeBatch:
        """Draw `size` different episodes; `visibility` and `after_end` as for `as_batch`."""
        slots = self.random.choice(len(self), size=size, replace=False)
        return as_batch([self.episodes[slot] for slot in slots], self.env, visibility, after_end)

    def state_dict(self) -> dict[str, Any]:
        """The numbers of the stored episodes (counted from 0) and the sampling stream, but not the episodes."""
        return {
            "first": self.added - len(self),
            "added": self.added,
            "random": self.random.bit_generator.state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned, together with the ``episodes`` from ``first`` to ``added`` - 1."""
        oldest_first = list(state["episodes"])
        if len(oldest_first) != state["added"] - state["first"]:
            raise ValueError(f"{len(oldest_first)} of {state['added'] - state['first']} episodes are here")
        shift = state["first"] % self.capacity
        self.episodes = oldest_first[-shift:] + oldest_first[:-shift]
        self.added = state["added"]
        self.random.bit_generator.state = state["random"]


def most_bytes(capacity: int, episode_limit: int, row: np.dtype[np.void]) -> int:
    """Bytes of a full replay if every episode lasts until its time limit."""
    return capacity * (episode_limit + 1) * row.itemsize
