"""What holds in every battle on every map, whoever plays."""

import numpy as np
import pytest

from benchmarks.engine_vs_game.scripted_play import battles
from macpf.envs.smac.maps import map_names
from macpf.envs.smac.scripted import POLICIES, Random
from macpf.envs.smac.skirmish import layout as L
from macpf.envs.smac.skirmish.battles import Skirmish
from macpf.envs.smac.skirmish.movement import walker
from macpf.envs.smac.skirmish.terrain import room

MARINES = ("3m", "8m", "25m", "5m_vs_6m", "8m_vs_9m", "10m_vs_11m", "27m_vs_30m")
#: Opponents may overlap by this much, in cells; friends by what walkers yield, and a little more till they part,
#: except for a small share of the pairs that touch, where a crowd presses on.
OVERLAP, PARTING, PRESSED = 0.15, 0.15, 0.02
#: Units come this much nearer to a wall than their clearance.
SQUEEZE = 0.15


def check_ground(env):
    """Living units do not stand in walls or opponents. Returns numbers of pairs of friends: pressed, and touching."""
    w, pairs = env.field, np.zeros(2)
    for f, n in zip(env.floats, env.ints, strict=True):
        alive = np.flatnonzero(n[L.ALIVE])
        at = np.stack([f[L.X], f[L.Y]], axis=-1)[alive].astype(np.float64)
        contact = w.contact[np.ix_(alive, alive)]
        apart = np.linalg.norm(at[:, None] - at[None], axis=-1)
        overlap = np.where(~np.eye(len(alive), dtype=bool), contact - apart, 0) * (contact > 0)
        walks = w.stats[L.FLIES, alive] == 0
        friends = (alive < env.spec.n_agents)[:, None] == (alive < env.spec.n_agents)
        walkers = walks[:, None] & walks
        assert overlap[walkers & ~friends].max(initial=0) <= OVERLAP
        yielded = (1 - env.parameters.yielding) * contact + PARTING
        pairs += (overlap > yielded)[walkers & friends].sum(), (overlap > 0)[walkers & friends].sum()
        for u, (x, y) in zip(alive, at, strict=True):
            if w.stats[L.FLIES, u] == 0:
                assert room(w.walls[walker(w, u)], x, y) >= w.stats[L.CLEARANCE, u] - SQUEEZE
            assert 0 <= x <= 32
            assert 0 <= y <= 32
    return pairs


def check_shown(env, step, before):
    """Masks, ranges and the stillness of the dead."""
    alive = env.ints[:, L.ALIVE] == 1
    N = env.spec.n_agents
    going = ~(step.terminated | step.truncated)
    assert step.available.any(axis=-1).all()
    np.testing.assert_array_equal(step.available[going, :, 0], ~alive[going, :N])
    assert step.available[going, :, 1][alive[going, :N]].all()
    assert step.obs.dtype == step.state.dtype == np.float32
    assert step.obs.min() > -1
    assert step.obs.max() <= 1
    assert step.state.min() >= -0.5
    assert step.state.max() <= 1.6
    assert not step.obs[~alive[:, :N]].any()
    rows = step.state[:, : N * env.map.ally_state_row].reshape(len(alive), N, -1)
    np.testing.assert_array_equal(rows.any(axis=-1), alive[:, :N])
    dead_before = ~before["alive"] & going[:, None]
    for field in (L.X, L.Y):
        np.testing.assert_array_equal(env.floats[:, field][dead_before], before["at"][:, field][dead_before])
    assert not (alive & dead_before).any()


@pytest.mark.parametrize("name", map_names())
def test_random_play_keeps_the_rules(name):
    env = Skirmish(name, 3, seed=4)
    decide, step = Random(env, np.random.default_rng(4)), env.reset()
    pairs = check_ground(env)
    for _ in range(60):
        before = {"alive": env.ints[:, L.ALIVE] == 1, "at": env.floats.copy()}
        step = env.step(decide(env, step))
        check_shown(env, step, before)
        pairs += check_ground(env)
        over = step.terminated | step.truncated
        if over.any():
            step = env.reset(over)
    assert pairs[0] <= PRESSED * pairs[1]


@pytest.mark.parametrize("name", ["3s5z", "corridor", "2c_vs_64zg", "bane_vs_bane", "MMM2"])
def test_the_heuristic_keeps_them_too(name):
    env = Skirmish(name, 2, seed=4)
    decide, step = POLICIES["heuristic"](env, np.random.default_rng(4)), env.reset()
    pairs = np.zeros(2)
    while not (step.terminated | step.truncated).all():
        step = env.step(decide(env, step))
        pairs += check_ground(env)
    assert pairs[0] <= PRESSED * pairs[1]


@pytest.mark.parametrize("name", MARINES)
def test_a_won_battle_of_marines_pays_20(name):
    env = Skirmish(name, 20, seed=2)
    decide, step = POLICIES["heuristic"](env, np.random.default_rng(0)), env.reset()
    env.floats[:, L.HEALTH, env.spec.n_agents :] *= 0.5  # weak enough to be beaten on each map
    env.floats[:, L.PREVIOUS] = env.floats[:, L.HEALTH]
    handicap = 20 / env.map.max_reward * 0.5 * 45 * env.map.n_enemies
    total, over = np.zeros(20), np.zeros(20, dtype=bool)
    while not over.all():
        step = env.step(decide(env, step))
        total += step.reward
        over = step.terminated | step.truncated
    won = step.info["battle_won"]
    assert won.any()
    np.testing.assert_allclose(total[won] + handicap, 20, atol=1e-5)


@pytest.mark.parametrize("name", [n for n in map_names() if n not in ("so_many_baneling", "bane_vs_bane")])
def test_who_only_stands_earns_nothing(name):
    score = battles(Skirmish(name, 2, seed=0), "stop", 2, seed=0)
    assert (score.wins, score.mean_return) == (0, 0)
