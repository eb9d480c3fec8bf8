"""Replay memory that keeps what episodes filled, not what they could have filled."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from macpf.experience.batch import EpisodeBatch

#: Fields whose padding is not zero: in the padding every action is available.
ONES_IN_PADDING = ("available",)
#: Fields stored in fewer bytes than they are learnt from.
STORED_AS = {"actions": torch.int16}


class Replay:
    """The last `capacity` episodes, laid end to end in a ring of env steps that grows as it must.

    An episode of L env steps takes L + 1 rows (its last observation is kept). Row 0 of the arena is the padding,
    so that a batch is one gather for each field. Sampling is uniform without replacement.

    Args:
        capacity: most episodes kept; the oldest goes first.
        seed: of the sampling stream.
    """

    def __init__(self, capacity: int, seed: int) -> None:
        self.capacity = capacity
        self.random = np.random.default_rng(seed)
        self.starts = np.zeros(capacity, dtype=np.int64)  # position in the ring of episode number k, at k % capacity
        self.lengths = np.zeros(capacity, dtype=np.int64)
        self.added = 0  # episodes ever added
        self.head = 0  # where the next episode goes
        self.rows_used = 0  # rows of the episodes kept
        self.arena: dict[str, Tensor] = {}

    def __len__(self) -> int:
        return min(self.added, self.capacity)

    @property
    def n_rows(self) -> int:
        """Rows of the ring."""
        return len(self.arena["filled"]) - 1 if self.arena else 0

    def add(self, batch: EpisodeBatch) -> None:
        """Append the batch's episodes, in their order."""
        lengths = batch.filled.sum(dim=1).long().numpy()
        for b, length in enumerate(lengths):
            self._make_room(batch, int(length) + 1)
            rows = self._rows(self.head, int(length) + 1)
            for name, tensor in batch.tensors():
                episode = tensor[b, : length + 1]
                self.arena[name][rows[: len(episode)]] = episode.to(self.arena[name].dtype)
            slot = self.added % self.capacity
            self.starts[slot], self.lengths[slot] = self.head, length
            self.head = (self.head + int(length) + 1) % self.n_rows
            self.added += 1

    def sample(self, size: int) -> EpisodeBatch:
        """Draw `size` different episodes, padded to the longest of them."""
        slots = self.random.choice(len(self), size=size, replace=False)
        lengths = self.lengths[slots][:, None]
        offsets = np.arange(int(lengths.max()) + 1)
        ring = 1 + (self.starts[slots][:, None] + offsets) % self.n_rows
        rows = torch.from_numpy(np.where(offsets <= lengths, ring, 0))
        played = torch.from_numpy(np.where(offsets < lengths, ring, 0)[:, :-1])
        fields = {}
        for name, stored in self.arena.items():
            where = rows if name in ("obs", "state", "available") else played
            taken = stored.index_select(0, where.reshape(-1)).view(*where.shape, *stored.shape[1:])
            fields[name] = taken.long() if name == "actions" else taken
        return EpisodeBatch(**fields)

    def _rows(self, start: int, count: int) -> Tensor:
        return 1 + torch.arange(start, start + count) % self.n_rows

    def _kept(self) -> np.ndarray:
        """Slots of the episodes that stay when the next one is added, oldest first."""
        return np.arange(self.added - min(self.added, self.capacity - 1), self.added) % self.capacity

    def _make_room(self, like: EpisodeBatch, needed: int) -> None:
        """Push out the oldest episode if the memory is full; grow the ring if the next one still does not fit."""
        if len(self) == self.capacity:
            self.rows_used -= int(self.lengths[self.added % self.capacity]) + 1
        if self.rows_used + needed > self.n_rows:
            self._grow(like, max(2 * self.n_rows, self.rows_used + needed, 64))
        self.rows_used += needed

    def _grow(self, like: EpisodeBatch, n_rows: int) -> None:
        """Move the kept episodes to the start of a larger arena."""
        kept = self._kept()
        old_rows = [self._rows(int(self.starts[k]), int(self.lengths[k]) + 1) for k in kept]
        arena = {}
        for name, tensor in like.tensors():
            fill = name in ONES_IN_PADDING
            arena[name] = torch.full((n_rows + 1, *tensor.shape[2:]), fill, dtype=STORED_AS.get(name, tensor.dtype))
            if old_rows:
                arena[name][1 : self.rows_used + 1] = self.arena[name][torch.cat(old_rows)]
        self.arena = arena
        self.starts[kept] = np.cumsum([0, *(self.lengths[kept] + 1)])[:-1]
        self.head = self.rows_used

    def state_dict(self) -> dict[str, Any]:
        """Episodes, where they lie, and the sampling stream."""
        return {
            "arena": self.arena,
            "starts": torch.from_numpy(self.starts),
            "lengths": torch.from_numpy(self.lengths),
            "added": self.added,
            "head": self.head,
            "rows_used": self.rows_used,
            "random": self.random.bit_generator.state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` returned."""
        self.arena = state["arena"]
        self.starts, self.lengths = state["starts"].numpy(), state["lengths"].numpy()
        self.added, self.head, self.rows_used = state["added"], state["head"], state["rows_used"]
        self.random.bit_generator.state = state["random"]
