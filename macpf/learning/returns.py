"""Targets of temporal-difference learning, as pure functions of tensors."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def td_lambda(
    reward: Float[Tensor, "B T"],
    next_value: Float[Tensor, "B T"],
    terminated: Float[Tensor, "B T"],
    filled: Float[Tensor, "B T"],
    gamma: float,
    lambda_: float,
) -> Float[Tensor, "B T"]:
    """Lambda-returns G_t = r_t + gamma (1 - d_t) [(1 - lambda) v_{t+1} + lambda G_{t+1}].

    `next_value[:, t]` estimates the value of the state after step t. The last filled step of an episode takes the
    plain one-step target. lambda = 0 gives one-step targets, lambda = 1 (bootstrapped) Monte Carlo returns.
    Where `filled` is 0 the result is 0. Source: Sutton and Barto, 12.1; REL `src/utils/rl_utils.py` in the limit of
    whole episodes.
    """
    discount = gamma * (1.0 - terminated)
    one_step = (reward + discount * next_value) * filled
    if lambda_ == 0.0 or reward.shape[1] == 1:
        return one_step
    # For a step whose successor was not played there is nothing to look further into.
    has_next = torch.nn.functional.pad(filled[:, 1:], (0, 1))
    trace = lambda_ * discount * has_next
    returns = [one_step[:, -1]]
    for t in range(reward.shape[1] - 2, -1, -1):
        returns.append(one_step[:, t] + trace[:, t] * (returns[-1] - next_value[:, t]))
    return torch.stack(returns[::-1], dim=1)


def masked_mean(values: Float[Tensor, "B T"], mask: Float[Tensor, "B T"]) -> Float[Tensor, ""]:
    """Mean of the values where the mask is 1."""
    return (values * mask).sum() / mask.sum()
