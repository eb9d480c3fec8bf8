"""The ten unit types of SMAC with the values of StarCraft II's own data files, in two sets.

The map archives only name the Liberty mod, but in logs of the real game a stalker damages a spine crawler as in the
multiplayer mod (`tests/envs/smac/test_real_returns.py`). So the default set is ``multiplayer``; ``liberty`` is base
Wings of Liberty. Both are the same in builds 4.6.2 and 4.10 unless noted otherwise.
Times are in normal-speed seconds of 16 game loops, distances in cells. Source: SC2 game data as published in
SC2Mapster/SC2GameData (949614a9 for 4.6.2, db03e82a for 4.10), and the map archives of oxwhirl/smac.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

LOOPS_PER_SECOND = 16


@dataclass(frozen=True)
class Weapon:
    """How a unit attacks.

    Attributes:
        damage: damage of one hit, before armour.
        period: seconds between two attacks.
        range: range between the edges of both units, in cells.
        damage_point: seconds from the start of an attack to its first hit.
        backswing: seconds after the damage point in which a unit that attacks by itself stands still.
        hits: hits per attack; armour reduces each.
        bonus: extra damage by attribute of the target.
        missile_speed: cells per second; 0 for an instant hit.
        slop: cells by which a target may leave the range during the wind-up before the attack is cancelled.
        hits_air: whether flying units can be attacked.
        scan: cells within which the unit looks for targets, edge to edge (the data files' MinScanRange).
        turret: degrees per second at which the weapon turns to its target; 0 for an instant turn.
    """

    damage: float
    period: float
    range: float
    damage_point: float = 0.167
    backswing: float = 0.5
    hits: int = 1
    bonus: dict[str, float] = field(default_factory=dict)
    missile_speed: float = 0.0
    slop: float = 1.0
    hits_air: bool = False
    scan: float = 5.0
    turret: float = 0.0


@dataclass(frozen=True)
class Unit:
    """One unit type.

    Attributes:
        health, shield, armor: points; armour reduces each hit on health.
        radius: radius of the unit for ranges and area damage, in cells.
        separation: radius of the unit for collisions, in cells.
        clearance: smallest distance of the centre to blocked ground (the data files' inner radius).
        speed: cells per second.
        attributes: light, armored, biological, mechanical, massive, structure.
        max_cooldown: SMAC's divisor of the weapon cooldown in the state, in game loops. SMAC evidently swaps the values
            of stalker and colossus; the paper's agents saw them swapped, too.
        weapon: the unit's weapon; None for the medivac.
        health_regeneration: points per second.
        flies: whether the unit flies.
    """

    health: float
    shield: float
    armor: float
    radius: float
    separation: float
    clearance: float
    speed: float
    attributes: frozenset[str]
    max_cooldown: float
    weapon: Weapon | None
    health_regeneration: float = 0.0
    flies: bool = False


def _attributes(words: str) -> frozenset[str]:
    return frozenset(words.split())


ZERG = 0.2734  # health points per second that every Zerg unit regrows

_LIBERTY: dict[str, Unit] = {
    "marine": Unit(
        health=45, shield=0, armor=0, radius=0.375, separation=0.375, clearance=0.375, speed=2.25, max_cooldown=15,
        attributes=_attributes("light biological"),
        weapon=Weapon(damage=6, period=0.8608, range=5, damage_point=0.05, backswing=0.75, hits_air=True),
    ),
    "marauder": Unit(
        health=125, shield=0, armor=1, radius=0.5625, separation=0.5, clearance=0.375, speed=2.25, max_cooldown=25,
        attributes=_attributes("armored biological"),
        weapon=Weapon(
            damage=10, period=1.5, range=6, damage_point=0, backswing=0, bonus={"armored": 10}, missile_speed=20
        ),
    ),
    "medivac": Unit(
        health=150, shield=0, armor=1, radius=0.75, separation=0.75, clearance=0, speed=2.75, max_cooldown=200,
        flies=True, attributes=_attributes("armored mechanical"), weapon=None,
    ),
    "stalker": Unit(
        health=80, shield=80, armor=1, radius=0.625, separation=0.625, clearance=0.5, speed=2.9531, max_cooldown=35,
        attributes=_attributes("armored mechanical"),
        weapon=Weapon(damage=10, period=1.44, range=6, bonus={"armored": 4}, missile_speed=18.75, hits_air=True),
    ),
    "zealot": Unit(
        health=100, shield=50, armor=1, radius=0.5, separation=0.375, clearance=0.375, speed=2.25, max_cooldown=22,
        attributes=_attributes("light biological"),
        weapon=Weapon(damage=8, period=1.2, range=0.1, damage_point=0, hits=2),
    ),
    "colossus": Unit(
        health=200, shield=150, armor=1, radius=1.0, separation=0.75, clearance=0.5625, speed=2.25, max_cooldown=24,
        attributes=_attributes("armored mechanical massive"),
        weapon=Weapon(damage=20, period=2.2, range=6, damage_point=0.0832, hits=2, slop=0),
    ),
    "zergling": Unit(
        health=35, shield=0, armor=0, radius=0.375, separation=0.375, clearance=0.375, speed=2.9531, max_cooldown=11,
        attributes=_attributes("light biological"), health_regeneration=ZERG,
        weapon=Weapon(damage=5, period=0.696, range=0.1),
    ),
    "baneling": Unit(
        health=30, shield=0, armor=0, radius=0.375, separation=0.375, clearance=0.375, speed=2.5, max_cooldown=1,
        attributes=_attributes("biological"), health_regeneration=ZERG,
        weapon=Weapon(damage=20, period=0.833, range=0.25, damage_point=0, bonus={"light": 15, "structure": 60}),
    ),
    "hydralisk": Unit(
        health=80, shield=0, armor=0, radius=0.625, separation=0.5, clearance=0.375, speed=2.25, max_cooldown=10,
        attributes=_attributes("light biological"), health_regeneration=ZERG,
        weapon=Weapon(damage=12, period=0.83, range=5, damage_point=0.208, missile_speed=40, hits_air=True),
    ),
    "spine_crawler": Unit(
        health=300, shield=0, armor=2, radius=0.875, separation=0.875, clearance=0, speed=0, max_cooldown=15,
        attributes=_attributes("armored biological structure"), health_regeneration=ZERG,
        weapon=Weapon(damage=25, period=1.6, range=7, damage_point=0.3332, bonus={"armored": 5}, slop=0, turret=360),
    ),
}  # fmt: skip


def _with(name: str, **changes: Any) -> Unit:
    """A unit of the Liberty set with another weapon."""
    unit = _LIBERTY[name]
    assert unit.weapon is not None
    return replace(unit, weapon=replace(unit.weapon, **changes))


#: Units by the name of the set. The multiplayer values are voidmulti's of 4.10. The most certain is a stalker's damage
#: of 13 + 5, decoded from real returns. The crawler's period and damage and the colossus' smaller hits follow from real
#: episode lengths and returns. The rest is from the same file. In 4.6.2 a hydralisk's period is 0.75.
UNIT_SETS: dict[str, dict[str, Unit]] = {
    "liberty": _LIBERTY,
    "multiplayer": _LIBERTY
    | {
        "stalker": _with("stalker", damage=13, bonus={"armored": 5}, period=1.87, scan=6.5),
        "spine_crawler": _with("spine_crawler", period=1.85),
        "colossus": _with("colossus", damage=10, bonus={"light": 5}, period=1.5, range=7, scan=7.5),
        "hydralisk": _with("hydralisk", period=0.825, scan=5.5),
        "marine": _with("marine", scan=5.5),
        "marauder": _with("marauder", scan=6.5),
    },
}
#: The default set.
UNITS = UNIT_SETS["multiplayer"]

#: Medivac: points healed per second, energy per point, energy regained per second, energy at the start, most energy.
HEAL_RATE, HEAL_COST, ENERGY_RATE, ENERGY_START, ENERGY_MAX = 9.0, 0.33, 0.5625, 50.0, 200.0
#: Medivac: range of healing and of looking for patients (edge to edge), least energy to start healing by itself,
#: acceleration.
HEAL_RANGE, HEAL_SCAN, HEAL_AUTOCAST_ENERGY, MEDIVAC_ACCELERATION = 4.0, 6.0, 5.0, 2.3125
#: Protoss shields: seconds without damage until they regenerate, and points per second from then on.
SHIELD_DELAY, SHIELD_RATE = 10.0, 2.0
#: A baneling's blast hits units whose edge is within this distance of its centre.
BLAST_RADIUS = 2.2
#: A colossus's beam reaches this far to both sides of its target, and has this radius.
BEAM_HALF_WIDTH, BEAM_RADIUS = 1.25, 0.15
#: Sight range from the unit's centre, in cells, in scenarios where units see as far as in the game (SMACv2).
SIGHT: dict[str, float] = {
    "marine": 9, "marauder": 10, "medivac": 11, "stalker": 10, "zealot": 9, "colossus": 10, "zergling": 8,
    "baneling": 8, "hydralisk": 9, "spine_crawler": 11,
}  # fmt: skip
#: In these scenarios an agent can be ordered to attack a target whose centre is within its weapon's range of its own,
#: or at least within this distance.
LEAST_SHOOT = 2.0
#: Seconds between the two strikes of a zealot.
SECOND_STRIKE = 0.28
#: Least damage of a hit, whatever the armour.
LEAST_DAMAGE = 0.5
