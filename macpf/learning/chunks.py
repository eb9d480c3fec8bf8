"""Short pieces of episodes, on which recurrent policies are trained from fresh data (truncated backpropagation)."""

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
    """The last K inputs of every row's episode, ordered (t-1, t-2, ..., t), zeros before the first (ONP's order)."""
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
    """Pieces for one gradient step, on the learner's device: see `Chunks`."""

    entries: Int[Tensor, "E"]
    before: Int[Tensor, "M"]
    sizes: list[int]


@dataclass(frozen=True)
class Chunks:
    """M pieces, each of one agent in one episode and of at most C played steps, from the longest to the shortest.

    Agent i in row r of a batch is entry r N + i. Chunks are cut and dealt on the CPU, wherever the batch lies.

    Attributes:
        steps: [M, C] entries of the pieces' steps, -1 behind a piece's end.
        before: [M] entry one env step before a piece begins, R N + i at the start of an episode.
    """

    steps: Int[Tensor, "M C"]
    before: Int[Tensor, "M"]

    @classmethod
    def of(cls, batch: EpisodeBatch, length: int) -> Chunks:
        """Cut every episode of every agent after each `length` steps."""
        R, N = batch.actions.shape
        time, episode = batch.time.cpu(), batch.episode.cpu()
        pieces = int(time.max()) // length + 1  # of the longest episode, at most
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
    def entries(self) -> Int[Tensor, "E"]:
        """All steps as `macpf.learning.recurrence.recur` wants them: by time in the piece, then by piece."""
        by_time = self.steps.t().flatten()
        return by_time[by_time >= 0]

    @property
    def sizes(self) -> list[int]:
        """How many pieces have a first, second, ... step."""
        sizes: list[int] = (self.steps >= 0).sum(dim=0).tolist()
        return [size for size in sizes if size]

    def on(self, device: str) -> Part:
        """These pieces as a learner on that device reads them."""
        return Part(self.entries.to(device), self.before.to(device), self.sizes)

    def deal(self, n_parts: int, generator: torch.Generator) -> Iterator[Chunks]:
        """Random parts of equal size, up to one piece; all pieces as they are if there is one part."""
        if n_parts == 1:
            yield self
            return
        M = len(self.steps)
        for part in torch.randperm(M, generator=generator, device=generator.device).tensor_split(n_parts):
            if len(part):
                longest_first = part.cpu().sort().values
                yield Chunks(self.steps[longest_first], self.before[longest_first])
