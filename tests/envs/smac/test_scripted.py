"""Scripted players do what they say, with actions that SMAC allows."""

import numpy as np
import pytest

from benchmarks.engine_vs_game.__main__ import main
from benchmarks.engine_vs_game.scripted_play import Score, battles, play_all, table_of_ranges
from macpf.envs.smac.maps import map_names
from macpf.envs.smac.scripted import POLICIES, Field, plays
from macpf.envs.smac.skirmish import layout as L
from macpf.envs.smac.skirmish.battles import Skirmish

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("name", map_names())
def test_actions_are_available(name):
    env = Skirmish(name, 3, seed=1)
    for policy in POLICIES:
        if not plays(policy, env):
            continue
        decide, step = POLICIES[policy](env, np.random.default_rng(1)), env.reset()
        for _ in range(25):
            actions = decide(env, step)
            allowed = np.take_along_axis(step.available, actions[..., None], axis=-1)[..., 0]
            if policy == "heuristic":  # sends attack orders to any distance, as SMAC's does
                allowed |= (actions >= 6) & (env.ints[:, L.ALIVE, : env.spec.n_agents] == 1)
            going = ~(step.terminated | step.truncated)
            assert allowed[going].all(), policy
            step = env.step(actions)


def test_the_heuristic_takes_the_nearest_and_stays_with_it(bare_field):
    field = bare_field([("marine", 10.0, 16.0)], [("zealot", 20.0, 16.0), ("zealot", 19.0, 16.0)])
    env = field.env
    decide, step = POLICIES["heuristic"](env, RNG), env.reset()
    assert decide(env, step) == [[7]]
    env.units[0, : 5 * 3].reshape(5, 3)[0, 1] = 12.0  # the other comes nearer
    assert decide(env, step) == [[7]]
    env.units[0, : 5 * 3].reshape(5, 3)[2, 2] = 0.0  # its target dies
    assert decide(env, step) == [[6]]


def test_the_heuristic_spares_marauders_the_medivac_and_medivacs_the_well(bare_field):
    field = bare_field(
        [("marauder", 10.0, 16.0), ("medivac", 9.0, 16.0)], [("medivac", 12.0, 16.0), ("marine", 19.0, 16.0)]
    )
    env = field.env
    decide, step = POLICIES["heuristic"](env, RNG), env.reset()
    assert decide(env, step).tolist() == [[7, 1]]
    env.units[0, : 5 * 4].reshape(5, 4)[2, 0] = 20.0
    assert decide(env, step).tolist() == [[7, 6]]


def test_focus_is_on_one(bare_field):
    marines = [("marine", 10.0, y) for y in (14.0, 16.0, 18.0)]
    field = bare_field(marines, [("zealot", 14.0, 14.5), ("zealot", 14.0, 17.5)])
    field.f[L.HEALTH, 4] = 60
    env = field.env
    step = env.step(np.ones((1, 3), dtype=np.int64))
    assert POLICIES["focus"](env, RNG)(env, step).tolist() == [[7, 7, 7]]


def test_kiters_back_off_while_they_cool_down(bare_field):
    env = bare_field([("stalker", 16.0, 16.0)], [("zealot", 19.0, 16.0)]).env
    decide = POLICIES["kite"](env, RNG)
    step = env.reset()
    assert decide(env, step) == [[6]]
    step = env.step(np.array([[6]]))
    assert decide(env, step) == [[5]]  # west


def test_the_choke_is_held_from_behind():
    env = Skirmish("corridor", 1, seed=0)
    decide, step = POLICIES["choke"](env, RNG), env.reset()
    env.floats[:, L.SHIELD, :6] = 1e5  # nobody dies on the way
    for _ in range(35):
        step = env.step(decide(env, step))
    at = Field.of(env, step).at[0, :6]
    assert (at < 15).all(axis=-1).sum() >= 5


def test_players_differ_as_expected():
    env = Skirmish("3s_vs_3z", 20, seed=0)
    assert battles(env, "random", 20, 0).wins == 0
    assert battles(env, "heuristic", 20, 0).wins == 0
    assert battles(env, "kite", 20, 0).wins > 0.9


def test_the_command_prints_its_table(capsys):
    assert main(["scripted", "--maps", "3m", "2s_vs_1sc", "--policies", "stop", "heuristic", "--episodes", "1"]) == 0
    out = capsys.readouterr().out
    assert "| map | stop | heuristic |" in out
    assert "| 2s_vs_1sc | 0 / 0.0 |" in out


def test_the_command_refuses_unknown_parameters(capsys):
    assert main(["scripted", "--maps", "3m", "--set", "pushh=1"]) == 2
    assert "pushh" in capsys.readouterr().err


def test_ranges_stand_beside_what_the_real_game_is_said_to_give():
    def score(wins):
        return Score(wins, 12.0, 50.0)

    members = [
        {"3s5z": {"heuristic": score(0.25), "focus": score(0.5), "stop": score(0.0)}},
        {"3s5z": {"heuristic": score(0.75), "focus": score(0.5), "stop": score(0.0)}},
    ]
    out = table_of_ranges(members)
    assert "| 3s5z | 42 | heuristic 25 (25 to 75); focus 50 (50 to 50) | focus and heuristic |" in out


def test_a_score_does_not_hang_on_who_played_before():
    alone = play_all(["3m"], ["heuristic"], 50, 0, {})
    after = play_all(["3m"], ["random", "heuristic"], 50, 0, {})
    assert alone["3m"]["heuristic"] == after["3m"]["heuristic"]
