"""The four losses of the paper as pure functions of tensors."""

from __future__ import annotations

from jaxtyping import Bool, Float, Int
from torch import Tensor

from macpf.learning.algorithm import Number
from macpf.learning.networks import mask_unavailable, one_hot
from macpf.learning.returns import masked_mean

#: By how much the imitated action's logit should exceed the others. It is finite so that corrections can undo it.
LOGIT_GAP = 4.0


def soft_value(
    target_q: Float[Tensor, " R"], joint_log_prob: Float[Tensor, " R"], alpha: Number
) -> Float[Tensor, " R"]:
    """Q_jt(s', a') - alpha log pi_jt(a' | s') at sampled a': the bracket in eq. 16 and 17."""
    return target_q - alpha * joint_log_prob


def td_error(q: Float[Tensor, " R"], target: Float[Tensor, " R"], filled: Float[Tensor, " R"]) -> Float[Tensor, ""]:
    """Mean squared TD error (eq. 16 with dependent, eq. 17 with independent values); the target takes no gradient."""
    return masked_mean((q - target.detach()) ** 2, filled)


def policy_loss(
    log_policy: Float[Tensor, "R N A"],
    q: Float[Tensor, "R N A"],
    alpha: Number,
    filled: Float[Tensor, " R"],
) -> Float[Tensor, ""]:
    """E_pi[alpha_i log pi_i - Q_i] in closed form over the agent's own actions (eq. 18 and 19).

    Args:
        log_policy: log pi_i, which takes the gradient. For eq. 18 it is conditional on predecessors' actions sampled
            from the current pi_dep, and `q` must be conditional on the same ones.
        q: Q_i of every action, which takes no gradient.
        alpha: alpha_i. For alpha_i = alpha / k_i pass alpha and k_i Q_i: the minimiser is the same.
        filled: [R] 1 for rows whose step was played, else 0.
    """
    policy = log_policy.exp()
    per_agent = (policy * (alpha * log_policy - q.detach())).sum(dim=-1)
    return masked_mean(per_agent.mean(dim=-1), filled)


def imitation_loss(
    log_policy: Float[Tensor, "R N A"],
    actions: Int[Tensor, "R N"],
    available: Bool[Tensor, "R N A"],
    filled: Float[Tensor, " R"],
) -> Float[Tensor, ""]:
    """Cross-entropy of pi_i with the indicator 1[a_i = a*_i] of Theorem 2's proof, softened to a finite logit gap.

    The paper does not use this loss; see `independent_target` in `learner.py`.
    """
    wanted = one_hot(actions, log_policy.shape[-1]) * LOGIT_GAP
    wanted = mask_unavailable(wanted, available).softmax(dim=-1)
    return masked_mean(-(wanted * log_policy).sum(dim=-1).mean(dim=-1), filled)
