"""The batched engine as a machine: the same bytes from the same seed, whatever else is in the batch."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from macpf.envs.smac.maps import map_names
from macpf.envs.smac.skirmish import layout as L
from macpf.envs.smac.skirmish.battles import Skirmish
from macpf.envs.smac.skirmish.parameters import Parameters

LARGE = ("MMM2", "corridor", "2c_vs_64zg", "1c3s5z", "so_many_baneling")


def random_actions(available, seeds, t):
    """One available action for each agent, from streams that depend on the battle and the time only."""
    _B, N, A = available.shape
    draws = np.stack([np.random.default_rng([seed, t]).random((N, A)) for seed in seeds])
    return np.where(available, draws, -1).argmax(axis=-1)


def play(env, seeds, n_steps):
    """Everything shown in `n_steps` random steps, starting anew where a battle ends."""
    steps = [env.reset()]
    for t in range(n_steps):
        steps.append(env.step(random_actions(steps[-1].available, seeds, t)))
        over = steps[-1].terminated | steps[-1].truncated
        if over.any():
            steps.append(env.reset(over))
    return steps


def bytes_of(steps, b):
    return [(s.obs[b].tobytes(), s.state[b].tobytes(), s.available[b].tobytes(), float(s.reward[b])) for s in steps]


@pytest.mark.parametrize("name", map_names())
def test_same_seed_same_bytes(name):
    first, second = (play(Skirmish(name, 2, seed=7), (1, 2), 40) for _ in range(2))
    assert [bytes_of(first, b) for b in range(2)] == [bytes_of(second, b) for b in range(2)]


@pytest.mark.parametrize("name", LARGE)
def test_a_battle_does_not_depend_on_the_size_of_its_batch(name):
    def alone(env, n_steps):
        steps = [env.reset()]
        for t in range(n_steps):
            steps.append(env.step(random_actions(steps[-1].available, range(env.batch_size), t)))
        return bytes_of(steps, 0)

    assert alone(Skirmish(name, 1, seed=3), 30) == alone(Skirmish(name, 5, seed=3), 30)


def test_other_seeds_and_other_places_differ():
    same = np.zeros((2, 3), dtype=np.int64) + 1
    env, other = Skirmish("3m", 2, seed=0), Skirmish("3m", 2, seed=1)
    for e in (env, other):
        e.reset()
        for _ in range(14):
            e.step(same)
    assert not np.array_equal(env.floats[0], env.floats[1])
    assert not np.array_equal(env.floats[0], other.floats[0])


@pytest.mark.parametrize("name", LARGE)
def test_a_battle_goes_on_from_its_saved_state(name):
    env = Skirmish(name, 3, seed=5)
    step = env.reset()
    for t in range(20):
        step = env.step(random_actions(step.available, range(3), t))
    saved, available = env.state_dict(), step.available
    rest = []
    for e in (env, Skirmish(name, 3, seed=99)):
        e.load_state_dict(saved)
        step_available, seen = available, []
        for t in range(20, 45):
            s = e.step(random_actions(step_available, range(3), t))
            step_available = s.available
            seen.append(s)
        rest.append([bytes_of(seen, b) for b in range(3)])
    assert rest[0] == rest[1]


def test_loading_leaves_earlier_steps_alone():
    env = Skirmish("3m", 2, seed=0)
    env.reset()
    saved = env.state_dict()
    step = env.step(np.full((2, 3), 3))
    before = step.record["units"].copy()
    env.load_state_dict(saved)
    np.testing.assert_array_equal(step.record["units"], before)
    assert not np.array_equal(env.units, before)


@pytest.mark.parametrize(("name", "batch_size"), [("3m", 4), ("8m", 1)])
def test_battles_of_another_shape_are_refused(name, batch_size):
    one = Skirmish("3m", 1, seed=0)
    with pytest.raises(ValueError, match=f"shape .* those of {name} here"):
        Skirmish(name, batch_size, seed=0).load_state_dict(one.state_dict())


@pytest.mark.parametrize("name", map_names())
def test_what_is_shown_follows_from_the_record(name):
    env = Skirmish(name, 2, seed=1)
    for s in play(env, (1, 2), 30):
        obs, state, available = env.expand(s.record)
        np.testing.assert_array_equal(obs, s.obs)
        np.testing.assert_array_equal(state, s.state)
        np.testing.assert_array_equal(available, s.available)


def test_a_draw_follows_from_its_record_too():
    env = Skirmish("bane_vs_bane", 1, seed=1)
    env.reset()
    env.floats[:, L.HEALTH], env.ints[:, L.ALIVE] = 0, 0
    step = env.step(np.zeros((1, 24), dtype=np.int64))
    assert step.terminated.all()
    assert not step.info["battle_won"].any()
    _, state, _ = env.expand(step.record)
    assert state.sum() == 24, "the last actions of all agents"
    np.testing.assert_array_equal(state, step.state)


def test_padding_of_the_record_becomes_empty():
    env = Skirmish("MMM", 2, seed=1)
    obs, state, available = env.expand({"units": np.zeros((4, 3, env.record_width), dtype=np.float32)})
    assert obs.shape == (4, 3, 10, 160)
    assert not obs.any()
    assert state.shape == (4, 3, 290)
    assert not state.any()
    assert available[..., 0].all()
    assert not available[..., 1:].any()


def test_a_finished_battle_returns_padding_until_reset():
    env = Skirmish("3m", 2, seed=0)
    env.reset()
    for _ in range(60):
        step = env.step(np.ones((2, 3), dtype=np.int64))
    assert (step.terminated | step.truncated).all()
    after = env.step(np.ones((2, 3), dtype=np.int64))
    assert not after.obs.any()
    assert not after.reward.any()
    assert after.available[..., 0].all()
    again = env.reset(np.array([True, False]))
    assert again.obs[0].any()
    assert not again.obs[1].any()
    assert not again.terminated[0]


def test_a_time_out_is_truncated_and_not_won():
    env = Skirmish("2s_vs_1sc", 1, seed=0)
    env.reset()
    for t in range(300):
        step = env.step(np.ones((1, 2), dtype=np.int64))
        assert bool(step.truncated[0]) == (t == 299)
    assert not step.terminated[0]
    assert not step.info["battle_won"][0]
    assert env.score(np.zeros(1), step) == 0


def test_unknown_and_impossible_parameters_are_refused():
    with pytest.raises(ValueError, match="scan_intervall"):
        Skirmish("3m", 1, 0, {"scan_intervall": 3})
    with pytest.raises(ValueError, match="scan_interval"):
        Skirmish("3m", 1, 0, {"scan_interval": 0})


def test_parameters_are_numbered_in_their_order():
    from dataclasses import fields

    from macpf.envs.smac.skirmish import parameters as P

    vector = Parameters(scan_interval=3, push=0.01, spawn_jitter=0.7).vector()
    assert len(vector) == len(fields(Parameters)) - len(P.NAMES) == P.JITTER + 1
    assert (vector[P.SCAN_INTERVAL], vector[P.PUSH], vector[P.JITTER]) == (3, 0.01, 0.7)


def return_of_standing(env):
    """What a team gets that lets itself be killed."""
    step, total = env.reset(), 0.0
    while not (step.terminated | step.truncated).any():
        step = env.step(np.where(step.available[:, :, 1], 1, 0))
        total += float(step.reward[0])
    return total


@pytest.mark.parametrize(("sparse", "scaled", "reward"), [(True, False, -1.0), (False, True, 0.0)])
def test_reward_of_a_lost_battle(sparse, scaled, reward):
    env = Skirmish("3m", 1, 0, reward_sparse=sparse, reward_scale=scaled)
    assert return_of_standing(env) == pytest.approx(reward)


def test_own_losses_cost_when_rewards_may_be_negative():
    env = Skirmish("3m", 1, 0, reward_only_positive=False, reward_scale=False)
    assert return_of_standing(env) == pytest.approx(-0.5 * 3 * (45 + 10), rel=1e-5)


def test_the_configuration_has_every_parameter_at_its_default():
    settings = OmegaConf.load(Path(__file__).parents[3] / "conf" / "env" / "smac.yaml").engine
    assert settings == asdict(Parameters())


def test_the_version_is_part_of_the_configuration_and_of_what_runs_record():
    env = Skirmish("3m", 1, 0)
    assert env.provenance == {"engine_version": str(env.parameters.version)}
    with pytest.raises(ValueError, match="version"):
        Skirmish("3m", 1, 0, {"version": 1})
