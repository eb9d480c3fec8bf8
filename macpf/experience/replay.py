"""Replay memory that keeps what was played, as short as the environment can say it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from macpf.experience.batch import EpisodeBatch
from macpf.experience.recording import Episode, Expand, as_batch


class Replay:
    """The last `capacity` episodes, each in memory of its own and no longer than it was played.

    Nothing is kept that follows from something else: observations, states and available actions are expanded from
    the environment's record when they are sampled, with the bits that were played (records are float32, actions
    int16, rewards float32). Sampling is uniform without replacement.

    Args:
        capacity: most episodes kept; the oldest goes first.
        seed: of the sampling stream.
        expand: the environment's, from records to what was seen.
    """

    def __init__(self, capacity: int, seed: int, expand: Expand) -> None:
        self.capacity, self.expand = capacity, expand
        self.random = np.random.default_rng(seed)
        self.added = 0  # episodes ever added; number k lies at k % capacity
        self.episodes: list[Episode] = []

    def __len__(self) -> int:
        return len(self.episodes)

    @property
    def nbytes(self) -> int:
        """Bytes of the episodes kept."""
        return sum(episode.nbytes for episode in self.episodes)

    def add(self, episodes: Iterable[Episode]) -> None:
        """Append episodes, in their order."""
        for episode in episodes:
            if len(self) < self.capacity:
                self.episodes.append(episode.copy())
            else:
                self.episodes[self.added % self.capacity] = episode.copy()
            self.added += 1

    def sample(self, size: int) -> EpisodeBatch:
        """Draw `size` different episodes, padded to the longest of them."""
        slots = self.random.choice(len(self), size=size, replace=False)
        drawn = [self.episodes[slot] for slot in slots]
        n_rows = np.array([len(episode) for episode in drawn])
        rows = np.zeros((size, n_rows.max()), dtype=drawn[0].dtype)
        as_bytes = rows.view(np.uint8).reshape(*rows.shape, -1)  # numpy copies rows field by field, bytes at once
        for b, episode in enumerate(drawn):
            as_bytes[b, : len(episode)] = episode.view(np.uint8).reshape(len(episode), -1)
        return as_batch(rows, n_rows - 1, self.expand)

    def state_dict(self) -> dict[str, Any]:
        """Which episodes these are, by their number from 0 on, and the sampling stream; not the episodes."""
        return {
            "first": self.added - len(self),
            "added": self.added,
            "random": self.random.bit_generator.state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` returned, together with the ``episodes`` from ``first`` to ``added`` - 1."""
        oldest_first = list(state["episodes"])
        if len(oldest_first) != state["added"] - state["first"]:
            raise ValueError(f"{len(oldest_first)} of {state['added'] - state['first']} episodes are here")
        shift = state["first"] % self.capacity
        self.episodes = oldest_first[-shift:] + oldest_first[:-shift]
        self.added = state["added"]
        self.random.bit_generator.state = state["random"]


def most_bytes(capacity: int, episode_limit: int, row: np.dtype[np.void]) -> int:
    """Bytes of a full replay if every episode goes on to its time limit."""
    return capacity * (episode_limit + 1) * row.itemsize
