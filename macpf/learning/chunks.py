"""Chunks of episodes, on which on-policy algorithms train recurrent networks (truncated backpropagation in time)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from macpf.experience.batch import EpisodeBatch


def stack_frames(batch: EpisodeBatch, inputs: Float[Tensor, "R *N I"], n_frames: int) -> Float[Tensor, "R *N KI"]:
    """The last K inputs of every row, ordered (t-1, t-2, ..., t) as in marlbenchmark/on-policy; zeros before t = 0."""
    if n_frames == 1:
        return inputs
    before = F.pad(batch.previous, (0, 1), value=len(inputs))
    padded = torch.cat([inputs, torch.zeros_like(inputs[:1])])
    frames, row = [], before[:-1]
    for _ in range(n_frames - 1):
        frames.append(padded[row])
        row = before[row]
    return torch.cat([*frames, inputs], dim=-1)


@dataclass(frozen=True)
class Part:
    """The chunks of one gradient step, on the learner's device; see `Chunks`."""

    entries: Int[Tensor, " E"]
    before: Int[Tensor, " M"]
    sizes: list[int]


@dataclass(frozen=True)
class Chunks:
    """M chunks of at most C played steps, each of one agent in one episode, from the longest to the shortest.

    Agent i in row r of a batch is entry r N + i. Chunks are made on the CPU, even if the batch is on another device.

    Attributes:
        steps: [M, C] entries of each chunk's steps, -1 after its end.
        before: [M] entry one env step before each chunk, R N + i at the start of an episode.
    """

    steps: Int[Tensor, "M C"]
    before: Int[Tensor, " M"]

    @classmethod
    def of(cls, batch: EpisodeBatch, length: int) -> Chunks:
        """Cut every agent's episodes into chunks of `length` steps; the last one of an episode may be shorter."""
        R, N = batch.actions.shape
        time, episode = batch.time.cpu(), batch.episode.cpu()
        pieces = int(time.max()) // length + 1  # no episode has more chunks
        played = batch.filled.cpu().bool()
        rows = torch.full((batch.size * pieces, length), -1)
        rows[(episode * pieces + time // length)[played], (time % length)[played]] = torch.arange(R)[played]
        n_steps = (rows >= 0).sum(dim=1)
        order = n_steps.argsort(descending=True, stable=True)[: int((n_steps > 0).sum())]
        rows = rows[order].repeat_interleave(N, dim=0)
        agents = torch.arange(N).repeat(len(order))
        return cls(
            steps=torch.where(rows >= 0, rows * N + agents.unsqueeze(-1), -1),
            before=batch.previous.cpu()[rows[:, 0]] * N + agents,
        )

    @property
    def entries(self) -> Int[Tensor, " E"]:
        """Entries in the order of `macpf.learning.recurrence.recur`: by time within the chunk, then by chunk."""
        by_time = self.steps.t().flatten()
        return by_time[by_time >= 0]

    @property
    def sizes(self) -> list[int]:
        """How many chunks have a first, second, ... step."""
        sizes: list[int] = (self.steps >= 0).sum(dim=0).tolist()
        return [size for size in sizes if size]

    def on(self, device: str) -> Part:
        """These chunks, on the learner's device."""
        return Part(self.entries.to(device), self.before.to(device), self.sizes)

    def deal(self, n_parts: int, generator: torch.Generator) -> Iterator[Chunks]:
        """Random minibatches whose sizes differ by at most one chunk; with one part, all chunks in their order."""
        if n_parts == 1:
            yield self
            return
        M = len(self.steps)
        for part in torch.randperm(M, generator=generator, device=generator.device).tensor_split(n_parts):
            if len(part):
                longest_first = part.cpu().sort().values
                yield Chunks(self.steps[longest_first], self.before[longest_first])
