"""The independent and the dependent joint policy (equations 10 to 12)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from macpf.learning.networks import mask_unavailable, one_hot, pick
from macpf.method.conditional import DEPENDENT, Factors
from macpf.method.sampling import compiled_choice

#: The device type on which the loop over agents is compiled by numba.
CPU = "cpu"


@dataclass(frozen=True)
class Mixing:
    """A uniform policy that is mixed into each agent's softmax (the authors' code; none in the paper).

    Attributes:
        share: weight of the uniform policy; the number 0 turns it off, a tensor never does.
        over: `available`: uniform over the available actions, so each of them gets share / their number.
            `all`: softmax and uniform policy over all A actions, as in the authors' code. The unavailable actions are
            then removed and the rest is renormalised. The uniform policy's final weight therefore depends on how much
            of the softmax lies on available actions.
    """

    share: float | Tensor = 0.0
    over: Literal["available", "all"] = "available"

    @property
    def none(self) -> bool:
        """Whether no uniform policy is mixed in."""
        return not isinstance(self.share, Tensor) and self.share == 0.0

    def log_policy(self, scores: Float[Tensor, "*batch A"], available: Bool[Tensor, "*batch A"]) -> Tensor:
        """Log-probabilities of the actions, given their logits; unavailable actions have probability 0."""
        if self.none:
            return mask_unavailable(scores, available).log_softmax(dim=-1)
        if self.over == "all":
            mixed = (1.0 - self.share) * scores.softmax(dim=-1) + self.share / scores.shape[-1]
            mixed = mixed.masked_fill(~available, 0.0)
            mixed = mixed / mixed.sum(dim=-1, keepdim=True)
        else:
            uniform = self.share * available / available.sum(dim=-1, keepdim=True)
            mixed = (1.0 - self.share) * mask_unavailable(scores, available).softmax(dim=-1) + uniform
        return mask_unavailable(mixed.masked_fill(~available, 1.0).log(), available)


#: Policies as in the paper, without a uniform part.
UNMIXED = Mixing()


def log_policy(
    policy: str,
    logits: Factors,
    actions: Int[Tensor, "R N"],
    available: Bool[Tensor, "R N A"],
    mixing: Mixing = UNMIXED,
) -> Float[Tensor, "R N A"]:
    """log pi of every agent, `dependent` on its predecessors' actions (eq. 10, 11) or `independent` of them (eq. 12).

    The joint policy is the product of these. Logits are added (footnote 1) before the softmax.

    Args:
        policy: `dependent` or `independent`.
        logits: outputs of the actor.
        actions: joint actions, of which agents see their predecessors'; the independent policy ignores them.
        available: available actions; the others have probability 0.
        mixing: uniform policy to mix in.
    """
    return mixing.log_policy(logits.of(policy, actions), available)


def choose(
    policy: str,
    factors: Factors,
    available: Bool[Tensor, "R N A"],
    noise: Float[Tensor, "R N A"] | None,
    forced: Int[Tensor, "R N"] | None = None,
    mixing: Mixing = UNMIXED,
) -> Int[Tensor, "R N"]:
    """Actions of one policy: sampled if there is Gumbel noise, else greedy. No gradient flows through them.

    Args:
        policy: `independent`: all agents choose at once. `dependent`: see `choose_in_order`.
        factors: logits or values.
        available: available actions; the others are never chosen.
        noise: Gumbel noise; None: greedy actions.
        forced: actions that replace the chosen ones where they are not -1; later agents see them.
        mixing: uniform policy to mix in; only with noise.
    """
    if policy == DEPENDENT:
        return choose_in_order(factors, available, noise, forced, mixing)
    scores = _scores(factors.independent.detach(), available, noise, mixing)
    chosen = scores.argmax(dim=-1)
    return chosen if forced is None else torch.where(forced < 0, chosen, forced)


def _scores(
    logits: Float[Tensor, "*batch A"],
    available: Bool[Tensor, "*batch A"],
    noise: Float[Tensor, "*batch A"] | None,
    mixing: Mixing,
) -> Float[Tensor, "*batch A"]:
    """Scores whose arg max is the chosen action. Sampling needs log-probabilities up to a constant: logits suffice."""
    if noise is None:
        return mask_unavailable(logits, available)
    return (mask_unavailable(logits, available) if mixing.none else mixing.log_policy(logits, available)) + noise


@torch.no_grad()
def choose_in_order(
    factors: Factors,
    available: Bool[Tensor, "R N A"],
    noise: Float[Tensor, "R N A"] | None,
    forced: Int[Tensor, "R N"] | None = None,
    mixing: Mixing = UNMIXED,
) -> Int[Tensor, "R N"]:
    """Let the agents choose one after the other, each knowing its predecessors' choices.

    With Gumbel noise this samples pi_dep (eq. 11); without, each agent takes its best action given a_<i. The network
    passes were made for all agents at once, so the loop only adds table rows. On the CPU it is compiled. On CUDA it is
    one kernel if `factors.kernels` is set, else a handful of operations for each agent.
    """
    mixed = noise is not None and not mixing.none
    base = factors.base
    scores = base if mixed else _scores(base, available, noise, UNMIXED)
    if scores.device.type == CPU or factors.kernels:
        choice = compiled_choice
        if factors.kernels:
            from macpf.method.choice_kernel import choose_in_one_kernel as choice  # Triton comes with CUDA builds only
        mixture = (available, noise, mixing.share, mixing.over == "all") if noise is not None and mixed else None
        return choice(scores, factors.table, factors.depends, forced, mixture)
    chosen, shares = [], torch.zeros_like(scores)
    before = torch.zeros_like(scores[:, 0])
    for i in range(scores.shape[1]):
        if factors.depends is not None:
            before = (factors.depends[:, i : i + 1] @ shares).squeeze(1)
        now = scores[:, i] + before
        if mixed:
            assert noise is not None
            now = _scores(now, available[:, i], noise[:, i], mixing)
        action = now.argmax(dim=-1)
        if forced is not None:
            action = torch.where(forced[:, i] < 0, action, forced[:, i])
        chosen.append(action)
        shares[:, i] = factors.table[i][action]
        before = before + shares[:, i]
    return torch.stack(chosen, dim=-1)


def greedy_joint_action(
    q: Factors,
    log_ind: Float[Tensor, "R N A"],
    available: Bool[Tensor, "R N A"],
    tie: Float[Tensor, "R N 1"],
) -> Int[Tensor, "R N"]:
    """The greedy joint action of Q_dep, from which the proof of Theorem 2 builds pi_ind, found agent by agent.

    Q_i is a soft value over the later agents' actions. Taking each agent's best action in order therefore gives the
    arg max of the joint value as alpha goes to 0, and may miss it by about alpha before.

    Where several joint actions are equally good, all agents must choose the same one, and keep to it while the
    estimates fluctuate. Values within `tie` of the best therefore count as equal, and pi_ind's current choice wins.
    """
    present = one_hot(log_ind.detach().argmax(dim=-1), log_ind.shape[-1])
    return choose_in_order(q, available, noise=tie * present)


def joint_policy(policy: str, logits: Factors, available: Bool[Tensor, "B N A"]) -> Float[Tensor, " B *A"]:
    """Probability of every joint action under one policy, one axis for each agent (small action spaces only)."""
    B, N, A = available.shape
    every = torch.cartesian_prod(*[torch.arange(A, device=available.device)] * N).view(-1, N)
    J = len(every)
    depends = None if logits.depends is None else logits.depends.repeat_interleave(J, 0)
    independent, own = logits.independent.repeat_interleave(J, 0), logits.own.repeat_interleave(J, 0)
    rows = Factors(independent, own, logits.table, depends)
    actions = every.repeat(B, 1)
    log_pi = log_policy(policy, rows, actions, available.repeat_interleave(J, 0))
    return pick(log_pi, actions).sum(dim=-1).exp().view(B, *[A] * N)
