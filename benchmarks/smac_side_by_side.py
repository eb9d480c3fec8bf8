"""SMAC's own code, playing the stand-in game, and `StarCraft2Env` on the engine must return equal results.

`python -m benchmarks.smac_side_by_side <checkout of oxwhirl/smac> [map ...]`; needs the package absl-py. Plays whole
battles on all 23 maps with SMAC's defaults, and on six maps with several combinations of its options.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from macpf.envs.smac import StarCraft2Env
from macpf.envs.smac.maps import FIRST_ATTACK, map_names
from macpf.envs.smac.stand_in import PATH

OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"obs_last_action": True, "obs_pathing_grid": True, "state_timestep_number": True},
    {"obs_all_health": False, "obs_own_health": False, "state_last_action": False, "reward_only_positive": False},
    {"obs_all_health": False, "obs_terrain_height": True, "obs_instead_of_state": True, "reward_sparse": True},
    {
        "move_amount": 3, "step_mul": 4, "reward_death_value": 5, "reward_win": 100, "reward_defeat": -20,
        "reward_negative_scale": 0.7, "reward_only_positive": False, "reward_scale_rate": 10,
    },
    {"reward_scale": False, "continuing_episode": True, "obs_last_action": True, "obs_all_health": False},
)  # fmt: skip
OPTION_MAPS = ("3m", "MMM", "3s5z", "2s_vs_1sc", "corridor", "bane_vs_bane")
BATTLES = 3


def side_by_side(genuine: Any, ours: Any, battles: int) -> int:
    """Play the same actions in both, mostly attacks; returns the env steps.

    Raises:
        AssertionError: they return something different.
    """
    rng, steps = np.random.default_rng(0), 0
    assert genuine.get_env_info() == {k: v for k, v in ours.get_env_info().items() if k != "unit_dim"}
    for _ in range(battles):
        for a, b in zip(genuine.reset(), ours.reset(), strict=True):
            np.testing.assert_array_equal(a, b)
        assert genuine.max_reward == ours.max_reward
        over = False
        while not over:
            compare(genuine, ours)
            actions = [choose(np.flatnonzero(row), rng) for row in genuine.get_avail_actions()]
            theirs, over, info = genuine.step(list(actions))
            reward, *rest = ours.step(list(actions))
            assert [over, info] == rest
            assert abs(theirs - reward) <= 1e-6 * max(1, abs(theirs))  # ours is a 32-bit number
            steps += 1
    assert genuine.get_stats() == ours.get_stats()
    return steps


def choose(available: np.ndarray, rng: np.random.Generator) -> int:
    """An attack four times out of five, where there is one."""
    attacks = available[available >= FIRST_ATTACK]
    return int(rng.choice(attacks if len(attacks) and rng.random() < 0.8 else available))


def compare(genuine: Any, ours: Any) -> None:
    """Compare everything that both show at this moment.

    Raises:
        AssertionError: they differ.
    """
    assert genuine.get_avail_actions() == ours.get_avail_actions()
    for look in ("get_obs", "get_state", "get_visibility_matrix"):
        np.testing.assert_allclose(getattr(genuine, look)(), getattr(ours, look)(), atol=1e-7, err_msg=look)
    np.testing.assert_array_equal(genuine.last_action, ours.last_action)
    theirs, parts = genuine.get_state_dict(), ours.get_state_dict()
    assert theirs.keys() == parts.keys()
    for name in parts:
        np.testing.assert_allclose(theirs[name], parts[name], atol=1e-7)
    for agent in range(genuine.n_agents):
        a, b = genuine.get_unit_by_id(agent), ours.get_unit_by_id(agent)
        assert a.health == b.health
        for look in ("unit_max_shield", "unit_max_cooldown"):
            assert getattr(genuine, look)(a) == getattr(ours, look)(b)
        if a.health > 0:
            assert a.pos == b.pos
            assert [genuine.can_move(a, d) for d in range(4)] == [ours.can_move(b, d) for d in range(4)]
            assert list(genuine.get_surrounding_pathing(a)) == list(ours.get_surrounding_pathing(b))


def main(arguments: list[str]) -> int:
    """Play all maps, or those that are named, and print a line for each. Returns 1 if anything differed."""
    checkout, maps = arguments[0], arguments[1:] or [name for name in map_names() if not name.endswith("myopic")]
    sys.path[:0] = [checkout, str(PATH)]
    from smac.env import StarCraft2Env as Genuine

    differ = 0
    for name in maps:
        for options in OPTIONS if name in OPTION_MAPS else OPTIONS[:1]:
            pair = [kind(map_name=name, seed=5, **options) for kind in (Genuine, StarCraft2Env)]
            try:
                print(name, options, side_by_side(*pair, battles=1 if options else BATTLES), "env steps: equal")
            except AssertionError as difference:
                differ += 1
                print(name, options, "DIFFERENT:", difference)
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
