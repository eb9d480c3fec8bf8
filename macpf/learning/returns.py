"""Targets of temporal-difference learning, as pure functions of tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from macpf.experience.batch import EpisodeBatch


def td_lambda(
    batch: EpisodeBatch, next_value: Float[Tensor, " R"], gamma: float, lambda_: float
) -> Float[Tensor, " R"]:
    """Lambda-returns G_t = r_t + gamma (1 - d_t) [(1 - lambda) v_{t+1} + lambda G_{t+1}].

    `next_value` estimates, in each row, the value of the state after its step. The last step of an episode has the
    one-step target. lambda = 0 gives one-step targets, lambda = 1 (bootstrapped) Monte Carlo returns. Where `filled` is
    0 the result is 0. Source: Sutton and Barto, 12.1; the authors' `src/utils/rl_utils.py` in the limit of whole
    episodes.
    """
    discount = gamma * (1.0 - batch.terminated)
    one_step = (batch.reward + discount * next_value) * batch.filled
    if lambda_ == 0.0 or batch.sizes == (batch.size,):
        return one_step
    # A step whose successor was not played has the one-step target.
    trace = lambda_ * discount * batch.next(batch.filled)
    if not isinstance(batch.sizes, tuple):
        return accumulated(one_step - trace * next_value, trace, batch)
    returns = list(one_step.split(batch.sizes))
    traces, values = trace.split(batch.sizes), next_value.split(batch.sizes)
    for t in range(len(returns) - 2, -1, -1):
        n = batch.sizes[t + 1]
        later = traces[t][:n] * (returns[t + 1] - values[t][:n])
        returns[t] = torch.cat([returns[t][:n] + later, returns[t][n:]])
    return torch.cat(returns)


def gae(batch: EpisodeBatch, values: Float[Tensor, "R N"], gamma: float, lambda_: float) -> Float[Tensor, "R N"]:
    """Generalised advantages A_t = d_t + gamma lambda A_{t+1}, d_t = r_t + gamma v_{t+1} - v_t, for every agent.

    Nothing is bootstrapped after a terminal step. If an episode was truncated, its last step bootstraps from the value
    of the row after it. Where `filled` is 0 the result is 0. Source: Schulman et al., 2016, eq. 16.
    """
    if not isinstance(batch.sizes, tuple):
        filled, discount = batch.filled.unsqueeze(-1), gamma * (1.0 - batch.terminated).unsqueeze(-1)
        surprise = batch.reward.unsqueeze(-1) + discount * batch.next(values) - values
        return accumulated(surprise * filled, lambda_ * discount * filled, batch)
    reward, discount, filled = (
        rows.unsqueeze(-1).split(batch.sizes) for rows in (batch.reward, gamma * (1.0 - batch.terminated), batch.filled)
    )
    by_time = values.split(batch.sizes)
    advantages: list[Tensor] = []
    next_value = next_advantage = values.new_zeros(0, values.shape[1])
    for t in range(len(by_time) - 1, -1, -1):
        ended = (0, 0, 0, len(by_time[t]) - len(next_value))
        next_value, next_advantage = F.pad(next_value, ended), F.pad(next_advantage, ended)
        surprise = reward[t] + discount[t] * next_value - by_time[t]
        next_advantage = (surprise + lambda_ * discount[t] * next_advantage) * filled[t]
        next_value = by_time[t]
        advantages.append(next_advantage)
    return torch.cat(advantages[::-1])


def accumulated(
    values: Float[Tensor, " R *N"], factors: Float[Tensor, " R *1"], batch: EpisodeBatch
) -> Float[Tensor, " R *N"]:
    """x_t = v_t + f_t x_{t+1} in every row, without a loop over time.

    Each round doubles the number of steps ahead that are included, so the number of rounds is the base-2 logarithm of
    the length (Hillis and Steele, 1986).
    """
    assert not isinstance(batch.sizes, tuple)
    later = F.pad(batch.later, (0, 1), value=len(batch.later))  # the last row, of zeros, has no successor
    x, reach = (F.pad(rows, (0, 0) * (rows.dim() - 1) + (0, 1)) for rows in (values, factors))
    for _ in range((len(batch.sizes.starts) - 2).bit_length()):
        x = x + reach * x[later]
        reach = reach * reach[later]
        later = later[later]
    return x[:-1]


def masked_mean(values: Float[Tensor, " R"], mask: Float[Tensor, " R"]) -> Float[Tensor, ""]:
    """Mean of the values where the mask is 1; 0 if it is 0 everywhere."""
    return (values * mask).sum() / mask.sum().clamp(min=1.0)


def padded_mean(values: Float[Tensor, " R"], batch: EpisodeBatch) -> Float[Tensor, ""]:
    """Mean over all B x T steps of a padded batch, T the length of the longest episode; padded steps count as 0.

    The row after an episode's end counts if it lies within T, as in the code of QPLEX and of the authors, which take
    the plain mean of padded tensors.
    """
    if not isinstance(batch.sizes, tuple):
        n_times = (batch.sizes.starts.diff() > 0).sum()
        at_last = batch.time == n_times - 1
        played = (batch.filled * at_last).amax()
        counts = torch.where(at_last, played, (batch.time < n_times).to(values.dtype))
        return (values * counts).sum() / (batch.size * (n_times - 1 + played))
    whole, last = values[: -batch.sizes[-1]], values[-batch.sizes[-1] :]
    # The last rows are either steps of the longest episodes or the observations after them.
    played = batch.filled[-batch.sizes[-1] :].amax()
    return (whole.sum() + played * last.sum()) / (batch.size * (len(batch.sizes) - 1 + played))


def entropy_bonus(
    batch: EpisodeBatch, log_prob: Float[Tensor, "R N"], alpha: float | Tensor, at_the_end: bool
) -> Float[Tensor, " R"]:
    """-alpha times the agents' mean log-probability one step later, undiscounted, as the authors' code adds it.

    Args:
        batch: the batch of episodes. With `at_the_end` it needs the row after each episode's end.
        log_prob: log-probability of an action that the policy sampled in each row.
        alpha: temperature.
        at_the_end: whether terminal steps also have the bonus, for the state after the end (the authors' code).
    """
    bonus = batch.next(-alpha * log_prob.mean(dim=-1))
    return bonus if at_the_end else bonus * (1.0 - batch.terminated)
