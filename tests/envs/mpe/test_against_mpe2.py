"""With mpe2's rules, our particles are mpe2's, step by step; MPE_EPISODES=1000 makes the comparison longer."""

import os

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from macpf.envs.mpe import world
from macpf.envs.mpe.backend import MPE2, make
from macpf.envs.mpe.particles import Particles
from macpf.envs.pettingzoo import find

EPISODES = int(os.environ.get("MPE_EPISODES", 40))
STEPS = 25
NEAR = {"rtol": 0, "atol": 1e-6}


def particles(task, batch_size, n_agents=3, end_at_success=False, reward="mean"):
    return Particles(
        task, batch_size, 0, n_agents, STEPS, reward, end_at_success,
        integration="position_first", landmark_range=1.0, self_collision=False, local_ratio=0.5,
    )  # fmt: skip


def original(task, **options):
    return find(MPE2[task][0])(N=options.pop("n_agents", 3), max_cycles=STEPS, **options)


def place(game, agents):
    """Move mpe2's agents to [N, 2], at rest."""
    for body, xy in zip(game.unwrapped.world.agents, agents, strict=True):
        body.state.p_pos, body.state.p_vel = xy.copy(), np.zeros(2)


def bodies(game):
    """[N, 4] as ours."""
    return np.array([[*body.state.p_pos, *body.state.p_vel] for body in game.unwrapped.world.agents])


@pytest.mark.parametrize("n_agents", [3, 5])
@pytest.mark.parametrize("task", MPE2)
def test_random_episodes_are_equal(task, n_agents):
    """Places, velocities, observations, rewards; every second episode starts as a crowd, so that all collide."""
    env = particles(task, EPISODES, n_agents)
    env.reset()
    games = [original(task, n_agents=n_agents) for _ in range(EPISODES)]
    for b, game in enumerate(games):
        game.reset(seed=b)
        place(game, bodies(game)[:, :2] * (1.0 if b % 2 else 0.1))
        env.agents[b] = bodies(game)
        env.landmarks[b] = [body.state.p_pos for body in game.unwrapped.world.landmarks]
    random = np.random.default_rng(0)
    touched = 0
    for t in range(STEPS):
        actions = random.integers(5, size=(EPISODES, n_agents))
        step = env.step(actions)
        for b, game in enumerate(games):
            seen, rewards, _, truncations, _ = game.step(dict(zip(game.agents, actions[b].tolist(), strict=True)))
            np.testing.assert_allclose(env.agents[b], bodies(game), **NEAR)
            np.testing.assert_allclose(step.obs[b], list(seen.values()), **NEAR)
            np.testing.assert_allclose(step.state[b], game.state(), **NEAR)
            np.testing.assert_allclose(step.reward[b], np.mean(list(rewards.values())), **NEAR)
            assert step.truncated[b] == all(truncations.values()) == (t + 1 == STEPS)
        apart = np.linalg.norm(env.agents[:, 0, :2] - env.agents[:, 1, :2], axis=-1)
        touched += (apart < 2 * env.rules.radius).sum()
    assert touched > EPISODES / 4


@pytest.mark.parametrize("task", MPE2)
def test_episodes_start_alike(task):
    """The same numpy stream gives the same world as mpe2's reset."""
    env = particles(task, 20)
    env.streams = [np.random.default_rng(b) for b in range(20)]
    step, game = env.reset(), original(task)
    for b in range(20):
        seen, _ = game.reset(seed=b)
        np.testing.assert_array_equal(step.obs[b], list(seen.values()))


@pytest.mark.parametrize("task", MPE2)
def test_success_ends_an_episode_where_mpe2_ends_it(task):
    env, game = particles(task, 1, end_at_success=True), original(task, terminate_on_success=True)
    env.streams = [np.random.default_rng(1)]
    env.reset()
    game.reset(seed=1)
    places = np.empty((3, 2))
    if task == "simple_spread":
        places[:] = env.landmarks[0]
    else:
        world.place_slots(env.rules, env.agents[0], env.landmarks[0], places)
    still = np.zeros((1, 3), dtype=int)
    for away, over in ((0.3, False), (0.0, True)):
        place(game, places + np.array([away, 0.0]))
        env.agents[0] = bodies(game)
        step = env.step(still)
        _, _, terminations, _, _ = game.step(dict.fromkeys(game.agents, 0))
        assert step.terminated[0] == all(terminations.values()) == over
        assert not step.truncated[0]
    before, after = env.agents.copy(), env.step(np.ones((1, 3), dtype=int))
    assert after.reward[0] == 0
    assert after.terminated[0]
    np.testing.assert_array_equal(env.agents, before)


@pytest.mark.parametrize("n_agents", [2, 3, 4, 7])
def test_slots_are_shared_out_as_scipy_shares_them(n_agents):
    random = np.random.default_rng(n_agents)
    arrays = [np.empty(1 << n_agents) for _ in range(3)]
    for _ in range(50):
        agents, slots = random.uniform(-2, 2, (n_agents, 4)), random.uniform(-2, 2, (n_agents, 2))
        world.match(agents, slots, *arrays)
        distances = np.linalg.norm(agents[:, None, :2] - slots[None], axis=-1)
        best = distances[linear_sum_assignment(distances)]
        expected = best.sum(), best.clip(0, 2).sum(), best.max()
        np.testing.assert_allclose([array[-1] for array in arrays], expected, rtol=1e-12)


@pytest.mark.parametrize("task", MPE2)
def test_mpe2_itself_is_a_backend(task):
    """Reached by env.backend=mpe2, it has the sizes and the rewards of ours."""
    rules = {"mpe2": {"integration": "position_first", "landmark_range": 1.0, "self_collision": False}}
    rules["mpe2"]["local_ratio"] = 0.5
    slow, fast = (
        make(backend, task, "mpe2", rules, 3, STEPS, "sum", False, batch_size=2, seed=0)
        for backend in ("mpe2", "embedded")
    )
    assert slow.spec == fast.spec
    first = slow.reset()
    fast.reset()
    for b in range(2):
        fast.agents[b] = bodies(slow.games[b])
        fast.landmarks[b] = [body.state.p_pos for body in slow.games[b].unwrapped.world.landmarks]
    assert first.available.all()
    random = np.random.default_rng(0)
    for t in range(STEPS):
        actions = random.integers(5, size=(2, 3))
        one, other = slow.step(actions), fast.step(actions)
        np.testing.assert_allclose(one.obs, other.obs, **NEAR)
        np.testing.assert_allclose(one.state, other.state, **NEAR)
        np.testing.assert_allclose(one.reward, other.reward, rtol=1e-6, atol=1e-6)
        assert one.truncated.all() == other.truncated.all() == (t + 1 == STEPS)
        assert not (one.terminated | other.terminated).any()
