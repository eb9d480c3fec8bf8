"""Exploration for algorithms without a stochastic policy."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from macpf.learning.networks import mask_unavailable


def epsilon_greedy(
    greedy: Int[Tensor, "B N"], available: Bool[Tensor, "B N A"], epsilon: float, generator: torch.Generator
) -> Int[Tensor, "B N"]:
    """Each agent's greedy action or, with probability epsilon for each agent, a uniform available one."""
    draws = torch.rand((2, *available.shape), generator=generator, device=generator.device)
    uniform = mask_unavailable(draws[0], available).argmax(dim=-1)
    return torch.where(draws[1, ..., 0] < epsilon, uniform, greedy)
