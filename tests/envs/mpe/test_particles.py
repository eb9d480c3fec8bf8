"""The particle tasks with the paper's rules: numbers worked out by hand, repeatability, and what is refused."""

import io
import re

import numpy as np
import pytest
import torch

from macpf.configuration import compose
from macpf.envs.mpe import world
from macpf.envs.mpe.backend import MPE2, make
from macpf.envs.mpe.particles import TASKS, Particles

PAPER = {"integration": "velocity_first", "landmark_range": 0.8, "self_collision": True, "local_ratio": None}


def particles(task="simple_spread", batch_size=4, seed=0, n_agents=3, steps=25, reward="sum", success=False, **rules):
    return Particles(task, batch_size, seed, n_agents, steps, reward, success, **(PAPER | rules))


def play(env, n_episodes=1):
    """All steps of some episodes; world b's actions depend on b only."""
    randoms, steps = [np.random.default_rng(b) for b in range(env.batch_size)], []
    for _ in range(n_episodes):
        steps.append(env.reset())
        for _ in range(env.spec.episode_limit):
            steps.append(env.step(np.array([random.integers(5, size=env.spec.n_agents) for random in randoms])))
    return steps


def assert_equal(one, other, rows=slice(None)):
    for a, b in zip(one, other, strict=True):
        for name in ("obs", "state", "available", "reward", "terminated", "truncated"):
            np.testing.assert_array_equal(getattr(a, name)[rows], getattr(b, name)[rows])


@pytest.mark.parametrize(("task", "obs_dim"), [("simple_spread", 18), ("formation_control", 6), ("line_control", 8)])
def test_sizes(task, obs_dim):
    step, spec = particles(task).reset(), particles(task).spec
    assert (spec.n_agents, spec.n_actions, spec.obs_dim, spec.state_dim) == (3, 5, obs_dim, 3 * obs_dim)
    assert (spec.episode_limit, spec.score, spec.agent_feature_dim) == (25, "return", 0)
    assert step.obs.shape == (4, 3, obs_dim)
    assert step.obs.dtype == step.state.dtype == step.reward.dtype == np.float32
    np.testing.assert_array_equal(step.state, step.obs.reshape(4, -1))
    assert step.available.all()


def paid(agents, landmarks, **settings):
    """Reward of simple spread with everybody where they are."""
    env = particles(batch_size=1, **settings)
    return env.share * world.pay_spread(env.rules, np.array([[x, y, 0, 0] for x, y in agents]), np.array(landmarks))[0]


FAR, NEAR = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)], [(0.0, 0.0), (1.0, 0.0), (1.29, 0.0)]
#: Landmarks 0.1, 0.2 and 0.3 from the nearest agent, in both.
AROUND = [(-0.1, 0), (1, -0.2), (0, 1.3)], [(-0.1, 0), (1, -0.2), (1.29, 0.3)]


@pytest.mark.parametrize(
    ("settings", "apart", "touching"),
    [
        ({}, -3 * 0.6 - 3, -3 * 0.6 - 3 - 2),
        ({"reward": "mean"}, -0.6 - 1, -0.6 - 1 - 2 / 3),
        ({"self_collision": False}, -3 * 0.6, -3 * 0.6 - 2),
        ({"self_collision": False, "local_ratio": 0.25}, -3 * 0.45, -3 * 0.45 - 2 * 0.25),
        ({"local_ratio": 1}, -3, -5),
    ],
)
def test_spread_pays_distances_and_collisions(settings, apart, touching):
    assert paid(FAR, AROUND[0], **settings) == pytest.approx(apart)
    assert paid(NEAR, AROUND[1], **settings) == pytest.approx(touching)


@pytest.mark.parametrize(("integration", "first"), [("velocity_first", 0.05), ("position_first", 0.0)])
def test_an_action_moves_its_agent_at_once_or_a_step_later(integration, first):
    env = particles("line_control", batch_size=1, integration=integration)
    env.reset()
    env.agents[0] = [[0, 0, 0, 0], [5, 5, 0, 0], [-5, 5, 0, 0]]
    right, left, up = 2, 1, 4
    env.step(np.array([[right, left, up]]))
    np.testing.assert_allclose(env.agents[0, :, 2:], [[0.5, 0], [-0.5, 0], [0, 0.5]])
    np.testing.assert_allclose(env.agents[0, :, :2], [[first, 0], [5 - first, 5], [-5, 5 + first]])
    env.step(np.array([[right, 0, 3]]))
    np.testing.assert_allclose(env.agents[0, :, 2:], [[0.875, 0], [-0.375, 0], [0, -0.125]])


def test_slots_of_the_circle_and_of_the_line():
    agents = np.array([[0.0, 3.0, 0, 0], [-1.0, 0.0, 0, 0], [1.0, -0.001, 0, 0], [-2.0, -2.0, 0, 0]])
    slots = np.empty((4, 2))
    rules = particles("formation_control", n_agents=4).rules
    world.place_slots(rules, agents, np.zeros((1, 2)), slots)  # the smallest angle is that of the agent at 90 degrees
    np.testing.assert_allclose(slots, [[0, 0.5], [-0.5, 0], [0, -0.5], [0.5, 0]], atol=1e-12)
    rules = particles("line_control", n_agents=4).rules
    world.place_slots(rules, agents, np.array([[0.0, 0.0], [0.9, -0.3]]), slots)
    np.testing.assert_allclose(slots, [[0, 0], [0.3, -0.1], [0.6, -0.2], [0.9, -0.3]])


def test_distances_count_up_to_two():
    env = particles("line_control", batch_size=1, n_agents=2)
    env.reset()
    env.landmarks[0] = [(0, 0), (1, 0)]
    env.agents[0] = [[0, 0.25, 0, 0], [1, 50, 0, 0]]
    assert env.step(np.zeros((1, 2), dtype=int)).reward[0] == pytest.approx(-2.25)


@pytest.mark.parametrize("task", TASKS)
def test_worlds_start_where_they_should(task):
    env = particles(task, batch_size=500)
    env.reset()
    places, landmarks = env.agents[:, :, :2], env.landmarks
    assert 0.99 < np.abs(places).max() <= 1
    assert not env.agents[:, :, 2:].any()
    widest = {"simple_spread": 0.8, "formation_control": 0.5, "line_control": 0.25}[task]
    assert 0.98 * widest < np.abs(landmarks[:, 0]).max() <= widest
    if task == "line_control":
        assert np.abs(landmarks).max() < 1
        np.testing.assert_allclose(np.linalg.norm(landmarks[:, 1] - landmarks[:, 0], axis=-1), 1.25)


@pytest.mark.parametrize("task", TASKS)
def test_a_world_depends_on_seed_and_place_only(task):
    large, small = particles(task, batch_size=5), particles(task, batch_size=2)
    one, other = play(large, 2), play(small, 2)
    assert_equal(one, other, slice(0, 2))
    assert not np.array_equal(one[0].obs[0], one[0].obs[1])
    assert not np.array_equal(one[0].obs, one[26].obs)
    assert not np.array_equal(one[0].obs, particles(task, batch_size=5, seed=1).reset().obs)


def test_a_saved_state_goes_on_as_if_nothing_had_been():
    env, fresh = particles(), particles(seed=9)
    play(env)
    torch.save(env.state_dict(), file := io.BytesIO())  # as checkpoints are written and read
    file.seek(0)
    fresh.load_state_dict(torch.load(file, weights_only=True))
    assert_equal(play(env), play(fresh))
    with pytest.raises(ValueError, match="of 4 worlds, but here are 2"):
        particles(batch_size=2).load_state_dict(env.state_dict())


@pytest.mark.parametrize("task", TASKS)
def test_a_record_gives_back_what_was_shown(task):
    env = particles(task)
    steps = play(env)
    assert {name: env.record_type[name].shape for name in env.record_type.names} == {
        name: array.shape[1:] for name, array in steps[0].record.items()
    }
    stacked = {name: np.stack([step.record[name] for step in steps]) for name in steps[0].record}
    for shown, expanded in zip(("obs", "state", "available"), env.expand(stacked), strict=True):
        np.testing.assert_array_equal(expanded, np.stack([getattr(step, shown) for step in steps]))
    sees = env.visible(stacked)
    assert sees.shape == (26, 4, 3, 3)
    assert sees.sum() == (26 * 4 * 6 if task == "simple_spread" else 0)


def test_the_limit_cuts_every_episode_and_nothing_is_paid_after_it():
    env = particles(steps=3)
    env.reset()
    still = np.zeros((4, 3), dtype=int)
    assert [env.step(still).truncated.all() for _ in range(3)] == [False, False, True]
    after = env.step(still)
    assert not after.reward.any()
    assert after.truncated.all()
    assert not after.terminated.any()


@pytest.mark.parametrize("task", TASKS)
def test_pictures_show_where_agents_are(task):
    env = particles(task, batch_size=1)
    env.reset()
    before = env.draw(0)
    assert before.shape == (360, 360, 3)
    assert before.dtype == np.uint8
    env.step(np.full((1, 3), 2))
    assert (env.draw(0) != before).any()


REFUSED = {
    "task": ({"task": "tag"}, "map.name=tag is not known; use simple_spread or formation_control or line_control"),
    "integration": ({"integration": "rk4"}, "integration=rk4 is not known; use velocity_first or position_first"),
    "reward": ({"reward": "max"}, "reward=max is not known; use sum or mean"),
    "too few": ({"task": "line_control", "n_agents": 1}, "n_agents=1 does not fit line_control; use a number from 2"),
    "too many": ({"task": "formation_control", "n_agents": 13}, "use a number from 1 to 12"),
    "none": ({"n_agents": 0}, "n_agents=0 does not fit simple_spread; use a number of at least 1"),
    "steps": ({"steps": 0}, "steps=0 makes no episode"),
    "range": ({"landmark_range": 0}, "landmark_range=0 leaves no room"),
    "ratio": ({"local_ratio": 1.5}, "local_ratio=1.5 is no share"),
}


@pytest.mark.parametrize(("settings", "message"), REFUSED.values(), ids=REFUSED)
def test_what_makes_no_sense_is_refused(settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        particles(**settings)


@pytest.mark.parametrize(
    ("backend", "rules", "message"),
    [
        ("pymunk", "paper", "env.backend=pymunk is not known; use embedded or mpe2"),
        ("embedded", "house", "env.rules=house is not known; use paper or mpe2"),
        ("mpe2", "paper", "env.backend=mpe2 cannot play env.rules=paper; type env.rules=mpe2 with it"),
    ],
)
def test_backends_and_rules_are_chosen_by_name(backend, rules, message):
    rule_sets = compose("env=mpe").env.rule_sets
    with pytest.raises(ValueError, match=message):
        make(backend, "simple_spread", rules, rule_sets, 3, 25, "sum", False, batch_size=1, seed=0)


@pytest.mark.parametrize("task", MPE2)
def test_the_configured_task_is_the_papers(task):
    cfg = compose("env=mpe", f"map={task}")
    assert cfg.env.rule_sets[cfg.env.rules] == PAPER
    assert (cfg.env.make.n_agents, cfg.env.make.steps, cfg.env.make.reward) == (3, 25, "sum")
    assert cfg.env.make.task == task


def test_the_environment_brings_its_map():
    assert compose("env=mpe").map.name == "simple_spread"
    assert compose("env=mpe", "map=line_control").map.name == "line_control"


@pytest.mark.parametrize("algo", ["macpf", "fop"])
def test_tuned_settings_of_methods_with_alpha(algo):
    cfg = compose(f"algo={algo}", "env=mpe").algo
    alpha = cfg.learner.alpha
    assert (alpha.start, alpha.end, alpha.duration, cfg.learner.lr, cfg.replay.batch) == (0.5, 0.05, 50000, 5e-4, 64)


@pytest.mark.parametrize("algo", ["qmix", "qplex", "qtran", "vdn"])
def test_tuned_settings_of_methods_with_epsilon(algo):
    cfg = compose(f"algo={algo}", "env=mpe").algo
    epsilon = cfg.learner.epsilon
    assert (epsilon.start, epsilon.end, epsilon.duration) == (1.0, 0.05, 50000)
    assert (cfg.learner.lr, cfg.replay.batch) == (5e-4, 64)


def test_tuned_settings_of_mappo():
    cfg = compose("algo=mappo", "env=mpe").algo
    learner = cfg.learner
    assert (learner.lr, learner.ppo_epochs, learner.activation, learner.chunk_length) == (7e-4, 10, "tanh", 10)
    assert cfg.rollout.env_steps == 3200
