"""QMIX: double Q-learning of a monotonic mixture, explored epsilon-greedily."""

import copy

import pytest
import torch
from pydantic import ValidationError

from baselines.qmix import MonotonicMixer
from macpf.experience.batch import Observation
from macpf.learning.schedules import Clock, Schedule


def constant(epsilon):
    return Schedule(start=epsilon, end=epsilon, per="env_steps", duration=1, factor=None)


class TestMixer:
    @pytest.fixture
    def mixer(self):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return MonotonicMixer(state_dim=4, n_agents=3, embed_dim=5, hypernet_dim=6).double()

    @pytest.fixture
    def random(self):
        generator = torch.Generator().manual_seed(1)
        return lambda *shape: 3 * torch.randn(*shape, generator=generator, dtype=torch.float64)

    def test_equals_the_formula_with_the_elu_written_out(self, mixer, random):
        values, state = random(2, 7, 3), random(2, 7, 4)
        mixed = mixer(values, state)
        w1, b1, w2, v = mixer.weights(state)
        negative = 0
        for b in range(2):
            for t in range(7):
                total = v[b, t].clone()
                for e in range(5):
                    x = b1[b, t, e] + sum(values[b, t, i] * w1[b, t, i, e] for i in range(3))
                    negative += int(x < 0)
                    total = total + w2[b, t, e] * (x if x > 0 else x.exp() - 1)
                torch.testing.assert_close(mixed[b, t], total)
        assert 0 < negative < 70

    def test_monotonic_in_every_agents_value(self, mixer, random):
        values = random(200, 5, 3).requires_grad_()
        slopes = torch.autograd.grad(mixer(values, random(200, 5, 4)).sum(), values)[0]
        assert (slopes >= 0).all()
        assert (slopes > 0).any(dim=(0, 1)).all()


@pytest.mark.parametrize("recurrent", [True, False], ids=["recurrent", "feed-forward"])
@pytest.mark.parametrize("td_lambda", [0.0, 0.6])
def test_loss_and_gradients_equal_double_q_learning_written_out(
    make_qmix, batch, slow_values, slow_goals, assert_gradients_of_last_update, recurrent, td_lambda
):
    """The live network chooses among the available actions, the targets value; step by step and agent by agent."""
    learner = make_qmix(recurrent=recurrent, td_lambda=td_lambda)
    live = copy.deepcopy(learner.live)
    q, _ = live["agents"](learner.inputs_of(batch), batch.sizes)

    def joint(mixer, q, actions, r):
        values = torch.stack([q[r, i, a] for i, a in enumerate(actions)])
        return mixer(values[None], batch.state[r][None]).squeeze()

    goal = slow_goals(batch, slow_values(learner, q, batch, joint), gamma=0.9, lambda_=td_lambda)
    loss = 0.0
    for r in batch.filled.nonzero().flatten():
        loss = loss + (joint(live["mixer"], q, batch.actions[r].tolist(), r) - goal[r]) ** 2 / 12
    metrics = learner.learn(batch, Clock())
    assert metrics["train/loss/td"].item() == pytest.approx(loss.item(), rel=1e-4)
    assert_gradients_of_last_update(loss, learner.live, list(live.parameters()))


def test_an_update_moves_agents_and_mixer_but_not_the_targets(make_qmix, batch):
    learner = make_qmix()
    live, target = copy.deepcopy(learner.live.state_dict()), copy.deepcopy(learner.target.state_dict())
    learner.learn(batch, Clock(episodes=1))
    assert all(not torch.equal(value, live[name]) for name, value in learner.live.state_dict().items())
    assert all(torch.equal(value, target[name]) for name, value in learner.target.state_dict().items())
    assert not any(p.requires_grad for p in learner.target.parameters())


def test_targets_are_copied_after_the_interval(make_qmix, batch):
    learner = make_qmix()
    for episodes, copied in [(199, False), (200, True), (399, False), (400, True)]:
        learner.learn(batch, Clock(episodes=episodes))
        live = learner.live.state_dict()
        assert all(torch.equal(v, live[k]) for k, v in learner.target.state_dict().items()) is copied


@pytest.fixture
def observation(sizes):
    """20,000 teams in the same place; agent 0 may not take action 2, agent 2 only action 1."""
    B = 20_000
    obs = torch.randn(1, 3, sizes.obs_dim, generator=torch.Generator().manual_seed(0)).expand(B, -1, -1)
    available = torch.ones(B, 3, 4, dtype=torch.bool)
    available[:, 0, 2] = False
    available[:, 2] = torch.tensor([False, True, False, False])
    return Observation(obs, torch.zeros(B, sizes.state_dim), available)


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
def test_epsilon_is_the_probability_of_a_uniform_available_action(make_qmix, observation, epsilon):
    learner = make_qmix(epsilon=constant(epsilon))
    B = len(observation.obs)
    greedy, _ = learner.act_greedily(observation, learner.start(B), "independent")
    actions, memory = learner.act(observation, learner.start(B), Clock())
    assert torch.equal(memory.last_actions, actions)
    for i, allowed in enumerate([[0, 1, 3], [0, 1, 2, 3], [1]]):
        expected = torch.zeros(4)
        expected[allowed] = epsilon / len(allowed)
        expected[greedy[0, i]] += 1 - epsilon
        frequencies = torch.bincount(actions[:, i], minlength=4) / B
        torch.testing.assert_close(frequencies, expected, atol=0.016, rtol=0)
        assert (frequencies[expected == 0] == 0).all()


def test_agents_explore_independently_of_each_other(make_qmix, sizes):
    B, learner = 20_000, make_qmix(epsilon=constant(0.5))
    obs = torch.zeros(B, 3, sizes.obs_dim)
    observation = Observation(obs, torch.zeros(B, sizes.state_dim), torch.ones(B, 3, 4, dtype=torch.bool))
    greedy, _ = learner.act_greedily(observation, learner.start(B), "independent")
    strayed = (learner.act(observation, learner.start(B), Clock())[0] != greedy).double()
    correlations = torch.corrcoef(strayed.T) - torch.eye(3)
    assert correlations.abs().max() < 0.03
    torch.testing.assert_close(strayed.mean(dim=0), torch.full((3,), 0.375, dtype=torch.float64), atol=0.016, rtol=0)


def test_an_epsilon_above_one_is_refused(make_qmix):
    with pytest.raises(ValueError, match=r"epsilon is a probability, but reaches 1\.5"):
        make_qmix(epsilon=Schedule(start=1.5, end=0.1, per="episodes", duration=10, factor=None))


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("gamma", 1.5),
        ("td_lambda", -0.1),
        ("lr", 0.0),
        ("clip", 0.0),
        ("hidden_dim", "many"),
        ("recurrent", 3),
        ("embed_dim", 0),
        ("hypernet_dim", 1.5),
        ("target_interval", -1),
        ("epsilon", 0.1),
        ("epsilon", {"start": 1.0, "end": 0.1, "per": "weeks", "duration": 1, "factor": None}),
        ("colour", "red"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(make_qmix, argument, value):
    with pytest.raises(ValidationError, match=argument):
        make_qmix(**{argument: value})
