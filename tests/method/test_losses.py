"""The four losses against numbers worked out by hand."""

import math

import pytest
import torch

from macpf.method.losses import imitation_loss, policy_loss, soft_value, td_error

LN2 = math.log(2)


def test_soft_value_by_hand():
    """3 - 0.5 ln(1/4) = 3 + ln 2."""
    value = soft_value(torch.tensor([3.0]), torch.tensor([math.log(0.25)]), alpha=0.5)
    assert value.item() == pytest.approx(3 + LN2)


def test_td_error_by_hand():
    """Played: (1 - 3)^2 = 4 and (2 - 1)^2 = 1; the unfilled row's error of 100 does not count: 5 / 2."""
    q, target = torch.tensor([1.0, 2.0, 0.0]), torch.tensor([3.0, 1.0, 10.0])
    assert td_error(q, target, torch.tensor([1.0, 1.0, 0.0])).item() == 2.5


def test_the_target_takes_no_gradient():
    q, target = torch.tensor([1.0], requires_grad=True), torch.tensor([3.0], requires_grad=True)
    td_error(q, target, torch.ones(1)).backward()
    assert q.grad.item() == -4.0  # 2 (1 - 3)
    assert target.grad is None


def test_policy_loss_by_hand():
    """Two agents, two actions, alpha = 1/2.

    Agent 0: policy (1/2, 1/2), Q = (1, 3): -ln 2 / 2 - 2.
    Agent 1: policy (1/4, 3/4), Q = (4, 0): (1/4 ln 1/4 + 3/4 ln 3/4) / 2 - 1.
    The unfilled row has absurd values.
    """
    log_policy = torch.tensor([[[0.5, 0.5], [0.25, 0.75]], [[0.5, 0.5], [0.5, 0.5]]]).log()
    q = torch.tensor([[[1.0, 3.0], [4.0, 0.0]], [[1e6, 1e6], [1e6, 1e6]]])
    loss = policy_loss(log_policy, q, alpha=0.5, filled=torch.tensor([1.0, 0.0]))
    first = -LN2 / 2 - 2
    second = (0.25 * math.log(0.25) + 0.75 * math.log(0.75)) / 2 - 1
    assert loss.item() == pytest.approx((first + second) / 2)


def test_policy_loss_moves_the_policy_and_not_the_critic():
    logits = torch.tensor([[[0.0, 0.0]]], requires_grad=True)
    q = torch.tensor([[[1.0, 3.0]]], requires_grad=True)
    policy_loss(logits.log_softmax(dim=-1), q, alpha=0.5, filled=torch.ones(1)).backward()
    # d/dl_a of sum_a p_a (alpha log p_a - Q_a) is p_a [(alpha log p_a - Q_a) - mean]: -Q_a + 2, halved.
    torch.testing.assert_close(logits.grad.flatten(), torch.tensor([0.5, -0.5]))
    assert q.grad is None


@pytest.mark.parametrize("alpha", [0.05, 0.5, 2.0])
def test_policy_loss_is_least_at_the_boltzmann_policy(alpha):
    q = torch.tensor([[[1.0, 0.5, -1.0]]])
    best = policy_loss((q / alpha).log_softmax(dim=-1), q, alpha, torch.ones(1))
    assert best.item() == pytest.approx(-alpha * torch.logsumexp(q / alpha, dim=-1).item(), rel=1e-5)
    for seed in range(20):
        other = torch.randn(1, 1, 3, generator=torch.Generator().manual_seed(seed)).log_softmax(dim=-1)
        assert policy_loss(other, q, alpha, torch.ones(1)) >= best


def test_by_gain_has_the_minimiser_of_alpha_over_k():
    """min of alpha log pi - k Q is softmax(k Q / alpha), as for alpha_i = alpha / k and Q."""
    q, k, alpha = torch.tensor([[[1.0, 0.5, -1.0]]]), 3.0, 0.7
    log_policy = (q / (alpha / k)).log_softmax(dim=-1).requires_grad_()
    logits = log_policy.detach().clone().requires_grad_()
    policy_loss(logits.log_softmax(dim=-1), k * q, alpha, torch.ones(1)).backward()
    torch.testing.assert_close(logits.grad, torch.zeros_like(logits), atol=1e-6, rtol=0)


def test_imitation_loss_by_hand():
    """Wanted logits are (4, 0) of the two available actions; the policy is uniform over them: cross-entropy ln 2."""
    available = torch.tensor([[[True, True, False]]])
    log_policy = torch.tensor([[[0.0, 0.0, 0.0]]]).masked_fill(~available, -1e10).log_softmax(dim=-1)
    loss = imitation_loss(log_policy, torch.tensor([[0]]), available, torch.ones(1))
    assert loss.item() == pytest.approx(LN2)


def test_imitation_loss_is_least_at_a_logit_gap_of_four():
    available = torch.ones(1, 1, 3, dtype=torch.bool)
    logits = torch.tensor([[[0.0, 4.0, 0.0]]], requires_grad=True)
    imitation_loss(logits.log_softmax(dim=-1), torch.tensor([[1]]), available, torch.ones(1)).backward()
    torch.testing.assert_close(logits.grad, torch.zeros_like(logits), atol=1e-6, rtol=0)
