"""The engine for people who use PettingZoo and nothing else of ours."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from pettingzoo.test import parallel_api_test, parallel_seed_test, seed_test
from pettingzoo.utils.conversions import parallel_to_aec

import macpf.envs.smac
from macpf.envs.smac import make_vec, parallel_env
from macpf.envs.smac.skirmish.battles import Skirmish

MAPS = ["3m", "MMM2"]


def first_available(env):
    """The last action that each agent may take: attack if it can, else walk west."""
    return {agent: int(np.flatnonzero(env.action_space(agent).now)[-1]) for agent in env.agents}


def play(env, seed, choose=first_available):
    """All that a battle shows, in its order."""
    shown = [env.reset(seed=seed)]
    while env.agents:
        shown.append(env.step(choose(env)))
    return shown


@pytest.mark.parametrize("map_name", MAPS)
def test_pettingzoos_own_tests_pass(map_name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(parallel_env(map_name), num_cycles=400)
        parallel_seed_test(lambda: parallel_env(map_name))
        seed_test(lambda: parallel_to_aec(parallel_env(map_name)), num_cycles=100)


def test_a_seed_decides_the_battle_and_the_next_one():
    def two_battles(env):
        first = play(env, seed=7)
        return first, play(env, seed=None)

    one, other = two_battles(parallel_env("3m")), two_battles(parallel_env("3m", seed=3))
    np.testing.assert_equal(one, other)
    assert len(one[0]) != len(one[1]) or any(
        not np.array_equal(a[0]["agent_0"]["observation"], b[0]["agent_0"]["observation"])
        for a, b in zip(*one, strict=True)
    )


def test_observations_lie_in_their_spaces_and_masks_are_the_engines():
    env, engine = parallel_env("MMM2", seed=5), Skirmish("MMM2", batch_size=1, seed=5)
    observations, infos = env.reset()
    step = engine.reset()
    while True:
        for k, agent in enumerate(env.possible_agents):
            assert env.observation_space(agent).contains(observations[agent])
            assert env.observation_space(agent)["observation"].dtype == observations[agent]["observation"].dtype
            np.testing.assert_array_equal(observations[agent]["observation"], step.obs[0, k])
            np.testing.assert_array_equal(observations[agent]["action_mask"], step.available[0, k])
            np.testing.assert_array_equal(infos[agent]["action_mask"], step.available[0, k])
        np.testing.assert_array_equal(env.state(), step.state[0])
        assert env.state_space.contains(env.state())
        if not env.agents:
            break
        actions = first_available(env)
        observations, rewards, terminations, truncations, infos = env.step(actions)
        step = engine.step(np.array([list(actions.values())]))
        assert set(rewards.values()) == {float(step.reward[0])}
        assert set(terminations.values()) == {bool(step.terminated[0])}
        assert set(truncations.values()) == {bool(step.truncated[0])}


def test_the_dead_stay_with_no_op_alone_until_the_battle_is_over():
    env = parallel_env("3m")
    shown = play(
        env, seed=1, choose=lambda env: {a: int(np.flatnonzero(env.action_space(a).now)[0]) for a in env.agents}
    )
    deaths = [infos["agent_0"]["dead_allies"] for *_, infos in shown]
    assert deaths[-1] == 3
    assert 0 in deaths
    for observations, *_, infos in shown:
        assert len(observations) == 3
        masks = np.array([seen["action_mask"] for seen in observations.values()])
        no_op = masks[:, 0] == 1
        assert no_op.sum() == infos["agent_0"]["dead_allies"]
        assert (masks[no_op].sum(axis=1) == 1).all()
    assert set(shown[-1][2].values()) == {True}  # all terminate together
    assert not shown[-1][-1]["agent_0"]["battle_won"]


def test_what_cannot_be_played_is_refused_and_changes_nothing():
    env = parallel_env("3m")
    with pytest.raises(ValueError, match="no battle has begun"):
        env.step({})
    env.reset(seed=0)
    before = env.state()
    good = dict.fromkeys(env.agents, 1)
    with pytest.raises(ValueError, match=r"agent_1: action 0 is not available; choose one of: 1, 2, 3, 4, 5$"):
        env.step(good | {"agent_1": 0})
    for action in (-1, 9):
        with pytest.raises(ValueError, match=f"agent_2: action {action} is not available"):
            env.step(good | {"agent_2": action})
    with pytest.raises(ValueError, match="agent_2 has no action"):
        env.step({"agent_0": 1, "agent_1": 1})
    np.testing.assert_array_equal(env.state(), before)
    play(env, seed=0)
    with pytest.raises(ValueError, match="the battle is over"):
        env.step(good)


def test_pictures_come_with_the_render_mode_only():
    env = parallel_env("3m", render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().dtype == np.uint8
    with pytest.raises(ValueError, match="render_mode=None draws nothing"):
        parallel_env("3m").render()
    with pytest.raises(ValueError, match="render_mode=human is not known"):
        parallel_env("3m", render_mode="human")


def test_nobody_waits_for_what_he_does_not_use():
    heavy = "{'numba', 'pettingzoo', 'gymnasium', 'matplotlib', 'torch'}"
    code = f"import sys, macpf.envs.smac; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_example_of_the_package_runs(capsys):
    lines = macpf.envs.smac.__doc__.splitlines()
    exec("\n".join(line[4:] for line in lines if line.startswith("    ")), {})
    assert capsys.readouterr().out in ("True\n", "False\n")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: parallel_env("3m", foo=1), "foo=1 is no setting of the engine; choose from: seed, parameters, reward"),
        (lambda: parallel_env("3m", batch_size=2), "batch_size=2 is no setting"),
        (lambda: parallel_env("3m", seed=-1), "seed=-1 cannot be used; give a whole number from 0 on"),
        (lambda: parallel_env("3m").reset(seed=-1), "seed=-1 cannot be used"),
        (lambda: parallel_env("3m").reset(seed=1.5), "seed=1.5 cannot be used"),
        (lambda: make_vec("3m", 0), "num_envs=0 cannot be used"),
        (lambda: make_vec("3m", 2, foo=1), "foo=1 is no setting"),
        (lambda: make_vec("3m", 2).reset(seed=-1), "seed=-1 cannot be used"),
        (lambda: make_vec("3m", 2).step(np.ones((2, 3))), "no battle has begun"),
    ],
)
def test_what_cannot_be_used_is_said(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_flat_observations_are_the_same_without_their_masks():
    flat, full = parallel_env("3m", flat_observations=True, seed=3), parallel_env("3m", seed=3)
    for (seen, *_, infos), (whole, *_) in zip(play(flat, None), play(full, None), strict=True):
        for agent in full.possible_agents:
            assert flat.observation_space(agent).contains(seen[agent])
            np.testing.assert_array_equal(seen[agent], whole[agent]["observation"])
            np.testing.assert_array_equal(infos[agent]["action_mask"], whole[agent]["action_mask"])
    parallel_api_test(parallel_env("3m", flat_observations=True), num_cycles=100)


def test_a_vector_of_battles_is_the_engines_and_begins_anew_by_itself():
    vector, engine = make_vec("3m", 4, seed=2), Skirmish("3m", 4, 2)
    obs, infos = vector.reset()
    step, over = engine.reset(), np.zeros(4, dtype=bool)
    resets = 0
    for _ in range(70):
        assert vector.observation_space.contains(obs)
        actions = step.available.shape[2] - 1 - step.available[..., ::-1].argmax(axis=-1)
        obs, rewards, terminations, truncations, infos = vector.step(actions)
        before, step = over, engine.step(actions)
        np.testing.assert_array_equal(rewards, step.reward)
        assert not rewards[before].any()
        if before.any():
            resets += 1
            fresh = engine.reset(before)
            for name in ("obs", "available", "terminated", "truncated"):
                getattr(step, name)[before] = getattr(fresh, name)[before]
        over = step.terminated | step.truncated
        np.testing.assert_array_equal(obs, step.obs)
        np.testing.assert_array_equal(infos["action_mask"], step.available)
        np.testing.assert_array_equal(terminations | truncations, over)
    assert resets > 0
    with pytest.raises(ValueError, match="agent 0: action 99 is not available"):
        vector.step(np.full((4, 3), 99))


WRAPPERS = {
    "frame_stack": (lambda kit, env: kit.frame_stack_v2(env, 4), 120),
    "agent_indicator": (lambda kit, env: kit.agent_indicator_v0(env), 33),
    "black_death": (lambda kit, env: kit.black_death_v3(env), 30),
    "all": (lambda kit, env: kit.frame_stack_v2(kit.agent_indicator_v0(kit.black_death_v3(env)), 2), 66),
}


@pytest.mark.parametrize("name", WRAPPERS)
def test_wrappers_of_supersuit_work_on_flat_observations(name):
    kit = pytest.importorskip("supersuit")
    wrap, size = WRAPPERS[name]
    env, bare = (wrap(kit, parallel_env("3m", flat_observations=True)), parallel_env("3m", flat_observations=True))
    rng = np.random.default_rng(0)
    for _ in range(2):
        observations, infos = env.reset(seed=1)
        bare.reset(seed=1)
        while bare.agents:
            for agent in env.agents:
                assert observations[agent].shape == (size,)
                assert env.observation_space(agent).contains(observations[agent])
            actions = {a: int(rng.choice(np.flatnonzero(infos[a]["action_mask"]))) for a in env.agents}
            observations, rewards, _, _, infos = env.step(actions)
            assert rewards == bare.step(actions)[1]
        if env.agents:  # black death says so one step later
            assert set(env.step(actions)[2].values()) == {True}
        assert env.agents == []


def test_a_step_without_actions_after_the_end_does_nothing():
    env = parallel_env("3m", seed=0)
    with pytest.raises(ValueError, match="no battle has begun"):
        env.step({})
    *_, (observations, *_) = play(env, None)
    assert env.agents == []
    assert env.step({}) == ({}, {}, {}, {}, {})
    with pytest.raises(ValueError, match="the battle is over"):
        env.step(dict.fromkeys(observations, 0))
