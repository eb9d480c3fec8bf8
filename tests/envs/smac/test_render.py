"""Pictures show what there is: units where they stand, in their colours, as long as they live."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from macpf.envs.smac.maps import map_names
from macpf.envs.smac.skirmish import layout as L
from macpf.envs.smac.skirmish.battle_pictures import (
    AGENTS,
    ENEMIES,
    FOOTER,
    HEADER,
    HEALS,
    LETTERS,
    LONGEST,
    draw,
    outcome,
)
from macpf.envs.smac.skirmish.ground import BLOCKED, arena
from macpf.envs.smac.units import UNITS


def battle(map_name):
    from macpf.envs.smac.skirmish.battles import Skirmish

    env = Skirmish(map_name, batch_size=2, seed=0)
    env.reset()
    return env


def like(picture, colour):
    """Where a picture has a colour."""
    return np.abs(picture.astype(int) - np.array(to_rgb(colour)) * 255).max(axis=-1) < 12


def pixel(env, picture, x, y):
    """Row and column of a point of the map."""
    west, south, east, north = arena(env.map)
    height = picture.shape[0] - HEADER - FOOTER
    column = (x - west) / (east - west) * picture.shape[1]
    return round(HEADER + (north - y) / (north - south) * height), round(column)


@pytest.mark.parametrize("map_name", map_names())
def test_every_map_is_drawn_as_large_as_it_should_be(map_name):
    picture = draw(battle(map_name))
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    height, width = picture.shape[0] - HEADER - FOOTER, picture.shape[1]
    west, south, east, north = arena(battle(map_name).map)
    assert max(height, width) == LONGEST
    assert height / width == pytest.approx((north - south) / (east - west), rel=0.01)


def test_every_unit_has_a_letter_of_its_own():
    assert set(LETTERS) == set(UNITS)
    assert len(set(LETTERS.values())) == len(UNITS)


def test_units_stand_where_they_are_in_the_colour_of_their_side():
    env = battle("3s_vs_5z")
    picture = draw(env)
    for u in range(env.ints.shape[2]):
        x, y = env.floats[0, [L.X, L.Y], u]
        row, column = pixel(env, picture, x, y - 0.7 * env.field.stats[L.RADIUS, u])  # below the letter
        own, other = (AGENTS, ENEMIES) if u < 3 else (ENEMIES, AGENTS)
        assert like(picture, own)[row - 2 : row + 3, column - 2 : column + 3].mean() > 0.5, u
        assert not like(picture, other)[row - 2 : row + 3, column - 2 : column + 3].any(), u


def test_the_dead_leave_a_cross_and_lose_their_disc():
    env = battle("2m_vs_1z")
    alive = like(draw(env), AGENTS).sum()
    env.ints[0, L.ALIVE, 0] = 0
    one_left = like(draw(env), AGENTS).sum()
    assert 0.3 * alive < one_left < 0.7 * alive
    env.ints[0, L.ALIVE, 1] = 0
    assert like(draw(env), AGENTS).sum() < 0.1 * alive  # the crosses are fainter, the line of range is gone


def test_health_shortens_its_bar():
    env = battle("2s_vs_1sc")
    full = like(draw(env), "#35c486").sum()
    env.floats[0, L.HEALTH] /= 2
    assert like(draw(env), "#35c486").sum() == pytest.approx(full / 2, rel=0.15)


@pytest.mark.parametrize(("healer", "colour"), [(True, HEALS), (False, AGENTS)])
def test_a_line_leads_to_the_target_and_heals_have_their_own_colour(healer, colour):
    env = battle("MMM2")
    names = [name for name, _, _ in env.map.allies]
    who = names.index("medivac" if healer else "marine")
    target = names.index("marauder") if healer else env.spec.n_agents
    env.floats[0, [L.X, L.Y], who], env.floats[0, [L.X, L.Y], target] = (8.0, 11.0), (14.0, 11.0)
    before = draw(env)
    env.ints[0, L.ORDER, who], env.ints[0, L.TARGET, who] = L.HEAL if healer else L.ATTACK, target
    after, middle = draw(env), pixel(env, before, 11.0, 11.0)
    blend = 0.7 * 255 * np.array(to_rgb(colour)) + 0.3 * before[middle]
    rows = slice(middle[0] - 2, middle[0] + 3)
    assert np.abs(after[rows, middle[1]] - blend).max(axis=-1).min() < 25
    assert (after != before).any(axis=-1).sum() < 1000


def test_ground_out_of_sight_is_dimmed_and_rock_is_not():
    env = battle("corridor")
    seen = draw(env)
    env.ints[0, L.ALIVE, : env.spec.n_agents] = 0
    blind = draw(env)
    room, rock = pixel(env, seen, 15.0, 22.0), pixel(env, seen, 5.0, 25.0)
    assert seen[room].sum() > 1.3 * blind[room].sum()
    assert like(seen, BLOCKED)[rock]
    assert like(blind, BLOCKED)[rock]


def test_drawing_again_leaves_no_trace_and_battles_are_their_own():
    env = battle("3m")
    first = draw(env, 0)
    np.testing.assert_array_equal(draw(env, 1), first)  # both at the start
    env.step(np.full((2, 3), 4))
    moved = draw(env, 0)
    assert (moved != first).any()
    env.floats[1, [L.X, L.Y], 0] += 3
    assert (draw(env, 1) != moved).any()
    np.testing.assert_array_equal(draw(env, 0), moved)


def test_outcomes_have_names():
    counts = np.zeros(L.N_COUNTS, dtype=np.int32)
    assert outcome(counts) == ""
    counts[L.OVER] = 1
    assert outcome(counts) == "time is up"
    counts[L.DECIDED] = 1
    assert outcome(counts) == "draw"
    counts[L.LOST] = 1
    assert outcome(counts) == "lost"
    counts[L.LOST], counts[L.WON] = 0, 1
    assert outcome(counts) == "won"
