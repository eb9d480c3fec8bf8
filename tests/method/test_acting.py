"""Acting: who samples what, in which order, and never an unavailable action."""

import numpy as np
import pytest
import torch

from macpf.experience.batch import Observation
from macpf.learning.algorithm import Memory
from macpf.learning.schedules import Clock
from macpf.method.policy import choose_in_order


@pytest.fixture
def observed(sizes):
    def make(B, available, same=False):
        generator = torch.Generator().manual_seed(0)
        obs = torch.randn(1 if same else B, sizes.n_agents, sizes.obs_dim, generator=generator)
        return Observation(obs.expand(B, -1, -1), torch.zeros(B, sizes.state_dim), available)

    return make


@pytest.fixture
def loud_macpf(make_macpf):
    """A learner whose policies are far from uniform."""

    def make(**changes):
        learner = make_macpf(**changes)
        for p in learner.actor.parameters():
            p.data.mul_(4.0)
        return learner

    return make


@pytest.mark.parametrize("uniform_share", [0.0, 0.5, 1.0])
def test_unavailable_actions_are_never_taken(loud_macpf, sizes, observed, random_available, uniform_share):
    B = 100_000
    learner = loud_macpf(uniform_share=uniform_share)
    available = random_available(B, sizes.n_agents, sizes.n_actions, generator=torch.Generator().manual_seed(1))
    observation = observed(B, available)
    for actions in (
        learner.act(observation, learner.start(B), Clock())[0],
        learner.act_greedily(observation, learner.start(B), "independent")[0],
        learner.act_greedily(observation, learner.start(B), "dependent")[0],
    ):
        assert available.gather(-1, actions.unsqueeze(-1)).all()


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_exploring_samples_the_dependent_joint_policy_and_a_share_of_teams_acts_uniformly(
    loud_macpf, sizes, observed, share
):
    B = 20_000
    learner = loud_macpf(uniform_share=share)
    available = torch.ones(B, sizes.n_agents, sizes.n_actions, dtype=torch.bool)
    available[:, 1, 2] = False
    observation = observed(B, available, same=True)
    actions, _ = learner.act(observation, learner.start(B), Clock())
    one = Observation(observation.obs[:1], observation.state[:1], available[:1])
    joint = {name: policy[0].double().numpy() for name, policy in learner.joint_policies(one).items()}
    assert np.abs(joint["dependent"] - joint["independent"]).max() > 0.02
    uniform = np.full((4, 4, 4), 1 / (4 * 3 * 4))
    uniform[:, 2] = 0.0
    p = (1 - share) * joint["dependent"] + share * uniform
    counts = np.zeros_like(p)
    np.add.at(counts, tuple(actions.T.numpy()), 1)
    assert counts[:, 2].sum() == 0
    assert (np.abs(counts / B - p) <= 4.5 * np.sqrt(p * (1 - p) / B) + 1 / B).all()


def test_joint_policies_are_distributions_and_the_independent_one_is_a_product(loud_macpf, sizes, observed):
    learner = loud_macpf()
    available = torch.ones(3, sizes.n_agents, sizes.n_actions, dtype=torch.bool)
    available[1, 0, 1] = False
    policies = learner.joint_policies(observed(3, available))
    for joint in policies.values():
        assert joint.shape == (3, 4, 4, 4)
        torch.testing.assert_close(joint.sum(dim=(1, 2, 3)), torch.ones(3))
        assert (joint[1, 1] == 0).all()
    joint = policies["independent"]
    product = torch.einsum("ba,bc,bd->bacd", joint.sum((2, 3)), joint.sum((1, 3)), joint.sum((1, 2)))
    torch.testing.assert_close(joint, product)


@pytest.mark.parametrize("recurrent", [True, False], ids=["recurrent", "feed-forward"])
def test_acting_step_by_step_sees_what_learning_sees(loud_macpf, sizes, ragged_batch, recurrent):
    """Greedy choices made with a carried memory equal those from one pass over the whole episodes."""
    learner = loud_macpf(recurrent=recurrent)
    batch = ragged_batch(sizes, [6] * 5)
    logits, _ = learner.actor(learner.inputs_of(batch), batch.sizes)
    available = batch.available
    expected = {
        "independent": logits.independent.masked_fill(~available, -torch.inf).argmax(dim=-1),
        "dependent": choose_in_order(logits, available, None),
    }
    obs, state, played = (x.split(batch.sizes) for x in (batch.obs, batch.state, batch.actions))
    for policy in learner.policies:
        memory = learner.start(5)
        for t in range(6):
            observation = Observation(obs[t], state[t], available.split(batch.sizes)[t])
            actions, after = learner.act_greedily(observation, memory, policy)
            assert torch.equal(actions, expected[policy].split(batch.sizes)[t])
            assert torch.equal(after.last_actions, actions)
            memory = Memory(played[t], after.hidden)


def test_both_ways_of_acting_remember_what_was_done(loud_macpf, sizes, observed):
    learner = loud_macpf()
    observation = observed(4, torch.ones(4, sizes.n_agents, sizes.n_actions, dtype=torch.bool))
    start = learner.start(4)
    assert (start.last_actions == -1).all()
    explored, memory = learner.act(observation, start, Clock())
    assert torch.equal(memory.last_actions, explored)
    _, greedy = learner.act_greedily(observation, start, "dependent")
    torch.testing.assert_close(memory.hidden, greedy.hidden)


def test_greedy_acting_draws_no_random_number_and_exploring_does(loud_macpf, sizes, observed):
    learner = loud_macpf()
    observation = observed(4, torch.ones(4, sizes.n_agents, sizes.n_actions, dtype=torch.bool))
    before = learner.generator.get_state()
    for policy in learner.policies:
        learner.act_greedily(observation, learner.start(4), policy)
    assert torch.equal(learner.generator.get_state(), before)
    learner.act(observation, learner.start(4), Clock())
    assert not torch.equal(learner.generator.get_state(), before)


@pytest.mark.parametrize(("mixing", "kept"), [("none", 0.7), ("available", 0.7**2)])
def test_epsilon_replaces_single_agents_once_or_twice(loud_macpf, sizes, observed, mixing, kept):
    """The authors' code mixes epsilon into the policy and then draws again: 1 - (1 - eps)^2 of the actions are random.

    The first agent's marginal tells: it sees nobody's action.
    """
    B, eps = 40_000, 0.3
    schedule = {"start": eps, "end": eps, "per": "env_steps", "duration": 1, "factor": None}
    learner, plain = loud_macpf(epsilon=schedule, epsilon_mixing=mixing), loud_macpf()
    available = torch.ones(B, sizes.n_agents, sizes.n_actions, dtype=torch.bool)
    available[:, 0, 3] = False
    observation = observed(B, available, same=True)
    actions, _ = learner.act(observation, learner.start(B), Clock())
    one = Observation(observation.obs[:1], observation.state[:1], available[:1])
    marginal = plain.joint_policies(one)["dependent"][0].sum(dim=(1, 2)).double().numpy()
    expected = kept * marginal + (1 - kept) * np.array([1, 1, 1, 0]) / 3
    counts = np.bincount(actions[:, 0], minlength=4) / B
    assert np.abs(expected - marginal).max() > 0.05
    np.testing.assert_allclose(counts, expected, atol=4.5 * 0.5 / np.sqrt(B))


def test_without_its_dependent_half_it_acts_independently(loud_macpf, sizes, observed):
    """MACPF_CONTROL: the agents' actions are independent of each other."""
    B = 40_000
    learner = loud_macpf(conditional=False)
    assert learner.policies == ("independent",)
    observation = observed(B, torch.ones(B, sizes.n_agents, sizes.n_actions, dtype=torch.bool), same=True)
    actions, _ = learner.act(observation, learner.start(B), Clock())
    one = Observation(observation.obs[:1], observation.state[:1], observation.available[:1])
    joint = learner.joint_policies(one)
    assert joint.keys() == {"independent"}
    counts = np.zeros((4, 4, 4))
    np.add.at(counts, tuple(actions.T.numpy()), 1)
    np.testing.assert_allclose(counts / B, joint["independent"][0].numpy(), atol=4.5 * 0.5 / np.sqrt(B))
