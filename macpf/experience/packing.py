"""Where the rows of episodes lie that are ordered by time first: how they follow one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

#: Rows of a padded batch are rounded up to an eighth of the power of two below them, but to no less than these.
LEAST_ROWS, LEAST_TIMES = 16, 8


@dataclass(frozen=True)
class Packing:
    """What a batch's tuple of sizes says, as numbers on the rows' device, which no processor has to know.

    So one recorded sequence of operations serves all batches of as many rows. There may be more rows than the episodes
    have: these follow behind all others and belong to none.

    Attributes:
        starts: [T + 1] the first row of time 0, 1, ...; from the end of the longest episode on, the number of rows that
            belong to episodes.
        size: number of episodes B.
        kernels: whether one kernel each does what goes on step by step (on CUDA); else PyTorch's own operations do, for
            which the processor has to wait for `starts`.
    """

    starts: Int[Tensor, "T+1"]
    size: int
    kernels: bool = False

    @classmethod
    def of(cls, sizes: tuple[int, ...], times: int) -> Packing:
        """The same as `sizes`, with room for so many times; on the CPU."""
        starts = _starts(sizes)
        return cls(torch.cat([starts, starts[-1:].expand(times - len(sizes))]), sizes[0])

    def sizes(self) -> tuple[int, ...]:
        """How many episodes have a row at time 0, 1, ..., for which the processor waits."""
        return tuple(n for n in self.starts.diff().tolist() if n)

    def times(self, n: int) -> Packing:
        """Where every row is n rows, one behind the other."""
        return Packing(self.starts * n, self.size * n, self.kernels)

    def lengths(self) -> Int[Tensor, "B"]:
        """Rows of each episode."""
        places = torch.arange(self.size, device=self.starts.device)
        return (self.starts.diff().unsqueeze(-1) > places).sum(dim=0)


class Neighbours(NamedTuple):
    """Of R rows: their times and episodes, and the rows one step earlier and later, R where there is none."""

    time: Int[Tensor, "R"]
    episode: Int[Tensor, "R"]
    previous: Int[Tensor, "R"]
    later: Int[Tensor, "R"]


def neighbours(packing: tuple[int, ...] | Packing, n_rows: int) -> Neighbours:
    """How rows follow one another; those of no episode have the time T and no neighbours."""
    starts = packing.starts if isinstance(packing, Packing) else _starts(packing)
    rows = torch.arange(n_rows, device=starts.device)
    time = torch.searchsorted(starts, rows, right=True) - 1
    episode = rows - starts[time]
    last = len(starts) - 1
    follows = (time + 1).clamp(max=last)
    later = starts[follows] + episode
    return Neighbours(
        time,
        episode,
        previous=torch.where((time > 0) & (time < last), starts[time - 1] + episode, n_rows),
        later=torch.where(later < starts[(time + 2).clamp(max=last)], later, n_rows),
    )


def bucket(rows: int, least: int) -> int:
    """`rows` or at most an eighth more (never fewer than `least`): one of eight numbers for each doubling."""
    unit = max(1 << max(rows.bit_length() - 4, 0), least)
    return -(-rows // unit) * unit


def _starts(sizes: tuple[int, ...]) -> Int[Tensor, "T+1"]:
    return torch.tensor((0, *sizes)).cumsum(0)
