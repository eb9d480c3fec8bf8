"""Availability, observations, state, visibility, rewards and infos against SMAC's own code.

golden/ holds synthetic snapshots of units that were pushed through `reset` and `step` of the genuine StarCraft2Env
(oxwhirl/smac, commit d6aab33, with stubs for the game), and what came out.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from macpf.envs.smac.skirmish import layout as L
from macpf.envs.smac.skirmish.battles import Skirmish
from macpf.envs.smac.skirmish.features import record
from macpf.envs.smac.skirmish.judge import judge

GOLDEN = Path(__file__).parent / "golden"
INPUTS = json.loads((GOLDEN / "inputs.json").read_text())
MAPS = INPUTS["maps"]
X, Y, HEALTH, SHIELD, ENERGY, COOLDOWN = range(3, 9)


@pytest.fixture(scope="module")
def outputs():
    with np.load(GOLDEN / "outputs.npz") as file:
        return dict(file)


def tags_of(case):
    """Tags by unit: agents in SMAC's order, enemies in the order of the raw list."""
    enemies = [row[0] for row in case["steps"][0]["units"] if row[1] == 2]
    return case["ally_order_tags"] + enemies


def put(env, case, units):
    """Make battle 0 stand as the snapshot does."""
    rows = {row[0]: row for row in units}
    f, n = env.floats[0], env.ints[0]
    for u, tag in enumerate(tags_of(case)):
        row = rows.get(tag)
        n[L.ALIVE, u] = row is not None
        for field, column in ((L.X, X), (L.Y, Y), (L.HEALTH, HEALTH), (L.SHIELD, SHIELD), (L.ENERGY, ENERGY)):
            f[field, u] = row[column] if row else 0
        f[L.COOLDOWN, u] = row[COOLDOWN] if row else 0


@pytest.mark.parametrize("name", MAPS)
def test_every_feature_equals_smacs(name, outputs):
    case = MAPS[name]
    env = Skirmish(name, batch_size=1, seed=0)
    env.reset()
    assert env.map.max_reward == case["max_reward"]
    for k, step in enumerate(case["steps"]):
        put(env, case, step["units"])
        if step["actions"] is None:
            alive = env.ints[0, L.ALIVE] == 1
            env.floats[0, L.PREVIOUS] = np.where(alive, env.floats[0, L.HEALTH] + env.floats[0, L.SHIELD], 0)
        else:
            env.ints[0, L.LAST_ACTION, : env.spec.n_agents] = step["actions"]
            reward = judge(env.floats[0], env.ints[0], env.counts[0], env.field)
            assert reward == pytest.approx(step["reward"], rel=1e-12)
            assert bool(env.counts[0, L.OVER]) == step["terminated"]
            dead = env.ints[0, L.ALIVE] == 0
            N = env.spec.n_agents
            info = {
                "battle_won": bool(env.counts[0, L.WON]),
                "dead_allies": int(dead[:N].sum()),
                "dead_enemies": int(dead[N:].sum()),
            }
            assert info == {key: step["info"][key] for key in info}
        record(env.floats[0], env.ints[0], env.field, env.units[0])
        obs, state, available = env.expand({"units": env.units})
        np.testing.assert_array_equal(obs[0], outputs[f"{name}/{k}/obs"])
        np.testing.assert_array_equal(state[0], outputs[f"{name}/{k}/state"])
        np.testing.assert_array_equal(available[0], outputs[f"{name}/{k}/avail"].astype(bool))
        sees = outputs[f"{name}/{k}/vis"].astype(bool)
        np.testing.assert_array_equal(env.visibility_matrix()[0], sees)
        np.testing.assert_array_equal(env.visible({"units": env.units})[0], sees[:, : env.spec.n_agents])
