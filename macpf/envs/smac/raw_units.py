"""The units of a battle as the game's raw interface lists them: what SMAC's own code, and codes like it, read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from macpf.envs.smac.maps import SmacMap, load_terrain
from macpf.envs.smac.skirmish import layout as L
from macpf.envs.smac.skirmish.battles import Skirmish
from macpf.envs.smac.units import ENERGY_MAX

#: StarCraft II's numbers of the unit types, which SMAC's enemies have.
ENEMY_TYPES = {
    "colossus": 4, "baneling": 9, "marine": 48, "marauder": 51, "medivac": 54, "zealot": 73, "stalker": 74,
    "spine_crawler": 98, "zergling": 105, "hydralisk": 107,
}  # fmt: skip
#: The agents' types have numbers of their own in SMAC's maps: the first one, then one more for each bit of the one-hot.
FIRST_ALLY_TYPE = 2000
#: Height of a cliff level in cells, and how the game writes heights as bytes.
LEVEL_HEIGHT, LOWEST, HEIGHTS = 2.0, -16.0, 32.0


class Point(NamedTuple):
    """A place on the map, in cells."""

    x: float
    y: float
    z: float = 0.0


@dataclass
class RawUnit:
    """One unit by the field names of the game's interface. A dead unit has no health and stays where it fell."""

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
    """Numbers of the agents' unit types, in the order of the one-hot."""
    names = smac_map.type_bits[0] or tuple(dict.fromkeys(name for name, _, _ in smac_map.allies))
    return {name: FIRST_ALLY_TYPE + k for k, name in enumerate(names)}


def read_units(battle: Skirmish, b: int = 0) -> list[RawUnit]:
    """All units of battle b, agents first, each side in SMAC's order."""
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
    """[32, 32] heights by (x, y) as shares of the game's byte: a model, two cells for each cliff level, ramps between.

    The maps' files hold cliff levels; how high the ground itself lies on them is not among our data.
    """
    level = load_terrain(smac_map.terrain).level.astype(np.float64)
    ramps = level < 0
    level[ramps] = level[~ramps].mean() if not ramps.all() else 0.0
    height: np.ndarray = np.rint(255 * (LEVEL_HEIGHT * level - LOWEST) / HEIGHTS) / 255
    return height
