"""Evaluation is fair to long episodes, greedy, and leaves training alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from baselines.vdn import VDN
from macpf.envs.base import Env, EnvSpec, Step
from macpf.experience.rollout import Rollout
from macpf.learning.algorithm import Algorithm
from macpf.learning.schedules import Clock
from macpf.records.ledger import Ledger
from macpf.records.run_state import run_state
from macpf.runs.console import describe_score
from macpf.runs.evaluation import Evaluator
from macpf.runs.identity import Identity
from macpf.runs.job import run


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


class Wanderer(Fixed):
    """Explores by its own stream."""

    def act(self, observation, memory, clock):
        return torch.randint(2, observation.obs.shape[:2], generator=self.generator), memory


class Tracked(TwoSpeeds):
    """Says what its observations hold; one record for each env step."""

    tracked = ("t",)

    @property
    def record_type(self):
        return np.dtype([("t", np.float32)])

    def expand(self, record):
        raise AssertionError("nobody learns here")

    def _step(self, reward):
        return replace(super()._step(reward), record={"t": np.full(2, self.t, dtype=np.float32)})


def test_sampled_episodes_are_tracked_to_their_ends_and_training_notices_nothing():
    env = Tracked()
    algorithm = Wanderer(env.spec, "cpu", 0)
    before = algorithm.generator.get_state()
    results = Evaluator(Rollout(env, False, "cpu"), episodes=2).sample(algorithm, Clock())
    assert torch.equal(algorithm.generator.get_state(), before)
    expected = {f"sampled/0/{t}/t": t for t in range(2)} | {f"sampled/1/{t}/t": t for t in range(11)}
    assert results == expected


def test_without_anything_to_track_nothing_is_played():
    env = TwoSpeeds()
    assert Evaluator(Rollout(env, False, "cpu"), episodes=2).sample(Fixed(env.spec, "cpu", 0), Clock()) == {}


def test_an_uneven_share_is_refused():
    with pytest.raises(ValueError, match="eval_episodes=7"):
        Evaluator(Rollout(TwoSpeeds(), False, "cpu"), episodes=7)


def test_policies_may_have_any_name(configured, monkeypatch):
    monkeypatch.setattr(VDN, "policies", ("greedy",))
    cfg = configured("algo=vdn")
    score = run(cfg)
    now = run_state(Identity.of(cfg).folder)
    assert now.state == "finished"
    assert now.status["score"] == {"greedy": score}
    assert describe_score(now.status) == f"return {score:.2f}"
    ledger = Ledger.read(Identity.of(cfg).folder / "ledger.jsonl")
    assert ledger.manifest.labels == {"greedy": "vdn"}
    assert ledger.rows[-1].values["eval/greedy/return"] == score


class Talkative(TwoSpeeds):
    """Environment 0 tells a success, environment 1 only how often it bumped; both tell something of our own name."""

    def _step(self, reward):
        step = super()._step(reward)
        told = {"success": np.array([1.0, np.nan]), "bumps": np.array([np.nan, self.t]), "silent": np.full(2, np.nan)}
        return replace(step, info=told | {"episode_length": np.array([7, 7]), "return": np.array([5, 5])})


def test_what_the_environment_tells_of_episodes_is_logged_as_a_mean_over_those_that_tell_it():
    env = Talkative()
    results = Evaluator(Rollout(env, False, "cpu"), 4)(Fixed(env.spec, "cpu", 0))
    assert results["eval/independent/success"] == 1
    assert results["eval/independent/bumps"] == 10
    assert results["eval/independent/episode_length"] == 5.5
    assert results["eval/independent/info_episode_length"] == 7
    assert results["eval/independent/return"] == 0.5
    assert "eval/independent/silent" not in results
