"""Centralised control: joint actions as numbers, the soft Bellman target by hand, and the optimum it finds."""

import re

import numpy as np
import pytest
import torch

from baselines.central import joint_availability
from macpf.configuration import compose
from macpf.experience.batch import EpisodeBatch
from macpf.learning.schedules import Clock
from macpf.runs.build import build
from macpf.runs.errors import ConfigError


@pytest.fixture
def parts():
    return build(compose("algo=central", "env=multigoal", "algo.learner.alpha.start=0.2", "algo.learner.alpha.end=0.2"))


def batch_of(actions, reward, terminated=0.0):
    """Two steps of one game of two agents with four actions each, and what came after."""
    R = len(actions)
    return EpisodeBatch(
        sizes=(1,) * R,
        obs=torch.arange(R * 4.0).view(R, 2, 2) / 10,
        state=torch.zeros(R, 2),
        available=torch.ones(R, 2, 4, dtype=torch.bool),
        actions=torch.tensor(actions),
        reward=torch.tensor(reward),
        terminated=torch.full((R,), terminated),
        filled=torch.tensor([1.0] * (R - 1) + [0.0]),
    )


def test_joint_actions_are_numbers_whose_digits_are_the_agents_actions(parts):
    joint = torch.arange(16)
    actions = parts.algorithm._actions(joint)
    assert actions.tolist() == [[i, j] for i in range(4) for j in range(4)]
    assert ((actions * parts.algorithm.weights).sum(dim=-1) == joint).all()


def test_a_joint_action_is_available_if_each_part_is():
    random = np.random.default_rng(0)
    available = torch.from_numpy(random.random((50, 3, 4)) < 0.6)
    joint = joint_availability(available).view(50, 4, 4, 4)
    for r, i, j, k in np.ndindex(50, 4, 4, 4):
        assert joint[r, i, j, k] == (available[r, 0, i] and available[r, 1, j] and available[r, 2, k])


def test_the_loss_is_the_squared_soft_bellman_error(parts):
    central, batch = parts.algorithm, batch_of([[1, 2], [3, 3], [0, 0]], [0.5, -1.0, 0.0])
    alpha = 0.2
    with torch.no_grad():
        q, _ = central.q(batch.obs.flatten(1).unsqueeze(1), batch.sizes)
        q = q.squeeze(1).double().numpy()  # live and target networks are equal before the first update
    values = [alpha * np.log(np.exp(row / alpha).sum()) for row in q]
    errors = [q[0, 1 * 4 + 2] - (0.5 + central.gamma * values[1]), q[1, 3 * 4 + 3] - (-1.0 + central.gamma * values[2])]
    metrics = central.learn(batch, Clock())
    assert metrics["train/loss/td"].item() == pytest.approx(np.mean(np.square(errors)), rel=1e-4)


def test_actions_follow_the_soft_policy(parts):
    central = parts.algorithm
    observation = parts.rollout.observe(parts.rollout.env.reset())
    repeated = type(observation)(
        obs=observation.obs[:1].expand(20000, -1, -1),
        state=observation.state[:1].expand(20000, -1),
        available=observation.available[:1].expand(20000, -1, -1),
    )
    actions, _ = central.act(repeated, central.start(20000), Clock())
    shares = torch.bincount((actions * central.weights).sum(dim=-1), minlength=16) / 20000
    with torch.no_grad():
        q, _ = central.q(repeated.obs[:1].flatten(1).unsqueeze(1), (1,))
    expected = (q.view(-1) / 0.2).softmax(dim=-1)
    torch.testing.assert_close(shares, expected, atol=0.01, rtol=0.0)


def test_it_plays_the_matrix_game_optimally():
    parts = build(compose("algo=central", "env=matrix_game"))
    clock = Clock()
    for _ in range(200):
        played = parts.rollout.play(parts.algorithm, clock)
        clock.env_steps, clock.episodes = clock.env_steps + played.env_steps, clock.episodes + len(played.episodes)
        parts.replay.add(played.episodes)
        if len(parts.replay) >= 64:
            for _ in range(4):
                parts.algorithm.learn(parts.replay.sample(64), clock)
    assert parts.evaluator(parts.algorithm)["eval/independent/return"] == 8.0


def test_too_many_joint_actions_are_refused():
    with pytest.raises(ConfigError, match=re.escape("more than 4,096 joint actions")):
        build(compose("algo=central", "env=smac", "env.backend=embedded", "map=8m"))
