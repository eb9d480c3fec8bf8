"""The factors are the conditional network of the paper, computed without a pass for each agent."""

import pytest
import torch

from macpf.learning.networks import gumbel
from macpf.method.conditional import ConditionalNetwork
from macpf.method.policy import choose_in_order

B, T, N, A, INPUTS, H = 3, 4, 3, 5, 6, 7


@pytest.fixture(params=[True, False], ids=["recurrent", "feed-forward"])
def network(request):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = ConditionalNetwork(INPUTS, N, A, H, recurrent=request.param)
        for p in network.correction_parameters():  # predecessors should matter
            p.data.mul_(4.0)
    return network


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def inputs(generator):
    return torch.randn(B, T, N, INPUTS, generator=generator)


@pytest.fixture
def actions(generator):
    return torch.randint(A, (B, T, N), generator=generator)


def test_dependent_outputs_equal_the_network_written_out(network, inputs, actions, slow_dependent):
    factors, _ = network(inputs)
    features, _ = network.trunk(inputs)
    torch.testing.assert_close(factors.dependent(actions).detach(), slow_dependent(network, features, actions))


def test_independent_outputs_are_a_linear_map_of_the_trunk(network, inputs):
    factors, hidden = network(inputs)
    features, expected_hidden = network.trunk(inputs)
    torch.testing.assert_close(factors.independent, network.independent(features))
    torch.testing.assert_close(hidden, expected_hidden)


@pytest.mark.parametrize("noisy", [True, False])
def test_choosing_in_order_equals_one_agent_after_the_other(
    network, inputs, generator, random_available, slow_choice, noisy
):
    available = random_available(B, T, N, A, generator=generator)
    noise = gumbel((B, T, N, A), generator) if noisy else None
    factors, _ = network(inputs)
    features, _ = network.trunk(inputs)
    expected = slow_choice(network, features, available, noise)
    assert torch.equal(choose_in_order(factors, available, noise), expected)
    everything = torch.ones_like(available)
    assert torch.equal(choose_in_order(factors, everything, noise), slow_choice(network, features, everything, noise))


def test_predecessors_change_choices(network, inputs, generator):
    """Otherwise the tests of order would pass for agents that choose alone."""
    factors, _ = network(inputs)
    available = torch.ones(B, T, N, A, dtype=torch.bool)
    assert not torch.equal(choose_in_order(factors, available, None), factors.base.argmax(dim=-1))


def test_an_agents_outputs_depend_on_predecessors_only(network, inputs, actions):
    factors, _ = network(inputs)
    before = factors.dependent(actions)
    for j in range(N):
        for shift in range(1, A):
            changed = actions.clone()
            changed[..., j] = (changed[..., j] + shift) % A
            after = factors.dependent(changed)
            assert torch.equal(after[..., : j + 1, :], before[..., : j + 1, :])
            if j + 1 < N:
                assert (after[..., j + 1 :, :] != before[..., j + 1 :, :]).any(dim=-1).all()


def test_the_first_agents_correction_is_a_function_of_its_own_trajectory(network, inputs, actions):
    factors, _ = network(inputs)
    correction = (factors.dependent(actions) - factors.independent)[..., 0, :].detach()
    assert correction.flatten(0, 1).std(dim=0).min() > 1e-3
    assert torch.equal(factors.predecessors(actions)[..., 0, :], torch.zeros(B, T, A))


def test_the_dependent_part_takes_no_gradient_to_the_independent_part(network, inputs, actions):
    factors, _ = network(inputs)
    independent = network.independent_parameters()
    total = factors.dependent(actions).square().sum()
    grads = torch.autograd.grad(total, independent + network.correction_parameters(), allow_unused=True)
    assert all(g is None for g in grads[: len(independent)])
    assert all(g is not None and g.abs().sum() > 0 for g in grads[len(independent) :])


def test_the_two_groups_of_parameters_are_all_parameters_and_do_not_overlap(network):
    groups = [*network.independent_parameters(), *network.correction_parameters()]
    assert len({id(p) for p in groups}) == len(groups)
    assert {id(p) for p in groups} == {id(p) for p in network.parameters()}
