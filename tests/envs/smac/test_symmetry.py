"""Equal brains on both sides win half of the battles: nothing favours agents or enemies."""

import numpy as np
import pytest
from numba import njit

from macpf.envs.smac.skirmish import layout as L
from macpf.envs.smac.skirmish.battles import Skirmish
from macpf.envs.smac.skirmish.engine import advance
from macpf.envs.smac.skirmish.judge import verdict

BATTLES = 500
#: Otherwise hardly anything is random: a battle of few units would go the same way 500 times.
JITTER = 0.3


@njit
def fight_out(floats, ints, streams, w, around, loops, outcome):
    """Play without new orders until each battle is decided."""
    for b in range(floats.shape[0]):
        for loop in range(loops):
            advance(floats[b], ints[b], w, streams, b, loop, around)
            outcome[b] = verdict(ints[b], w)
            if outcome[b] >= 0:
                break


def partners(smac_map):
    """For each agent an enemy of its kind."""
    kinds = [unit for unit, _, _ in smac_map.enemies]
    left = list(range(len(kinds)))
    found = []
    for unit, _, _ in smac_map.allies:
        found.append(next(k for k in left if kinds[k] == unit))
        left.remove(found[-1])
    return len(kinds) + np.array(found)


def outcomes(name, seed, swapped):
    """What came of battles in which agents, too, attack-move, and both sides to the middle."""
    env = Skirmish(name, BATTLES, seed, {"spawn_jitter": JITTER})
    env.reset()
    f, n, N = env.floats, env.ints, env.spec.n_agents
    other = partners(env.map)
    n[:, L.ORDER] = L.MARCH
    for at, post in ((L.X, L.POST_X), (L.Y, L.POST_Y)):
        ours, theirs = f[:, at, :N].copy(), f[:, at, other].copy()
        if swapped:  # each side stands where the other did
            ours, theirs = theirs, ours
            f[:, at, :N], f[:, at, other] = ours, theirs
        f[:, post] = (ours.mean(axis=1) + theirs.mean(axis=1))[:, None] / 2  # who is left finds who is left
    outcome = np.zeros(BATTLES, dtype=np.int64)
    loops = int(env.field.rules[L.LOOPS]) * env.map.episode_limit
    fight_out(f, n, env.streams, env.field, env._around, loops, outcome)
    return outcome


@pytest.mark.parametrize("name", ["3m", "8m", "25m", "MMM", "2s3z", "3s5z", "1c3s5z", "bane_vs_bane"])
def test_equal_brains_win_half(name):
    outcome = np.concatenate([outcomes(name, 1, False), outcomes(name, 2, True)])
    wins, losses = (outcome == L.WON).sum(), (outcome == L.LOST).sum()
    assert wins + losses > 0.7 * len(outcome)
    assert (wins + (len(outcome) - wins - losses) / 2) / len(outcome) == pytest.approx(0.5, abs=0.05)
