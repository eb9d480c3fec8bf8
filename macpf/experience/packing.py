"""How the rows of episodes follow one another when they are ordered by time first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

#: Smallest numbers of rows and times of a padded batch; larger numbers are rounded up (`bucket`, powers of two).
LEAST_ROWS, LEAST_TIMES = 16, 8


@dataclass(frozen=True)
class Packing:
    """The information of a batch's tuple of sizes, as tensors on the rows' device, which the CPU need not read.

    One recorded sequence of operations can then be used for all batches with this number of rows. There may be more
    rows than the episodes have; these come last and belong to no episode.

    Attributes:
        starts: [T + 1] the first row of time 0, 1, ...; from the end of the longest episode on, the number of rows that
            belong to episodes.
        size: number of episodes B.
        kernels: whether sequential computations use one kernel each (on CUDA). Otherwise they use PyTorch's own
            operations, for which the CPU has to wait for `starts`.
    """

    starts: Int[Tensor, " T+1"]
    size: int
    kernels: bool = False

    @classmethod
    def of(cls, sizes: tuple[int, ...], times: int) -> Packing:
        """The packing of these sizes, with room for `times` env steps of an episode; on the CPU."""
        starts = _starts(sizes)
        return cls(torch.cat([starts, starts[-1:].expand(times - len(sizes))]), sizes[0])

    def sizes(self) -> tuple[int, ...]:
        """How many episodes have a row at time 0, 1, ...; the CPU waits for the device."""
        return tuple(n for n in self.starts.diff().tolist() if n)

    def times(self, n: int) -> Packing:
        """The packing in which every row becomes n consecutive rows."""
        return Packing(self.starts * n, self.size * n, self.kernels)

    def lengths(self) -> Int[Tensor, " B"]:
        """Number of rows of each episode."""
        places = torch.arange(self.size, device=self.starts.device)
        return (self.starts.diff().unsqueeze(-1) > places).sum(dim=0)


class Neighbours(NamedTuple):
    """For R rows: their times and episodes, and the rows one env step earlier and later (R if there is none)."""

    time: Int[Tensor, " R"]
    episode: Int[Tensor, " R"]
    previous: Int[Tensor, " R"]
    later: Int[Tensor, " R"]


def neighbours(packing: tuple[int, ...] | Packing, n_rows: int) -> Neighbours:
    """How rows follow one another; rows that belong to no episode have the time T and no neighbours."""
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
    """Round up to one of eight numbers per doubling, so by at most an eighth, or to a multiple of `least` if larger."""
    unit = max(1 << max(rows.bit_length() - 4, 0), least)
    return -(-rows // unit) * unit


def _starts(sizes: tuple[int, ...]) -> Int[Tensor, " T+1"]:
    return torch.tensor((0, *sizes)).cumsum(0)
