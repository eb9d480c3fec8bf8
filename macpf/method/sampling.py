"""The loop over agents that the dependent policy needs, compiled for the CPU.

In Python it would cost 10 microseconds per agent and dominate the time to act with many agents.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numba
import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

#: Availability [R, N, A], Gumbel noise [R, N, A], the uniform policy's weight, and whether it covers all actions.
Mixture: TypeAlias = tuple[Bool[Tensor, "R N A"], Float[Tensor, "R N A"], float | Float[Tensor, ""], bool]


def compiled_choice(
    scores: Float[Tensor, "R N A"],
    table: Float[Tensor, "N A A"],
    depends: Float[Tensor, "R N N"] | None,
    forced: Int[Tensor, "R N"] | None,
    mixture: Mixture | None = None,
) -> Int[Tensor, "R N"]:
    """The actions that `choose_in_order` returns, for tensors on the CPU.

    Args:
        scores: scores of every action without any predecessor's contribution. They include the noise, and unavailable
            actions are masked; with a `mixture` they are plain logits instead.
        table: what agent j's action adds to the scores of the agents that depend on it.
        depends: on which earlier agents each one depends; None: on all.
        forced: actions that replace the chosen ones where they are not -1; None: nowhere.
        mixture: uniform policy to mix in, with the noise and availability that this needs; None: no mixing.
    """
    chosen = np.zeros(scores.shape[:2], dtype=np.int64)
    some = np.zeros((0, 0, 0), dtype=np.float32) if depends is None else depends.numpy()
    fixed = np.zeros((0, 0), dtype=np.int64) if forced is None else forced.numpy()
    logits = scores.detach().numpy()
    available, noise, share, over_all = np.zeros((0, 0, 0), dtype=np.bool_), logits[:0], 0.0, False
    if mixture is not None:
        available, noise, share, over_all = mixture[0].numpy(), mixture[1].numpy(), float(mixture[2]), mixture[3]
    _choose(logits, table.detach().numpy(), some, fixed, available, noise, share, over_all, chosen)
    return torch.from_numpy(chosen)


@numba.njit(cache=True)
def _choose(
    scores: Any,
    table: Any,
    depends: Any,
    forced: Any,
    available: Any,
    noise: Any,
    share: float,
    over_all: bool,
    chosen: Any,
) -> None:
    R, N, A = scores.shape
    before = np.zeros(A, dtype=scores.dtype)
    for r in range(R):
        before[:] = 0.0
        for i in range(N):
            if len(depends):
                before[:] = 0.0
                for j in range(i):
                    if depends[r, i, j] != 0.0:
                        before += table[j, chosen[r, j]]
            if len(forced) and forced[r, i] >= 0:
                best = forced[r, i]
            elif len(available):
                best = _sample_mixed(scores[r, i] + before, available[r, i], noise[r, i], share, over_all)
            else:
                best = 0
                for a in range(1, A):
                    if scores[r, i, a] + before[a] > scores[r, i, best] + before[best]:
                        best = a
            chosen[r, i] = best
            if not len(depends):
                before += table[i, best]


@numba.njit(cache=True)
def _sample_mixed(logits: Any, available: Any, noise: Any, share: float, over_all: bool) -> int:
    """One agent's sample of its softmax with a uniform policy mixed in (see `Mixing` in `policy.py`)."""
    top, total, count = -np.inf, 0.0, 0
    for a in range(len(logits)):
        if over_all or available[a]:
            top = max(top, logits[a])
    for a in range(len(logits)):
        if over_all or available[a]:
            total += math.exp(logits[a] - top)
            count += 1
    best, largest = -1, -np.inf
    for a in range(len(logits)):
        if available[a]:
            log_probability = math.log((1.0 - share) * math.exp(logits[a] - top) / total + share / count)
            if best < 0 or log_probability + noise[a] > largest:
                best, largest = a, log_probability + noise[a]
    return best
