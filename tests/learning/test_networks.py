"""Inputs, trunk, masks and noise that all algorithms share."""

import pytest
import torch
from scipy import stats
from torch import nn

from macpf.learning.networks import AgentNetwork, Trunk, agent_inputs, gumbel, mask_unavailable, pick


def test_inputs_are_observation_last_action_and_agent_number():
    obs = torch.tensor([[[0.5], [0.25]], [[1.5], [1.25]]])  # R=2, N=2, O=1
    last = torch.tensor([[-1, -1], [2, 0]])
    by_hand = [
        [[0.5, 0, 0, 0, 1, 0], [0.25, 0, 0, 0, 0, 1]],
        [[1.5, 0, 0, 1, 1, 0], [1.25, 1, 0, 0, 0, 1]],
    ]
    assert agent_inputs(obs, last, n_actions=3).tolist() == by_hand


SIZES, N = (3, 2, 2, 1), 2


@pytest.fixture
def inputs():
    return torch.randn(sum(SIZES), N, 7, generator=torch.Generator().manual_seed(0))  # R, N, I


def test_a_recurrent_trunk_run_at_once_equals_step_by_step(inputs):
    trunk = Trunk(7, 6, recurrent=True)
    at_once, last = trunk(inputs, SIZES)
    hidden, ends, steps = None, {}, []
    for of_time in inputs.split(SIZES):
        size = len(of_time)
        features, hidden = trunk(of_time, (size,), None if hidden is None else hidden[: N * size])
        ends |= {b: hidden[N * b : N * (b + 1)] for b in range(size)}
        steps.append(features)
    torch.testing.assert_close(torch.cat(steps), at_once)
    torch.testing.assert_close(torch.cat([ends[b] for b in range(SIZES[0])]), last)


def test_a_recurrent_trunk_equals_a_gru_cell_for_each_agent_of_each_team(inputs):
    trunk = Trunk(7, 6, recurrent=True)
    cell = nn.GRUCell(6, 6)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in trunk.gru.state_dict().items()})
    features, _ = trunk(inputs, SIZES)
    for b in range(SIZES[0]):
        for n in range(N):
            h = torch.zeros(1, 6)
            for of_time, expected in zip(inputs.split(SIZES), features.split(SIZES), strict=True):
                if b < len(of_time):
                    x = (trunk.input.weight @ of_time[b, n] + trunk.input.bias).clamp(min=0)
                    h = cell(x[None], h)
                    torch.testing.assert_close(expected[b, n], h[0])


def test_a_feed_forward_trunk_has_no_memory(inputs):
    trunk = Trunk(7, 6, recurrent=False)
    features, hidden = trunk(inputs, SIZES)
    assert hidden is None
    expected = (inputs @ trunk.input.weight.T + trunk.input.bias).clamp(min=0)
    torch.testing.assert_close(features, expected)


def test_an_agent_network_is_a_linear_map_of_its_trunk(inputs):
    network = AgentNetwork(7, 4, 6, recurrent=True)
    outputs, hidden = network(inputs, SIZES)
    features, expected_hidden = network.trunk(inputs, SIZES)
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
