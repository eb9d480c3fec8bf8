"""The independent and the dependent joint policy (equations 10 to 12)."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from macpf.learning.networks import mask_unavailable
from macpf.method.conditional import Factors


def independent_log_policy(logits: Factors, available: Bool[Tensor, "B T N A"]) -> Float[Tensor, "B T N A"]:
    """log pi_ind of every agent; their product is the independent joint policy (eq. 12)."""
    return mask_unavailable(logits.independent, available).log_softmax(dim=-1)


def dependent_log_policy(
    logits: Factors, actions: Int[Tensor, "B T N"], available: Bool[Tensor, "B T N A"]
) -> Float[Tensor, "B T N A"]:
    """log pi_dep of every agent given its predecessors' actions; logits are added (footnote 1) before the softmax.

    Their product is the dependent joint policy (eq. 10 and 11).
    """
    return mask_unavailable(logits.dependent(actions), available).log_softmax(dim=-1)


def choose_in_order(
    factors: Factors, available: Bool[Tensor, "B T N A"], noise: Float[Tensor, "B T N A"] | None
) -> Int[Tensor, "B T N"]:
    """Let the agents choose one after the other, each knowing its predecessors' choices.

    With Gumbel noise this samples pi_dep (eq. 11); without, each agent takes its best action given a_<i. Only a
    running sum of table rows passes from agent to agent. No gradient flows through it.
    """
    with torch.no_grad():
        scores = mask_unavailable(factors.base, available)
        if noise is not None:
            scores = scores + noise
        chosen = [scores[..., 0, :].argmax(dim=-1)]
        before = torch.zeros_like(scores[..., 0, :])
        for i in range(1, scores.shape[-2]):
            before = before + factors.table[i - 1][chosen[-1]]
            chosen.append((scores[..., i, :] + before).argmax(dim=-1))
        return torch.stack(chosen, dim=-1)


def greedy_joint_action(
    q: Factors,
    log_ind: Float[Tensor, "B T N A"],
    available: Bool[Tensor, "B T N A"],
    tie: Float[Tensor, "B T N 1"],
) -> Int[Tensor, "B T N"]:
    """The greedy joint action of Q_dep, from which the proof of Theorem 2 builds pi_ind, found agent by agent.

    Q_i is a soft value of what the later agents will do, so taking each agent's best action in order gives the arg max
    of the joint value as alpha goes to 0, and may miss it by about alpha before.
    Where several joint actions are equally good, all agents must mean the same one, and go on meaning it while the
    estimates wander: values within `tie` of the best count as equal, and pi_ind's present choice wins.
    """
    present = F.one_hot(log_ind.detach().argmax(dim=-1), log_ind.shape[-1])
    return choose_in_order(q, available, noise=tie * present)


def dependent_joint_policy(logits: Factors, available: Bool[Tensor, "B 1 N A"]) -> Float[Tensor, "B *A"]:
    """Probability of every joint action under pi_dep, one axis for each agent (small action spaces only)."""
    B, _, N, A = available.shape
    joint = torch.cartesian_prod(*[torch.arange(A, device=available.device)] * N).view(-1, N)
    rows = Factors(logits.independent.repeat(1, len(joint), 1, 1), logits.own.repeat(1, len(joint), 1, 1), logits.table)
    actions = joint.expand(B, -1, -1)
    log_policy = dependent_log_policy(rows, actions, available.repeat(1, len(joint), 1, 1))
    return log_policy.gather(-1, actions.unsqueeze(-1)).sum(dim=(-2, -1)).exp().view(B, *[A] * N)
