"""Inputs, trunk, masks and noise that all algorithms share."""

import pytest
import torch
from scipy import stats
from torch import nn

from macpf.learning.networks import AgentNetwork, Trunk, agent_inputs, gumbel, last_actions, mask_unavailable, pick


def test_inputs_are_observation_last_action_and_agent_number():
    obs = torch.tensor([[[[0.5], [0.25]], [[1.5], [1.25]]]])  # B=1, T=2, N=2, O=1
    last = torch.tensor([[[-1, -1], [2, 0]]])
    by_hand = [
        [[0.5, 0, 0, 0, 1, 0], [0.25, 0, 0, 0, 0, 1]],
        [[1.5, 0, 0, 1, 1, 0], [1.25, 1, 0, 0, 0, 1]],
    ]
    assert agent_inputs(obs, last, n_actions=3).tolist() == [by_hand]


@pytest.mark.parametrize(
    ("n_steps", "by_hand"),
    [(1, [[-1, -1]]), (2, [[-1, -1], [1, 2]]), (3, [[-1, -1], [1, 2], [3, 4]])],
)
def test_last_actions_are_shifted_by_one_step(n_steps, by_hand):
    actions = torch.tensor([[[1, 2], [3, 4]]])
    assert last_actions(actions, n_steps).tolist() == [by_hand]


@pytest.fixture
def inputs():
    return torch.randn(3, 5, 2, 7, generator=torch.Generator().manual_seed(0))  # B, T, N, I


def test_a_recurrent_trunk_run_at_once_equals_step_by_step(inputs):
    trunk = Trunk(7, 6, recurrent=True)
    at_once, last = trunk(inputs)
    hidden, steps = None, []
    for t in range(inputs.shape[1]):
        features, hidden = trunk(inputs[:, t : t + 1], hidden)
        steps.append(features)
    torch.testing.assert_close(torch.cat(steps, dim=1), at_once)
    torch.testing.assert_close(hidden, last)


def test_a_recurrent_trunk_equals_a_gru_cell_for_each_agent_of_each_team(inputs):
    trunk = Trunk(7, 6, recurrent=True)
    cell = nn.GRUCell(6, 6)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in trunk.gru.state_dict().items()})
    features, _ = trunk(inputs)
    for b in range(3):
        for n in range(2):
            h = torch.zeros(1, 6)
            for t in range(5):
                x = (trunk.input.weight @ inputs[b, t, n] + trunk.input.bias).clamp(min=0)
                h = cell(x[None], h)
                torch.testing.assert_close(features[b, t, n], h[0])


def test_a_feed_forward_trunk_has_no_memory(inputs):
    trunk = Trunk(7, 6, recurrent=False)
    features, hidden = trunk(inputs)
    assert hidden is None
    expected = (inputs @ trunk.input.weight.T + trunk.input.bias).clamp(min=0)
    torch.testing.assert_close(features, expected)


def test_an_agent_network_is_a_linear_map_of_its_trunk(inputs):
    network = AgentNetwork(7, 4, 6, recurrent=True)
    outputs, hidden = network(inputs)
    features, expected_hidden = network.trunk(inputs)
    torch.testing.assert_close(outputs, features @ network.head.weight.T + network.head.bias)
    torch.testing.assert_close(hidden, expected_hidden)


def test_masked_actions_have_no_probability_and_no_gradient():
    values = torch.tensor([1.0, 50.0, 2.0], requires_grad=True)
    available = torch.tensor([True, False, True])
    probabilities = mask_unavailable(values, available).softmax(dim=-1)
    assert probabilities[1] == 0
    expected = torch.tensor([1.0, 2.0]).softmax(dim=-1)
    torch.testing.assert_close(probabilities.detach()[available], expected)
    probabilities[0].backward()
    assert values.grad[1] == 0


def test_pick_takes_the_values_of_the_actions():
    values = torch.arange(12.0).view(2, 2, 3)
    assert pick(values, torch.tensor([[0, 2], [1, 1]])).tolist() == [[0.0, 5.0], [7.0, 10.0]]


def test_gumbel_noise_makes_arg_max_a_sample_of_the_softmax():
    logits = torch.tensor([0.0, 1.0, -2.0, 2.0])
    noise = gumbel((40_000, 4), torch.Generator().manual_seed(0))
    counts = torch.bincount((logits + noise).argmax(dim=-1), minlength=4).numpy()
    assert stats.chisquare(counts, 40_000 * logits.softmax(dim=-1).double().numpy(), sum_check=False).pvalue > 1e-3


def test_gumbel_noise_is_gumbel_distributed_and_follows_its_generator():
    noise = gumbel((20_000,), torch.Generator().manual_seed(5))
    assert stats.kstest(noise.numpy(), stats.gumbel_r.cdf).pvalue > 1e-3
    assert torch.equal(noise, gumbel((20_000,), torch.Generator().manual_seed(5)))
