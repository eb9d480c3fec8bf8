"""Evaluation is fair to long episodes, greedy, and leaves training alone."""

import numpy as np
import pytest
import torch

from macpf.envs.base import Env, EnvSpec, Step
from macpf.experience.rollout import Rollout
from macpf.learning.algorithm import Algorithm
from macpf.runs.evaluation import Evaluator


class TwoSpeeds(Env):
    """Episodes of environment 0 last one step and score 1, those of environment 1 ten steps and score 0."""

    spec = EnvSpec(n_agents=1, n_actions=2, obs_dim=1, state_dim=1, episode_limit=10, score="return")
    batch_size = 2

    def reset(self):
        self.t = 0
        return self._step(np.zeros(2))

    def step(self, actions):
        self.t += 1
        return self._step(np.array([self.t == 1, 0.0]))

    def _step(self, reward):
        return Step(
            obs=np.ones((2, 1, 1), dtype=np.float32),
            state=np.ones((2, 1), dtype=np.float32),
            available=np.ones((2, 1, 2), dtype=bool),
            reward=reward.astype(np.float32),
            terminated=np.array([self.t >= 1, self.t >= 10]),
            truncated=np.zeros(2, dtype=bool),
        )

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


class Fixed(Algorithm):
    """Plays action 0."""

    on_policy = False
    policies = ("independent",)

    def act(self, observation, memory, clock):
        raise AssertionError("evaluation must not explore")

    def act_greedily(self, observation, memory, policy):
        return torch.zeros(observation.obs.shape[:2], dtype=torch.long), memory

    def learn(self, batch, clock):
        return {}


def test_short_episodes_are_not_counted_more_often():
    env = TwoSpeeds()
    results = Evaluator(Rollout(env, False, "cpu"), episodes=8)(Fixed(env.spec, "cpu", 0))
    assert results["eval/independent/return"] == 0.5
    assert results["eval/independent/episode_length"] == 5.5


def test_an_uneven_share_is_refused():
    with pytest.raises(ValueError, match="eval_episodes=7"):
        Evaluator(Rollout(TwoSpeeds(), False, "cpu"), episodes=7)
