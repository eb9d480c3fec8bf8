"""The environments for use without the suite answer a bad call with one line, and play nothing."""

import numpy as np
import pytest

from macpf.envs import mpe
from macpf.envs.smac import StarCraft2Env, make_vec, parallel_env


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: parallel_env(None), "map.name=None is no SMAC map"),
        (lambda: parallel_env(3), "map.name=3 is no SMAC map"),
        (lambda: make_vec(None, 2), "map.name=None is no SMAC map"),
        (lambda: StarCraft2Env(None), "map.name=None is no SMAC map"),
        (lambda: parallel_env("3m", parameters={"foo": 1}), "parameters: foo=1 cannot be used"),
        (lambda: make_vec("3m", 1, parameters={"version": "x"}), "parameters: version=x cannot be used"),
        (lambda: parallel_env("3m", parameters=3), "parameters=3 cannot be used; give numbers by their names"),
        (lambda: make_vec("3m", 2.5), "num_envs=2.5 cannot be used; give a whole number"),
        (lambda: mpe.parallel_env("simple_spread", landmark_range="x"), "landmark_range=x cannot be used"),
        (lambda: mpe.parallel_env("simple_spread", local_ratio="x"), "local_ratio=x cannot be used"),
        (lambda: mpe.parallel_env("simple_spread", n_agents=2.5), "n_agents=2.5 cannot be used"),
        (lambda: mpe.parallel_env("simple_spread").reset(seed=-1), "seed=-1 cannot be used"),
        (lambda: parallel_env("3m").reset(seed=1.5), "seed=1.5 cannot be used"),
        (lambda: make_vec("3m", 1).reset(seed="x"), "seed=x cannot be used"),
    ],
)
def test_what_cannot_be_made_is_said(make, says):
    with pytest.raises(ValueError, match=r"^[^\n]*$") as error:
        make()
    assert says in str(error.value)


@pytest.mark.parametrize("action", [0.7, "1", None, [1, 2], float("nan")])
def test_an_action_that_is_no_whole_number_is_refused_and_nothing_is_played(action):
    for env in (mpe.parallel_env("simple_spread"), parallel_env("3m")):
        env.reset(seed=0)
        before = env.state()
        with pytest.raises(ValueError, match=r"^agent_0: action .* is no whole number"):
            env.step(dict.fromkeys(env.agents, action))
        np.testing.assert_array_equal(env.state(), before)
    battle = StarCraft2Env("3m", seed=0)
    battle.reset()
    with pytest.raises(ValueError, match=r"^agent 0: action .* is no whole number"):
        battle.step([action] * 3)
    battles = make_vec("3m", 2)
    battles.reset(seed=0)
    with pytest.raises(ValueError, match=r"^actions (are no whole numbers|of shape)"):
        battles.step([[action] * 3] * 2)


@pytest.mark.parametrize("action", [4, 4.0, np.int8(4), np.float32(4), np.array([4]), np.array(4)])
def test_whole_numbers_of_any_type_are_actions(action):
    env = mpe.parallel_env("simple_spread")
    env.reset(seed=0)
    assert env.step(dict.fromkeys(env.agents, action))[1].keys() == {"agent_0", "agent_1", "agent_2"}
