"""The units of a battle in the format of the game's raw interface, for SMAC's own code and code derived from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from macpf.envs.smac.maps import SmacMap, load_terrain
from macpf.envs.smac.skirmish import layout as L
from macpf.envs.smac.skirmish.battles import Skirmish
from macpf.envs.smac.units import ENERGY_MAX

#: StarCraft II's ids of the unit types, used for SMAC's enemies.
ENEMY_TYPES = {
    "colossus": 4, "baneling": 9, "marine": 48, "marauder": 51, "medivac": 54, "zealot": 73, "stalker": 74,
    "spine_crawler": 98, "zergling": 105, "hydralisk": 107,
}  # fmt: skip
#: In SMAC's maps the agents' unit types have ids of their own, consecutive in the order of the one-hot from this one.
FIRST_ALLY_TYPE = 2000
#: Height of a cliff level in cells; lowest height and range of heights in the game's encoding as bytes.
LEVEL_HEIGHT, LOWEST, HEIGHTS = 2.0, -16.0, 32.0


class Point(NamedTuple):
    """A place on the map, in cells."""

    x: float
    y: float
    z: float = 0.0


@dataclass
class RawUnit:
    """One unit with the field names of the game's interface. A dead unit has no health and stays where it died."""

    tag: int
    unit_type: int
    owner: int
    pos: Point
    health: float
    health_max: float
    shield: float
    shield_max: float
    energy: float
    energy_max: float
    weapon_cooldown: float
    radius: float
    facing: float


def ally_types(smac_map: SmacMap) -> dict[str, int]:
    """The ids of the agents' unit types, in the order of the one-hot."""
    names = smac_map.type_bits[0] or tuple(dict.fromkeys(name for name, _, _ in smac_map.allies))
    return {name: FIRST_ALLY_TYPE + k for k, name in enumerate(names)}


def read_units(battle: Skirmish, b: int = 0) -> list[RawUnit]:
    """All units of battle b, agents first, with each side in SMAC's order."""
    f, n, stats = battle.floats[b].astype(np.float64), battle.ints[b], battle.constants(b).stats
    N, smac_map = battle.map.n_agents, battle.roster(b)
    types = ally_types(battle.map)
    units = []
    for u, (name, _, _) in enumerate((*smac_map.allies, *smac_map.enemies)):
        alive = n[L.ALIVE, u] == 1
        units.append(
            RawUnit(
                tag=u + 1,
                unit_type=types[name] if u < N else ENEMY_TYPES[name],
                owner=1 if u < N else 2,
                pos=Point(float(f[L.X, u]), float(f[L.Y, u])),
                health=float(f[L.HEALTH, u]) if alive else 0.0,
                health_max=float(stats[L.MAX_HEALTH, u]),
                shield=float(f[L.SHIELD, u]) if alive else 0.0,
                shield_max=float(stats[L.MAX_SHIELD, u]),
                energy=float(f[L.ENERGY, u]),
                energy_max=ENERGY_MAX if name == "medivac" else 0.0,
                weapon_cooldown=max(float(f[L.COOLDOWN, u]), 0.0),
                radius=float(stats[L.RADIUS, u]),
                facing=float(f[L.FACING, u]),
            )
        )
    return units


def terrain_height(smac_map: SmacMap) -> np.ndarray:
    """[32, 32] heights by (x, y), as fractions of the range of a byte.

    They are modelled as two cells per cliff level, with all ramps at the mean height. The data in this repository have
    cliff levels, but not the true heights of the ground.
    """
    level = load_terrain(smac_map.terrain).level.astype(np.float64)
    ramps = level < 0
    level[ramps] = level[~ramps].mean() if not ramps.all() else 0.0
    height: np.ndarray = np.rint(255 * (LEVEL_HEIGHT * level - LOWEST) / HEIGHTS) / 255
    return height
