"""The factors are the conditional network of the paper, computed without a pass for each agent."""

import pytest
import torch

from macpf.learning.networks import gumbel
from macpf.method import policy as policy_module
from macpf.method.conditional import ConditionalNetwork
from macpf.method.policy import Mixing, choose_in_order

SIZES, N, A, INPUTS, H = (4, 4, 3, 1), 3, 5, 6, 7
R = sum(SIZES)


@pytest.fixture(params=[True, False], ids=["recurrent", "feed-forward"])
def network(request):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = ConditionalNetwork(INPUTS, N, A, H, recurrent=request.param, trunk_gradient=False)
        for p in network.correction_parameters():  # predecessors should matter
            p.data.mul_(4.0)
    return network


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def inputs(generator):
    return torch.randn(R, N, INPUTS, generator=generator)


@pytest.fixture
def actions(generator):
    return torch.randint(A, (R, N), generator=generator)


def test_dependent_outputs_equal_the_network_written_out(network, inputs, actions, slow_dependent):
    factors, _ = network(inputs, SIZES)
    features, _ = network.trunk(inputs, SIZES)
    torch.testing.assert_close(factors.dependent(actions).detach(), slow_dependent(network, features, actions))


def test_independent_outputs_are_a_linear_map_of_the_trunk(network, inputs):
    factors, hidden = network(inputs, SIZES)
    features, expected_hidden = network.trunk(inputs, SIZES)
    torch.testing.assert_close(factors.independent, network.independent(features))
    torch.testing.assert_close(hidden, expected_hidden)


@pytest.mark.parametrize("noisy", [True, False])
def test_choosing_in_order_equals_one_agent_after_the_other(
    network, inputs, generator, random_available, slow_choice, noisy
):
    available = random_available(R, N, A, generator=generator)
    noise = gumbel((R, N, A), generator) if noisy else None
    factors, _ = network(inputs, SIZES)
    features, _ = network.trunk(inputs, SIZES)
    expected = slow_choice(network, features, available, noise)
    assert torch.equal(choose_in_order(factors, available, noise), expected)
    everything = torch.ones_like(available)
    assert torch.equal(choose_in_order(factors, everything, noise), slow_choice(network, features, everything, noise))


def test_predecessors_change_choices(network, inputs, generator):
    """Otherwise the tests of order would pass for agents that choose alone."""
    factors, _ = network(inputs, SIZES)
    available = torch.ones(R, N, A, dtype=torch.bool)
    assert not torch.equal(choose_in_order(factors, available, None), factors.base.argmax(dim=-1))


def test_an_agents_outputs_depend_on_predecessors_only(network, inputs, actions):
    factors, _ = network(inputs, SIZES)
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
    factors, _ = network(inputs, SIZES)
    correction = (factors.dependent(actions) - factors.independent)[..., 0, :].detach()
    assert correction.std(dim=0).min() > 1e-3
    assert torch.equal(factors.others(actions)[..., 0, :], torch.zeros(R, A))


def test_the_dependent_part_takes_no_gradient_to_the_independent_part(network, inputs, actions):
    factors, _ = network(inputs, SIZES)
    independent = network.independent_parameters()
    total = factors.dependent(actions).square().sum()
    grads = torch.autograd.grad(total, independent + network.correction_parameters(), allow_unused=True)
    assert all(g is None for g in grads[: len(independent)])
    assert all(g is not None and g.abs().sum() > 0 for g in grads[len(independent) :])


def test_the_two_groups_of_parameters_are_all_parameters_and_do_not_overlap(network):
    groups = [*network.independent_parameters(), *network.correction_parameters()]
    assert len({id(p) for p in groups}) == len(groups)
    assert {id(p) for p in groups} == {id(p) for p in network.parameters()}


@pytest.fixture
def sees(generator):
    """Who sees whom, at random: not only earlier agents."""
    return (torch.rand(R, N, N, generator=generator) < 0.5) & ~torch.eye(N, dtype=torch.bool)


def test_outputs_may_depend_on_the_agents_in_sight_only(network, inputs, actions, sees, slow_dependent):
    factors, _ = network(inputs, SIZES, depends=sees.float())
    features, _ = network.trunk(inputs, SIZES)
    expected = slow_dependent(network, features, actions, sees)
    torch.testing.assert_close(factors.dependent(actions).detach(), expected)
    assert not torch.allclose(expected, slow_dependent(network, features, actions))


def test_choosing_in_order_looks_at_earlier_agents_in_sight(network, inputs, sees, slow_choice):
    earlier = sees.float().tril(-1)
    factors, _ = network(inputs, SIZES, depends=earlier)
    features, _ = network.trunk(inputs, SIZES)
    available = torch.ones(R, N, A, dtype=torch.bool)
    assert torch.equal(
        choose_in_order(factors, available, None), slow_choice(network, features, available, None, earlier)
    )


def test_later_agents_see_the_action_that_was_forced(network, inputs, slow_row):
    factors, _ = network(inputs, SIZES)
    features, _ = network.trunk(inputs, SIZES)
    available = torch.ones(R, N, A, dtype=torch.bool)
    for action in range(A):
        forced = torch.full((R, N), -1)
        forced[:, 0] = action
        chosen = choose_in_order(factors, available, None, forced)
        assert (chosen[:, 0] == action).all()
        for r in range(R):
            assert chosen[r, 1] == slow_row(network, features[r], 1, {0: action}).argmax()


def test_the_trunk_takes_gradient_from_the_dependent_part_only_if_asked(network, inputs, actions):
    for asked in (False, True):
        network.trunk_gradient = asked
        factors, _ = network(inputs, SIZES)
        trunk = [*network.trunk.parameters()]
        grads = torch.autograd.grad(factors.dependent(actions).square().sum(), trunk, allow_unused=True)
        assert [g is not None and bool(g.abs().sum() > 0) for g in grads] == [asked] * len(trunk)


@pytest.mark.parametrize("given", ["nothing", "dependency sets", "forced actions"])
def test_the_compiled_loop_equals_the_one_in_pytorch(network, inputs, sees, generator, monkeypatch, given):
    """The loop that runs on CUDA, here on the CPU."""
    factors, _ = network(inputs, SIZES, depends=sees.float().tril(-1) if given == "dependency sets" else None)
    forced = torch.randint(-2, A, (R, N), generator=generator).clamp_min(-1) if given == "forced actions" else None
    available = torch.rand(R, N, A, generator=generator) < 0.6
    available[..., 0] = True
    noise = gumbel((R, N, A), generator)
    compiled = choose_in_order(factors, available, noise, forced)
    monkeypatch.setattr(policy_module, "CPU", "nowhere")
    assert torch.equal(choose_in_order(factors, available, noise, forced), compiled)
    for mixing in (Mixing(0.3), Mixing(0.3, "all")):
        in_pytorch = choose_in_order(factors, available, noise, forced, mixing)
        with monkeypatch.context() as undone:
            undone.setattr(policy_module, "CPU", "cpu")
            assert torch.equal(choose_in_order(factors, available, noise, forced, mixing), in_pytorch)
