"""Weapons, shields, healing and speeds against the numbers of the game's data files."""

import numpy as np
import pytest

from macpf.envs.smac.skirmish import layout as L
from macpf.envs.smac.skirmish.combat import hit
from macpf.envs.smac.units import UNITS

EAST, ATTACK = 4, 6
FAR = ("spine_crawler", 30.0, 30.0)

TARGETS = ("marine", "marauder", "stalker", "zealot", "colossus", "zergling", "baneling", "hydralisk", "spine_crawler")
#: Attacks that kill a fresh target, by hand from the unit data; last the medivac (None: cannot be hit).
ATTACKS_TO_KILL = {
    "marine": (8, 25, 30, 29, 65, 6, 5, 14, 75, 30),
    "marauder": (5, 7, 9, 17, 19, 4, 3, 8, 17, None),
    "stalker": (4, 8, 10, 13, 21, 3, 3, 7, 19, 9),
    "zealot": (3, 9, 11, 11, 24, 3, 2, 5, 25, None),
    "colossus": (2, 7, 9, 6, 19, 2, 2, 3, 19, None),
    "zergling": (9, 32, 36, 35, 80, 7, 6, 16, 100, None),
    "baneling": (2, 7, 9, 5, 19, 1, 2, 3, 4, None),
    "hydralisk": (4, 12, 14, 14, 31, 3, 3, 7, 30, 14),
    "spine_crawler": (2, 5, 6, 7, 12, 2, 2, 4, None, None),
}


@pytest.mark.parametrize("attacker", ATTACKS_TO_KILL)
def test_attacks_to_kill(bare_field, attacker):
    targets = (*TARGETS, "medivac")
    field = bare_field([(attacker, 4.0, 4.0)], [(unit, 4.0 + 2.5 * k, 20.0) for k, unit in enumerate(targets)])
    f, n, w = field.f, field.n, field.w
    for t, (target, attacks) in enumerate(zip(targets, ATTACKS_TO_KILL[attacker], strict=True), start=1):
        if attacks is None and target == "medivac":
            assert w.damage[0, t] == 0
        if attacks is None:
            continue
        count = 0
        while f[L.HEALTH, t] > 0:
            count += 1
            for _ in range(UNITS[attacker].weapon.hits):
                hit(f, n, w, 0, t, w.damage[0, t])
        assert count == attacks, target


@pytest.mark.parametrize(
    ("unit", "cells"),
    [("marine", 1.125), ("stalker", 1.4766), ("zergling", 1.4766), ("baneling", 1.25), ("colossus", 1.125)],
)
def test_cells_per_env_step(bare_field, unit, cells):
    field = bare_field([(unit, 10.0, 16.0)], [FAR])
    field.order(EAST)
    field.run(8)
    assert field.f[L.X, 0] - 10 == pytest.approx(cells, abs=1e-4)
    assert field.f[L.Y, 0] == 16


def test_a_medivac_takes_its_time_to_reach_its_speed(bare_field):
    field = bare_field([("medivac", 2.0, 16.0)], [FAR])
    gone = []
    for _ in range(6):
        before = float(field.f[L.X, 0])
        field.order(EAST)
        field.run(8)
        gone.append(float(field.f[L.X, 0]) - before)
    assert gone[0] == pytest.approx(0.33, abs=0.05)
    assert np.all(np.diff(gone) >= -1e-5)
    assert gone[-1] == pytest.approx(1.375, abs=1e-4)


def test_a_marine_hits_one_loop_after_its_order_and_then_every_14_loops(bare_field):
    field = bare_field([("marine", 10.0, 16.0)], [("marine", 14.0, 16.0)])
    field.f[L.HEALTH, 1] = 1e5
    field.order(ATTACK)
    hits, before = [], 1e5
    for loop in range(6000):
        field.run()
        now = float(field.f[L.HEALTH, 1])
        if now < before:
            assert before - now == 6
            hits.append(loop)
        before = now
    intervals = np.diff(hits)
    assert hits[0] == 1
    assert set(intervals) <= {12, 13, 14, 15, 16}
    assert intervals.mean() == pytest.approx(14.27, abs=0.15)


def test_shields_regrow_after_160_quiet_loops(bare_field):
    field = bare_field([("stalker", 10.0, 16.0)], [FAR])
    hit(field.f, field.n, field.w, 1, 0, 30.0)
    field.run(160)
    assert field.f[L.SHIELD, 0] == 50
    field.run()
    assert field.f[L.SHIELD, 0] == 50.125
    hit(field.f, field.n, field.w, 1, 0, 10.0)
    field.run(160)
    assert field.f[L.SHIELD, 0] == pytest.approx(40.125)
    assert field.f[L.HEALTH, 0] == 80  # shields take damage first, and it does not regrow


def test_a_medivac_heals_four_and_a_half_points_in_an_env_step(bare_field):
    field = bare_field([("marine", 10.0, 16.0), ("medivac", 11.0, 16.0)], [FAR])
    field.f[L.HEALTH, 0] = 10
    field.order(1, ATTACK)
    field.run(8)
    assert field.f[L.HEALTH, 0] == pytest.approx(14.5)
    assert field.f[L.ENERGY, 1] - 50 == pytest.approx(-1.2, abs=0.01)


def test_healing_does_not_raise_the_dead(bare_field):
    dead = 0
    for seed in range(30):  # which of hit and healing comes first in the loop is drawn
        field = bare_field(
            [("marine", 16.0, 16.0), ("medivac", 16.0, 17.0)], [("marine", 20.0, 16.0)], march=(16.0, 16.0), seed=seed
        )
        field.f[L.HEALTH, 0] = 5.9
        field.f[L.WINDUP, 2], field.n[L.TARGET, 2] = 0.5, 0
        field.order(1, ATTACK)
        field.run()
        dead += field.n[L.ALIVE, 0] == 0
    assert 3 <= dead <= 20, "dead where the hit for 6 came first, a third of the draws; healed in time elsewhere"


def test_a_medivac_stops_at_full_health(bare_field):
    field = bare_field([("marine", 10.0, 16.0), ("medivac", 11.0, 16.0)], [FAR])
    field.f[L.HEALTH, 0] = 44
    field.order(1, ATTACK)
    field.run(16)
    assert field.f[L.HEALTH, 0] == 45


def test_a_baneling_hurts_all_who_stand_together(bare_field):
    zealots = [("zealot", 10.0 + dx, 16.0 + dy) for dx in (0, 1) for dy in (-1, 0, 1)] + [("zealot", 11.0, 18.0)]
    field = bare_field(zealots, [("baneling", 14.0, 16.0)], march=(10.0, 16.0))
    field.run(48)
    assert field.n[L.ALIVE, 7] == 0
    assert list(field.points()[:7]) == [150 - 35] * 7


def test_a_dead_baneling_bursts_too_and_spares_its_friends(bare_field):
    field = bare_field([("zealot", 10.0, 16.0)], [("baneling", 10.9, 16.0), ("baneling", 10.0, 16.9)])
    hit(field.f, field.n, field.w, 0, 1, 100.0)
    field.run()
    assert list(field.n[L.ALIVE]) == [1, 0, 1]
    assert field.points()[0] == 150 - 35
    assert field.points()[2] == 30


def test_a_colossus_burns_a_line_across_its_sight(bare_field):
    burnt = [("zergling", 15.0, 16.0 + dy) for dy in (0.0, 0.8, -0.8, 1.7, -1.7)]
    spared = [("zergling", 15.0, 18.8), ("zergling", 15.0, 13.2), ("zergling", 16.0, 16.4)]
    field = bare_field([("colossus", 10.0, 16.0)], burnt + spared)
    field.order(ATTACK)
    field.run(20)  # less than the pause between two attacks
    wounded = 35 - 2 * (10 + 5)
    assert field.points()[1:] == pytest.approx([wounded] * 5 + [35] * 3, abs=0.5)  # Zerg regrow a little


def test_a_marauder_told_to_shoot_a_medivac_goes_on_as_before(bare_field):
    field = bare_field([("marauder", 10.0, 16.0)], [("medivac", 13.0, 16.0), FAR])
    field.order(EAST)
    field.run(8)
    field.order(ATTACK)
    field.run(4)
    assert field.f[L.X, 0] == pytest.approx(10 + 12 * 2.25 / 16, abs=1e-4)
    assert field.points()[1] == 150


def test_a_stalker_outruns_a_zealot(bare_field):
    field = bare_field([("stalker", 4.0, 16.0)], [("zealot", 2.0, 16.0)], march=(30.0, 16.0))
    for _ in range(16):
        field.order(EAST)
        field.run(8)
    assert field.points()[0] == 160
    assert field.n[L.TARGET, 1] == -1  # and is lost from sight


def test_a_standing_stalker_is_caught(bare_field):
    field = bare_field([("stalker", 6.0, 16.0)], [("zealot", 4.0, 16.0)], march=(30.0, 16.0))
    field.run(16)
    assert field.points()[0] < 160


def test_who_is_ordered_away_before_its_damage_point_does_not_shoot_and_pays_nothing(bare_field):
    field = bare_field([("stalker", 10.0, 16.0)], [("marine", 14.0, 16.0)])
    field.order(ATTACK)
    field.run(2)  # its damage point is after 2.67 loops
    field.order(EAST)
    field.run()
    assert field.points()[1] == 45
    assert field.f[L.COOLDOWN, 0] <= 0


def test_nobody_shoots_at_who_was_killed_in_the_same_loop(bare_field):
    field = bare_field([("marine", 10.0, 15.0 + k) for k in range(3)], [("marine", 14.0, 15.5), ("marine", 14.0, 16.5)])
    f, n = field.f, field.n
    f[L.HEALTH, 3] = 1
    n[L.ORDER, :3], n[L.TARGET, :3] = L.ATTACK, 3
    f[L.WINDUP, :3] = 0.5
    f[L.COOLDOWN, :3] = 10
    field.run()
    assert n[L.ALIVE, 3] == 0
    assert sorted(f[L.COOLDOWN, :3] > 0) == [False, False, True], "one shot; the others have theirs left"


def test_an_enemy_finishes_its_swing_before_it_walks_on(bare_field):
    def walked(**parameters):
        field = bare_field([("marine", 12.0, 16.0)], [("marine", 16.0, 16.0)], march=(4.0, 16.0), **parameters)
        field.f[L.HEALTH, 0] = 6
        while field.n[L.ALIVE, 0]:
            field.run()
        before = float(field.f[L.X, 1])
        field.run(8)
        return before - float(field.f[L.X, 1])

    assert walked() == 0
    assert walked(enemy_backswing_blocks=False) == pytest.approx(8 * 2.25 / 16, abs=0.15)


def test_an_enemy_shoots_whoever_is_nearest_at_its_next_shot(bare_field):
    def target(**parameters):
        field = bare_field(
            [("marine", 12.0, 16.0), ("marine", 4.0, 16.0)], [("spine_crawler", 18.0, 16.0)], march=(18.0, 16.0),
            **parameters,
        )  # fmt: skip
        field.f[L.HEALTH, :2] = 1e5
        field.run(8)
        assert field.n[L.TARGET, 2] == 0
        field.f[L.X, 1] = 13.5
        field.run(40)
        return field.n[L.TARGET, 2]

    assert target() == 1
    assert target(nearest_at_each_shot=False) == 0


def test_a_spine_crawler_turns_before_it_strikes(bare_field):
    def first_wound(x):
        field = bare_field([("marine", x, 16.0)], [("spine_crawler", 16.0, 16.0)], march=(16.0, 16.0))
        field.f[L.HEALTH, 0] = 1e5
        while field.f[L.HEALTH, 0] == 1e5:
            field.run()
        return field.loop

    turn = 180 / (360 / 16)  # loops; it faces east at first
    assert first_wound(12.0) - first_wound(20.0) == pytest.approx(turn, abs=1)
