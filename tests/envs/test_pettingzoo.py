"""The adapter plays environments that nobody here wrote, and refuses what does not fit in one line."""

import json
import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces
from pettingzoo import ParallelEnv

from macpf.envs.fault import EnvironmentFault
from macpf.envs.pettingzoo import PettingZoo
from macpf.envs.smac.skirmish.battles import Skirmish
from macpf.envs.smac.skirmish.random import new_streams

ROOT = Path(__file__).parents[2]
ZOMBIES = "pettingzoo.butterfly.knights_archers_zombies.knights_archers_zombies"
#: Environments of others, with arguments, and their sizes: agents, actions, observation, state of their own.
OTHERS = {
    "mpe2.simple_spread_v3": ({}, (3, 5, 18, 54)),
    "mpe2.simple_reference_v3": ({}, (2, 50, 21, 42)),
    "mpe2.simple_formation_v1": ({"N": 5}, (5, 5, 6, 30)),
    "pettingzoo.sisl.pursuit_v5": ({"n_pursuers": 4}, (4, 5, 147, None)),
    ZOMBIES: ({"spawn_delay": 4, "line_death": True}, (4, 6, 135, None)),
}


def adapter(id, kwargs=None, batch_size=2, seed=0, limit=25, **settings):
    settings = {"reward": "sum", "state": "concat"} | settings
    return PettingZoo(id, kwargs or {}, episode_limit=limit, batch_size=batch_size, seed=seed, **settings)


def play(env, n_episodes=1, seed=0):
    """Random available actions; all steps of all episodes."""
    random, steps = np.random.default_rng(seed), []
    for _ in range(n_episodes):
        step = env.reset()
        steps.append(step)
        while not (step.terminated | step.truncated).all():
            draws = random.random(step.available.shape)
            step = env.step(np.where(step.available, draws, -1).argmax(axis=-1))
            steps.append(step)
    return steps


def assert_equal(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        for name in ("obs", "state", "available", "reward", "terminated", "truncated"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@pytest.mark.parametrize("id", OTHERS)
def test_environments_of_others_are_played(id):
    kwargs, (n_agents, n_actions, obs_dim, state_dim) = OTHERS[id]
    env = adapter(id, kwargs)
    spec = env.spec
    assert (spec.n_agents, spec.n_actions, spec.obs_dim) == (n_agents, n_actions, obs_dim)
    assert spec.state_dim == n_agents * obs_dim
    steps = play(env)
    assert len(steps) == 26
    for step in steps:
        assert step.obs.shape == (2, n_agents, obs_dim)
        assert step.obs.dtype == step.state.dtype == step.reward.dtype == np.float32
        np.testing.assert_array_equal(step.state, step.obs.reshape(2, -1))
        assert step.available.any(axis=-1).all()
    assert steps[-1].truncated.all()
    if state_dim:
        assert adapter(id, kwargs, state="own").spec.state_dim == state_dim
    assert "pettingzoo" in env.provenance


@pytest.mark.parametrize("id", OTHERS)
def test_episodes_repeat_by_seed_place_and_number(id):
    kwargs, _ = OTHERS[id]
    one = adapter(id, kwargs)
    first = play(one)
    saved = one.state_dict()
    second = play(one)
    assert_equal(first, play(adapter(id, kwargs)))
    assert not np.array_equal(first[-1].obs, second[-1].obs)
    assert not np.array_equal(first[-1].obs[0], first[-1].obs[1])
    if id != ZOMBIES:  # which carries something over from one episode to the next, whatever the seed
        again = adapter(id, kwargs)
        again.load_state_dict(saved)
        assert_equal(second, play(again))
    np.testing.assert_array_equal(adapter(id, kwargs, batch_size=1).reset().obs[0], first[0].obs[0])


def test_rewards_are_the_sum_or_the_mean():
    total = sum(step.reward for step in play(adapter("mpe2.simple_spread_v3")))
    mean = sum(step.reward for step in play(adapter("mpe2.simple_spread_v3", reward="mean")))
    np.testing.assert_allclose(total, 3 * mean, rtol=1e-5)
    assert (total < -10).all()


def test_agents_that_leave_early_have_action_0_and_see_nothing():
    env = adapter(ZOMBIES, OTHERS[ZOMBIES][0], limit=300)
    waited = 0
    for step in play(env):
        running = ~(step.terminated | step.truncated)[:, None]
        left = running & ~step.available[:, :, 1:].any(axis=-1)
        assert step.available[left][:, 0].all()
        assert not step.obs[left].any()
        assert step.obs[running & ~left].any(axis=-1).all()
        waited += left.sum()
    assert waited > 0
    assert step.terminated.any()


def test_masks_in_infos_reach_the_team():
    """Our own battles, seen through PettingZoo, are the battles themselves."""
    env = adapter(
        "macpf.envs.smac.pettingzoo:ParallelSkirmish", {"map_name": "3m"}, batch_size=1, state="own", limit=60
    )
    direct, shown = Skirmish("3m", 1, 0), env.reset()
    direct.streams[...] = new_streams(int(np.random.SeedSequence(0, spawn_key=(0, 0)).generate_state(1)[0]), 1)
    steps, expected = [shown], [direct.reset()]
    while not (shown.terminated | shown.truncated).any():
        actions = shown.available.argmax(axis=-1)  # the first that may be taken: to stop, or to do nothing
        shown = env.step(actions)
        steps.append(shown)
        expected.append(direct.step(actions))
    for one, other in zip(steps, expected, strict=True):
        np.testing.assert_array_equal(one.obs, other.obs)
        np.testing.assert_array_equal(one.state, other.state)
        np.testing.assert_array_equal(one.available, other.available)
        np.testing.assert_allclose(one.reward, 3 * other.reward, rtol=1e-6)
    assert len(steps) > 5


def test_it_trains_from_the_command_line(tmp_path, command_here):
    done = command_here(
        *("algo=vdn", "env=pettingzoo", "env.id=mpe2.simple_spread_v3:parallel_env", "budget=smoke"),
        *("budget.env_steps=400", "env.eval_parallel=2", "budget.eval_episodes=2"),
        *("algo.replay.batch=8", "algo.replay.burn_in=8", f"outputs={tmp_path}"),
    )
    assert done.returncode == 0, done.stderr
    (status,) = tmp_path.rglob("status.json")
    assert json.loads(status.read_text())["state"] == "finished"
    assert status.relative_to(tmp_path).parts[:3] == ("pettingzoo", "mpe2.simple_spread_v3.parallel_env", "vdn")


class Toy(ParallelEnv):
    """Two agents who say goodbye at different times, with what a test wants changed."""

    metadata = {"name": "toy"}  # noqa: RUF012

    def __init__(self, actions=(2, 2), masks=None, leave=(2, 4), in_observation=False):
        self.possible_agents = ["a", "b"]
        self.sizes = dict(zip(self.possible_agents, actions, strict=True))
        self.masks, self.leave, self.in_observation = (
            masks,
            dict(zip(self.possible_agents, leave, strict=True)),
            in_observation,
        )

    def observation_space(self, agent):
        inner = spaces.Box(-1, 1, (2,)) if agent == "a" else spaces.Discrete(3)
        if not self.in_observation:
            return inner
        return spaces.Dict({"observation": inner, "action_mask": spaces.MultiBinary(self.sizes[agent])})

    def action_space(self, agent):
        size = self.sizes[agent]
        return spaces.Discrete(size) if isinstance(size, int) else size

    def _seen(self, names):
        values = {"a": np.array([0.5, -0.5], dtype=np.float32), "b": 2}
        if self.in_observation:
            return {n: {"observation": values[n], "action_mask": np.array(self.masks[n])} for n in names}
        return {n: values[n] for n in names}

    def _infos(self, names):
        return {
            n: {"action_mask": np.array(self.masks[n])} if self.masks and not self.in_observation else {} for n in names
        }

    def reset(self, seed=None, options=None):
        self.agents, self.t = list(self.possible_agents), 0
        return self._seen(self.agents), self._infos(self.agents)

    def step(self, actions):
        assert set(actions) == set(self.agents)
        self.t += 1
        names = self.agents
        gone = {n: self.t >= self.leave[n] for n in names}
        self.agents = [n for n in names if not gone[n]]
        return self._seen(names), dict.fromkeys(names, 1.0), gone, dict.fromkeys(names, False), self._infos(names)


@pytest.fixture(autouse=True)
def _toy_module(monkeypatch):
    module = types.ModuleType("toy_games")
    module.Toy, module.parallel_env, module.number = Toy, Toy, lambda: 5
    monkeypatch.setitem(sys.modules, "toy_games", module)


def test_leavers_are_paid_until_they_leave_and_others_play_on():
    env = adapter("toy_games", batch_size=1)
    step, available, rewards = env.reset(), [], []
    assert step.obs[0].tolist() == [[0.5, -0.5, 0], [0, 0, 1]]
    while not step.terminated[0]:
        step = env.step(np.zeros((1, 2), dtype=int))
        available.append(step.available[0].tolist())
        rewards.append(step.reward[0])
    assert rewards == [2, 2, 1, 1]
    assert available[0] == [[True, True], [True, True]]
    assert available[2] == [[True, False], [True, True]]
    assert not step.truncated[0]
    assert env.step(np.zeros((1, 2), dtype=int)).reward[0] == 0


def test_longer_episodes_are_cut():
    step = play(adapter("toy_games", limit=3, batch_size=1))[-1]
    assert step.truncated[0]
    assert not step.terminated[0]


@pytest.mark.parametrize("in_observation", [False, True])
def test_masks_allow_different_numbers_of_actions(in_observation):
    kwargs = {"actions": (2, 4), "masks": {"a": [0, 1], "b": [1, 1, 0, 1]}, "in_observation": in_observation}
    step = adapter("toy_games:Toy", kwargs, batch_size=1).reset()
    assert step.available[0].tolist() == [[False, True, False, False], [True, True, False, True]]
    assert step.obs.shape == (1, 2, 3)


REFUSED = {
    "nowhere": ({"id": "no.such.module"}, "env.id=no.such.module leads to no parallel environment"),
    "no function": ({"id": "json"}, "type a module with a parallel_env function"),
    "wrong arguments": ({"kwargs": {"M": 3}}, "env.kwargs={'M': 3}: TypeError"),
    "not parallel": ({"id": "toy_games:number"}, "is no PettingZoo ParallelEnv"),
    "turns": ({"id": "mpe2.simple_spread_v3:env"}, "is no PettingZoo ParallelEnv"),
    "continuous": ({"kwargs": {"continuous_actions": True}}, "only Discrete(n) from 0 fits"),
    "different actions": ({"id": "mpe2.simple_speaker_listener_v4"}, "actions and no action masks"),
    "no state": ({"id": "toy_games", "state": "own"}, "has no state() of its own; use env.make.state=concat"),
    "reward": ({"reward": "max"}, "env.make.reward=max is not known; use sum or mean"),
    "state": ({"state": "none"}, "env.make.state=none is not known; use concat or own"),
    "limit": ({"limit": 0}, "env.make.episode_limit=0 makes no episode"),
}


@pytest.mark.parametrize(("settings", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused_in_one_line(settings, message):
    settings = {"id": "mpe2.simple_spread_v3"} | settings
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        adapter(**settings)
    assert "\n" not in str(caught.value)


def test_pictures_need_the_render_mode():
    with pytest.raises(NotImplementedError, match="render_mode=rgb_array"):
        adapter("mpe2.simple_spread_v3").draw(0)
    env = adapter("mpe2.simple_spread_v3", {"render_mode": "rgb_array"}, batch_size=1)
    env.reset()
    assert env.draw(0).shape == (700, 700, 3)


class Telling(Toy):
    """Bumps at every step, for agent a only; both say at the end whether it went well."""

    def _infos(self, names):
        infos = {name: {"text": "no number", "nested": {"x": 1}} for name in names}
        if "a" in infos:
            infos["a"]["bumps/step"] = np.int64(self.t)
        if not self.agents:
            for name, well in zip(names, (True, np.bool_(False)), strict=False):
                infos[name]["success"] = well
        return infos


@pytest.fixture
def telling(monkeypatch):
    monkeypatch.setattr(sys.modules["toy_games"], "parallel_env", Telling)
    return "toy_games"


def test_numbers_in_infos_are_told_as_the_newest_and_as_a_total(telling):
    env = adapter(telling, {"leave": (3, 3)}, batch_size=1)
    for _ in range(2):  # the second episode begins anew
        steps = play(env)
        assert [step.info["bumps_step"][0] for step in steps[1:]] == [1, 2, 3]
        assert [step.info["bumps_step_total"][0] for step in steps[1:]] == [1, 3, 6]
        assert np.isnan(steps[-2].info["success"]).all()
        assert steps[-1].info["success"] == [0.5]
        assert set(steps[-1].info) == {"bumps_step", "bumps_step_total", "success", "success_total"}
        assert np.isnan(env.reset().info["bumps_step"]).all()


def test_a_number_of_the_infos_may_be_the_score(telling):
    env = adapter(telling, {"leave": (3, 3)}, score="bumps_step_total")
    assert env.spec.score == "bumps_step_total"
    last = play(env)[-1]
    assert env.score(np.array([9.0, 9.0]), last).tolist() == [6, 6]


def test_a_score_that_nobody_tells_says_what_is_told(telling):
    env = adapter(telling, {"leave": (3, 3)}, score="succes")
    with pytest.raises(EnvironmentFault, match=r"score=succes, .* they tell: bumps_step, bumps_step_total, success"):
        env.score(np.zeros(2), play(env)[-1])
    with pytest.raises(ValueError, match="is no name"):
        adapter(telling, score="a b")
