"""Dependent and independent joint policies are the distributions of equations 10 to 12."""

import itertools

import numpy as np
import pytest
import torch

from macpf.learning.networks import gumbel
from macpf.method.conditional import DEPENDENT, INDEPENDENT, ConditionalNetwork, Factors
from macpf.method.policy import (
    UNMIXED,
    Mixing,
    choose,
    choose_in_order,
    greedy_joint_action,
    joint_policy,
    log_policy,
)

N, A, INPUTS, H = 3, 3, 4, 6


@pytest.fixture
def network():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = ConditionalNetwork(INPUTS, N, A, H, recurrent=False, trunk_gradient=False)
        for p in network.correction_parameters():
            p.data.mul_(5.0)
    return network


@pytest.fixture
def inputs():
    return torch.randn(2, N, INPUTS, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def available():
    """In the first state everything, in the second not all."""
    result = torch.ones(2, N, A, dtype=torch.bool)
    result[1, 0, 1] = result[1, 1, 0] = result[1, 2, 2] = False
    return result


def softmax(logits, available):
    """Over the available actions only, in numpy."""
    e = np.where(available, np.exp(logits), 0.0)
    return e / e.sum()


@pytest.fixture
def chain_rule(network, inputs, available, slow_row):
    """pi_jt(a | s) as a product of conditionals, joint action by joint action (eq. 5 and 11)."""
    result = np.zeros((2, A, A, A))
    with torch.no_grad():
        features, _ = network.trunk(inputs, (2,))
        for b in range(2):
            for joint in itertools.product(range(A), repeat=N):
                known = [dict(enumerate(joint[:i])) for i in range(N)]
                rows = [slow_row(network, features[b], i, known[i]).double().numpy() for i in range(N)]
                result[(b, *joint)] = np.prod(
                    [softmax(row, available[b, i].numpy())[joint[i]] for i, row in enumerate(rows)]
                )
    return result


def test_the_joint_policy_is_the_product_of_the_conditionals_and_sums_to_one(network, inputs, available, chain_rule):
    logits, _ = network(inputs, (2,))
    joint = joint_policy(DEPENDENT, logits, available).detach().numpy()
    np.testing.assert_allclose(joint.sum(axis=(1, 2, 3)), 1.0, atol=1e-5)
    np.testing.assert_allclose(joint, chain_rule, atol=1e-5)


def test_the_joint_policy_is_no_product_of_marginals(chain_rule):
    """Otherwise the tests of the dependent policy would pass for an independent one."""
    joint = chain_rule[0]
    product = np.einsum("a,b,c->abc", joint.sum((1, 2)), joint.sum((0, 2)), joint.sum((0, 1)))
    assert np.abs(joint - product).max() > 0.02


def test_the_sequential_sampler_draws_from_the_joint_policy(network, inputs, available, chain_rule):
    draws = 20_000
    logits, _ = network(inputs, (2,))
    many = available.repeat_interleave(draws, 0)
    repeated = Factors(*(x.repeat_interleave(draws, 0) for x in (logits.independent, logits.own)), logits.table)
    chosen = choose_in_order(repeated, many, gumbel(many.shape, torch.Generator().manual_seed(0))).view(2, draws, N)
    for b in range(2):
        counts = np.zeros((A, A, A))
        np.add.at(counts, tuple(chosen[b].T.numpy()), 1)
        p = chain_rule[b]
        assert counts[p == 0].sum() == 0
        assert (np.abs(counts / draws - p) <= 4.5 * np.sqrt(p * (1 - p) / draws)).all()


def test_logits_are_added_before_the_softmax():
    """Footnote 1. One agent: logits ln 1 and ln 3, correction ln 2 and 0; 2 : 3 after adding them.

    Added as probabilities (eq. 10 read literally) it would be neither 2/5 nor normalised.
    """
    logits = Factors(
        torch.tensor([1.0, 3.0]).log().view(1, 1, 2),
        torch.tensor([2.0, 1.0]).log().view(1, 1, 2),
        torch.zeros(1, 2, 2),
    )
    actions, available = torch.zeros(1, 1, dtype=torch.long), torch.ones(1, 1, 2, dtype=torch.bool)
    torch.testing.assert_close(
        log_policy(INDEPENDENT, logits, actions, available).exp().flatten(), torch.tensor([0.25, 0.75])
    )
    torch.testing.assert_close(
        log_policy(DEPENDENT, logits, actions, available).exp().flatten(), torch.tensor([0.4, 0.6])
    )


def test_log_policies_equal_a_softmax_over_the_available_actions(network, inputs, available, slow_dependent):
    logits, _ = network(inputs, (2,))
    actions = torch.tensor([[0, 1, 2], [2, 1, 0]])
    features, _ = network.trunk(inputs, (2,))
    dependent = slow_dependent(network, features, actions).double().numpy()
    independent = logits.independent.detach().double().numpy()
    for b, i in itertools.product(range(2), range(N)):
        mask = available[b, i].numpy()
        actual = log_policy(DEPENDENT, logits, actions, available)[b, i].exp().detach().numpy()
        np.testing.assert_allclose(actual, softmax(dependent[b, i], mask), atol=1e-5)
        actual = log_policy(INDEPENDENT, logits, actions, available)[b, i].exp().detach().numpy()
        np.testing.assert_allclose(actual, softmax(independent[b, i], mask), atol=1e-5)


def test_a_hundred_thousand_random_masks_are_never_broken(random_available):
    generator = torch.Generator().manual_seed(0)
    shape = (100_000, 4, 5)
    logits = Factors(
        30 * torch.randn(shape, generator=generator),
        30 * torch.randn(shape, generator=generator),
        30 * torch.randn(4, 5, 5, generator=generator),
    )
    available = random_available(*shape, generator=generator)
    sampled = choose_in_order(logits, available, gumbel(shape, generator))
    for chosen in (sampled, choose_in_order(logits, available, None)):
        assert available.gather(-1, chosen.unsqueeze(-1)).all()
    mixings = UNMIXED, Mixing(0.3), Mixing(0.3, "all")
    none = torch.zeros(())  # a share that has fallen to 0 is still a tensor, and masks have to hold
    for mixing in (*mixings[1:], Mixing(none), Mixing(none, "all")):
        mixed = choose_in_order(logits, available, gumbel(shape, generator), mixing=mixing)
        assert available.gather(-1, mixed.unsqueeze(-1)).all()
    for policy, mixing in itertools.product((INDEPENDENT, DEPENDENT), mixings):
        probabilities = log_policy(policy, logits, sampled, available, mixing).exp()
        assert (probabilities[~available] == 0).all()
        torch.testing.assert_close(probabilities.sum(dim=-1), torch.ones(shape[:-1]))


def test_choosing_takes_no_gradient(network, inputs, available):
    logits, _ = network(inputs, (2,))
    assert logits.base.requires_grad
    assert not choose_in_order(logits, available, None).requires_grad


def two_agents(first, second_given_first):
    """Q_1 in `own`, Q_2(a_1, .) in the table."""
    own = torch.zeros(1, 2, 2)
    own[0, 0] = torch.tensor(first)
    table = torch.zeros(2, 2, 2)
    table[0] = torch.tensor(second_given_first)
    return Factors(torch.zeros(1, 2, 2), own, table)


@pytest.mark.parametrize(
    ("first", "present", "tie", "best"),
    [
        ([1.0, 1.0], [1, 0], 0.5, [1, 1]),  # two equal modes: the one agent 0 plays now
        ([1.0, 1.0], [0, 1], 0.5, [0, 0]),
        ([1.2, 1.0], [1, 0], 0.5, [1, 1]),  # within the tie: the present one stays
        ([1.8, 1.0], [1, 1], 0.5, [0, 0]),  # beyond it: the better one wins
        ([1.2, 1.0], [1, 1], 0.0, [0, 0]),
    ],
)
def test_agents_mean_the_same_of_two_good_joint_actions(first, present, tie, best):
    """The second agent loses 9 by not following the first one; ties must not make it."""
    q = two_agents(first, [[4.0, -5.0], [-5.0, 4.0]])
    log_ind = torch.nn.functional.one_hot(torch.tensor([present]), 2).float().log_softmax(dim=-1)
    everything = torch.ones(1, 2, 2, dtype=torch.bool)
    assert greedy_joint_action(q, log_ind, everything, torch.full((1, 1, 1), tie)).tolist() == [best]


def test_epsilon_mixes_in_a_uniform_policy_over_the_available_actions(network, inputs, available):
    """(1 - eps) pi + eps / number of available actions."""
    logits, _ = network(inputs, (2,))
    actions = torch.tensor([[0, 1, 2], [2, 1, 0]])
    for policy in (INDEPENDENT, DEPENDENT):
        plain = log_policy(policy, logits, actions, available).exp().detach().numpy()
        mixed = log_policy(policy, logits, actions, available, Mixing(0.25)).exp().detach().numpy()
        mask = available.numpy()
        uniform = mask / mask.sum(axis=-1, keepdims=True)
        np.testing.assert_allclose(mixed, 0.75 * plain + 0.25 * uniform, atol=1e-6)


def test_epsilon_over_all_actions_weighs_what_the_softmax_leaves_on_available_ones():
    """Worked out by hand: 2 of 4 actions available, softmax 1/10, 2/10, 3/10, 4/10, eps 0.2: each gets 0.8 p + 0.05.

    Available are the first two: 0.13 and 0.21, divided by 0.34. Over the available ones it would be 0.8 (1/3) + 0.1.
    """
    scores = torch.tensor([1.0, 2.0, 3.0, 4.0]).log()
    available = torch.tensor([True, True, False, False])
    mixed = Mixing(0.2, "all").log_policy(scores, available).exp()
    torch.testing.assert_close(mixed, torch.tensor([13 / 34, 21 / 34, 0.0, 0.0]))
    over_available = Mixing(0.2, "available").log_policy(scores, available).exp()
    torch.testing.assert_close(over_available, torch.tensor([0.8 / 3 + 0.1, 1.6 / 3 + 0.1, 0.0, 0.0]))


@pytest.mark.parametrize("over", ["available", "all"])
def test_the_gradient_of_a_mixed_policy_is_that_of_its_formula(over):
    """Unavailable actions count in the softmax of `all`, and their logits take gradient from it; none is NaN."""
    scores = torch.tensor([0.3, -0.2, 1.1, 0.6], dtype=torch.float64, requires_grad=True)
    available = torch.tensor([True, True, False, True])
    chosen = torch.tensor([0, 1, 3])
    Mixing(0.2, over).log_policy(scores, available)[chosen].sum().backward()
    plain = scores.detach().clone().requires_grad_()
    if over == "all":
        p = 0.8 * plain.softmax(-1) + 0.05
        p = p[chosen] / p[chosen].sum()
    else:
        p = 0.8 * plain[chosen].softmax(-1) + 0.2 / 3
    p.log().sum().backward()
    torch.testing.assert_close(scores.grad, plain.grad)
    assert (scores.grad[2] != 0) == (over == "all")


@pytest.mark.parametrize("policy", [INDEPENDENT, DEPENDENT])
@pytest.mark.parametrize("over", ["available", "all"])
def test_samples_of_a_mixed_policy_follow_its_probabilities(network, inputs, available, policy, over):
    draws, mixing = 40_000, Mixing(0.4, over)
    logits, _ = network(inputs, (2,))
    many = Factors(*(t[:1].repeat_interleave(draws, 0) for t in (3 * logits.independent, 3 * logits.own)), logits.table)
    allowed = available[:1].repeat_interleave(draws, 0)
    noise = gumbel(allowed.shape, torch.Generator().manual_seed(0))
    sampled = choose(policy, many, allowed, noise, mixing=mixing)
    expected = log_policy(policy, many, sampled, allowed, mixing).exp()
    for i in range(N):  # every agent's frequencies are the mean of its probabilities given what was before it
        counts = torch.bincount(sampled[:, i], minlength=allowed.shape[-1]) / draws
        torch.testing.assert_close(counts, expected[:, i].mean(dim=0).detach(), atol=4.5 * 0.5 / draws**0.5, rtol=0)
