"""The particle worlds as PettingZoo environments."""

import numpy as np
import pytest
from pettingzoo.test import parallel_api_test

from macpf.configuration import compose
from macpf.envs.mpe import parallel_env
from macpf.envs.mpe.particles import TASKS
from macpf.runs.build import make_env


@pytest.mark.parametrize("task", TASKS)
def test_it_keeps_pettingzoos_contract(task):
    parallel_api_test(parallel_env(task), num_cycles=60)


def test_it_plays_as_training_does():
    (env, training) = parallel_env("simple_spread"), make_env(compose("env=mpe"), "env.parallel", 1, 3)
    shown, _ = env.reset(seed=3)
    step = training.reset()
    random = np.random.default_rng(0)
    for t in range(25):
        np.testing.assert_array_equal(list(shown.values()), step.obs[0])
        np.testing.assert_array_equal(env.state(), step.state[0])
        actions = random.integers(5, size=3)
        shown, rewards, terminations, truncations, _ = env.step(dict(zip(env.agents, actions.tolist(), strict=True)))
        step = training.step(actions[None])
        assert set(rewards.values()) == {float(step.reward[0])}
        assert (any(terminations.values()), all(truncations.values())) == (False, t == 24)
    assert env.agents == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"task": "chess"}, "map.name=chess is not known"),
        ({"rules": "own"}, "rules=own is not known; use paper or mpe2"),
        ({"render_mode": "human"}, "render_mode=human is not known"),
        ({"speed": 2}, "speed=2 is no setting of the world"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(arguments, said):
    with pytest.raises(ValueError, match=said):
        parallel_env(**({"task": "line_control"} | arguments))


def test_actions_that_there_are_not_and_steps_before_a_start_are_refused():
    env = parallel_env("line_control", n_agents=2, render_mode="rgb_array")
    with pytest.raises(ValueError, match=r"call reset\(\) first"):
        env.step({})
    env.reset()
    assert env.render().shape == (360, 360, 3)
    with pytest.raises(ValueError, match="agent_1: action 5 is not known"):
        env.step({"agent_0": 0, "agent_1": 5})
