"""The pure functions of PPO against numbers worked out by hand, and the networks' initial weights."""

import math

import pytest
import torch
from torch import nn

from baselines.mappo import PPONetwork, clipped_policy_loss, clipped_value_loss, orthogonal, standardised


@pytest.mark.parametrize(
    ("ratio", "advantage", "surrogate", "slope"),
    [
        (1.1, 2.0, 2.2, 2.2),  # within the bounds: ratio * advantage
        (1.5, 2.0, 2.4, 0.0),  # good and far above: 1.2 * 2
        (0.5, 2.0, 1.0, 1.0),  # good but far below: may come back
        (0.5, -2.0, -1.6, 0.0),  # bad and far below: 0.8 * -2
        (1.5, -2.0, -3.0, -3.0),  # bad but far above: must come back
    ],
)
def test_the_policy_loss_of_one_entry(ratio, advantage, surrogate, slope):
    log_ratio = torch.tensor([math.log(ratio)], requires_grad=True)
    loss = clipped_policy_loss(log_ratio, torch.tensor([advantage]), torch.ones(1), clip=0.2)
    loss.backward()
    assert loss.item() == pytest.approx(-surrogate)
    assert log_ratio.grad.item() == pytest.approx(-slope)


def test_the_policy_loss_is_the_mean_over_active_entries():
    log_ratio = torch.log(torch.tensor([1.1, 1.5, 0.5, 1.0])).requires_grad_()
    advantage, active = torch.tensor([2.0, 2.0, -2.0, 1e6]), torch.tensor([1.0, 1.0, 1.0, 0.0])
    loss = clipped_policy_loss(log_ratio, advantage, active, clip=0.2)
    loss.backward()
    assert loss.item() == pytest.approx(-(2.2 + 2.4 - 1.6) / 3)
    assert log_ratio.grad[3] == 0


@pytest.mark.parametrize(
    ("value", "old", "target", "loss", "slope"),
    [
        (1.1, 1.0, 3.0, 1.9**2 / 2, -1.9),  # within the bounds
        (2.0, 1.0, 3.0, 1.8**2 / 2, 0.0),  # far on its way: the clipped one, 1.2, is worse and stands still
        (2.0, 1.0, 0.0, 2.0**2 / 2, 2.0),  # far on the wrong way: its own loss is worse
        (1.0, 1.0, 21.0, 10 * (20 - 5.0), -10.0),  # Huber: 10 (|e| - 10 / 2)
        (5.0, 1.0, -20.0, 10 * (25 - 5.0), 10.0),
    ],
)
def test_the_value_loss_of_one_entry(value, old, target, loss, slope):
    value = torch.tensor([value], requires_grad=True)
    actual = clipped_value_loss(value, torch.tensor([old]), torch.tensor([target]), torch.ones(1), clip=0.2, delta=10.0)
    actual.backward()
    assert actual.item() == pytest.approx(loss, rel=1e-5)
    assert value.grad.item() == pytest.approx(slope, abs=1e-5)


def test_the_value_loss_is_the_mean_over_the_mask():
    value, old = torch.tensor([1.1, 2.0, 7.0]), torch.tensor([1.0, 1.0, 0.0])
    target, mask = torch.tensor([3.0, 3.0, 1e6]), torch.tensor([1.0, 1.0, 0.0])
    loss = clipped_value_loss(value, old, target, mask, clip=0.2, delta=10.0)
    assert loss.item() == pytest.approx((1.9**2 + 1.8**2) / 4, rel=1e-5)


def test_standardising_looks_at_active_entries_only():
    values, active = torch.tensor([1.0, 3.0, 100.0, 8.0]), torch.tensor([1.0, 1.0, 0.0, 1.0])
    deviation = math.sqrt((9 + 1 + 16) / 3)
    expected = torch.tensor([-3.0, -1.0, 96.0, 4.0]) / (deviation + 1e-5)
    torch.testing.assert_close(standardised(values, active), expected)


def test_equal_advantages_become_zero():
    assert torch.equal(standardised(torch.full((4,), 0.5), torch.ones(4)), torch.zeros(4))


@pytest.mark.parametrize(("activation", "body"), [("relu", math.sqrt(2)), ("tanh", 5 / 3)])
def test_initial_weights_are_orthogonal_with_the_gains_of_the_code(activation, body):
    first = nn.Sequential(nn.LayerNorm(9), nn.Linear(9, 8))
    network = PPONetwork(first, 4, hidden_dim=8, hidden_layers=2, recurrent=True, activation=activation, gain=0.01)
    linears = [layer for layer in network.body.modules() if isinstance(layer, nn.Linear)]
    weights = [(layer.weight, body) for layer in linears] + [(network.head.weight, 0.01)]
    assert len(linears) == 2
    for weight, gain in [*weights, (network.gru.weight_ih_l0.T, 1.0), (network.gru.weight_hh_l0.T, 1.0)]:
        short = weight if weight.shape[0] <= weight.shape[1] else weight.T
        torch.testing.assert_close(short @ short.T, gain**2 * torch.eye(len(short)), atol=1e-5, rtol=1e-4)
    for layer in (*linears, network.head):
        assert (layer.bias == 0).all()
    assert (network.gru.bias_ih_l0 == 0).all()


def test_orthogonal_leaves_no_bias():
    layer = orthogonal(nn.Linear(3, 3), 2.0)
    torch.testing.assert_close(layer.weight @ layer.weight.T, 4 * torch.eye(3))
    assert (layer.bias == 0).all()
