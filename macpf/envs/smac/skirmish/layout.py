"""The layout of the compiled engine's arrays.

The state of B battles with U units (agents first, then enemies) is a structure of arrays: ``floats[B, field, U]``,
``ints[B, field, U]``, ``counts[B, field]`` and one random stream for each battle. The constants of a map are in
a `Battlefield`.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from macpf.envs.smac.maps import FIRST_ATTACK, SHOOT_RANGE, SmacMap, load_terrain
from macpf.envs.smac.skirmish.parameters import Parameters
from macpf.envs.smac.skirmish.terrain import Paths, clearance, find_paths
from macpf.envs.smac.units import (
    HEAL_RANGE,
    HEAL_SCAN,
    LEAST_SHOOT,
    LOOPS_PER_SECOND,
    SECOND_STRIKE,
    SIGHT,
    UNIT_SETS,
    Unit,
)

# Fields of floats. Times are in game loops and count down; positions are in cells.
(
    X, Y, HEALTH, SHIELD, ENERGY, COOLDOWN, WINDUP, BACKSWING, QUIET, FLIGHT, LINE_X, LINE_Y, LINE_DX, LINE_DY,
    SPEED, GOAL_X, GOAL_Y, WAY_X, WAY_Y, HELP, PREVIOUS, POST_X, POST_Y, DETOUR, FACING,
) = range(25)  # fmt: skip
N_FLOATS = 25
# Fields of ints.
ALIVE, ORDER, TARGET, FLIGHT_TARGET, SIDE, STANCE, COUNTED, LAST_ACTION = range(8)
N_INTS = 8
# Fields of counts.
STEPS, OVER, WON, LOST, DECIDED = range(5)
N_COUNTS = 5
# Orders.
IDLE, MOVE, ATTACK, HEAL, MARCH = range(5)
# Stances of a unit in a game loop, for collisions.
STANDING, MOVING, FIGHTING = range(3)
# Kinds of units that have rules of their own.
PLAIN, ZEALOT, COLOSSUS, BANELING, MEDIVAC, SPINE = range(6)
# Rows of stats.
(
    MAX_HEALTH, MAX_SHIELD, ARMOR, RADIUS, CLEARANCE, STEP, RANGE, SCAN, PERIOD, DAMAGE_POINT, SWING, SLOP,
    MISSILE, REGENERATION, KIND, FLIES, MAX_COOLDOWN, TYPE_BIT, HITS, STRIKE, START_X, START_Y, TURRET, SEES, SHOOTS,
) = range(25)  # fmt: skip
# Entries of the shape vector.
(
    N_AGENTS, N_ENEMIES, LIMIT, ALLY_BITS, ENEMY_BITS, ALLY_SHIELD, ENEMY_SHIELD, ALLY_BLOCK, MMM, HUNT, MARCHES,
    HAS_PATHS, TARGETS, RANDOM, OWN_POSITION, OPPONENT,
) = range(16)  # fmt: skip
#: When a side with only medivacs left ends the battle: never; as in SMAC's MMM (a single medivac, if they are the
#: enemies); always.
NO_MEDICS, SMAC_MEDICS, ANY_MEDICS = range(3)
#: Behaviour of the enemies: SMAC's attack-move, or a stronger one (see `orders`).
DEFAULT, FOCUS, KITE = range(3)
BLOCK_NONE, BLOCK_SHOWN, BLOCK_ZERO = range(3)
# Entries of the rules vector.
(
    BASE_REWARD, MAX_REWARD, SPARSE, ONLY_POSITIVE, DEATH_VALUE, WIN_VALUE, DEFEAT_VALUE, NEGATIVE_SCALE, SCALE_TO,
    LOOPS, MOVE_AMOUNT,
) = range(11)  # fmt: skip

KINDS = {"zealot": ZEALOT, "colossus": COLOSSUS, "baneling": BANELING, "medivac": MEDIVAC, "spine_crawler": SPINE}
#: The value of WAY_X without a waypoint: the unit walks straight.
NO_WAY = -1.0
#: Game loops between two updates of the lists of near units, and the distance by which pushes may bring two units
#: closer until then, in cells.
LOOK_AROUND, LOOK_MARGIN = 2, 0.15


class Battlefield(NamedTuple):
    """The constants of a map.

    Attributes:
        shape: [16] integers, in the order above.
        rules: [11] rewards and their scale, game loops per env step, cells per move, in the order above.
        guesses: [P] the engine's parameters.
        stats: [25, U] properties of each unit.
        damage: [U, U] damage of one hit of the row's unit on the column's, before armour; 0 if it cannot attack.
        contact: [U, U] centre distance at which two units touch; 0 if they pass through each other.
        notice: [U, U] squared distance below which two units could touch before the next update; 0 if never.
        order: [4] ends of the segment to which the enemies march.
        pathing: [32, 32] SMAC's grid of walkable cells.
        level: [32, 32] cliff levels, -1 on ramps.
        walls: [2, 130, 130] distance to blocked ground at the centres of quarter cells, for walkers and colossi.
        cells, hops: shortest paths on half cells, see `terrain.find_paths`.
        centres: [C, 2] centres of these cells.
    """

    shape: np.ndarray
    rules: np.ndarray
    guesses: np.ndarray
    stats: np.ndarray
    damage: np.ndarray
    contact: np.ndarray
    notice: np.ndarray
    order: np.ndarray
    pathing: np.ndarray
    level: np.ndarray
    walls: np.ndarray
    cells: np.ndarray
    hops: np.ndarray
    centres: np.ndarray


class Neighbours(NamedTuple):
    """Working memory for the lists of near units. It is filled before each use, so it is not part of a battle's state.

    Attributes:
        near: [U, U] for each unit, the units that it could touch before the next update, in ascending order.
        n_near: [U] their number.
        n_before: [U] how many of them have a lower index.
        apart: [U] squared distances from the current unit.
        fighters: [U + 1] the units that stand and fight in this loop, in ascending order, followed by -1.
        close: [3, U] x and y of the units that the current walker could collide with in this loop, and the smallest
            squared distance to them that is allowed.
    """

    near: np.ndarray
    n_near: np.ndarray
    n_before: np.ndarray
    apart: np.ndarray
    fighters: np.ndarray
    close: np.ndarray

    @classmethod
    def of(cls, units: int) -> Neighbours:
        """Working memory for battles with this number of units."""
        near, counts = np.zeros((units, units), np.int32), np.zeros((2, units), np.int32)
        apart, fighters = np.zeros(units, np.float32), np.zeros(units + 1, np.int32)
        return cls(near, counts[0], counts[1], apart, fighters, np.zeros((3, units)))


#: A side is one group if every unit of it starts at most this far from another one, in cells.
LOOSE = 1.5
#: Maps whose rooms are not convex, so that straight lines may end at a wall.
NEED_PATHS = ("corridor", "so_many_baneling", "2c_vs_64zg")


def battlefield(
    smac_map: SmacMap, parameters: Parameters, rules: np.ndarray, ally_block: int, opponent: int = DEFAULT
) -> Battlefield:
    """The constants of a map for compiled code; with random teams, those of the units are filled in later."""
    types = UNIT_SETS[parameters.unit_data]
    units = [types[name] for name, _, _ in (*smac_map.allies, *smac_map.enemies)]
    terrain = load_terrain(smac_map.terrain)
    walls, paths = _ways(smac_map.terrain)
    ally_bits, enemy_bits = smac_map.type_bits
    shape = np.array(
        [
            smac_map.n_agents, smac_map.n_enemies, smac_map.episode_limit, len(ally_bits), len(enemy_bits),
            smac_map.races[0] == "P", smac_map.races[1] == "P", ally_block, _medics(smac_map),
            smac_map.order == "hunt", smac_map.order == "march", len(paths.centres) > 0,
            smac_map.n_actions - FIRST_ATTACK, smac_map.teams is not None, smac_map.own_position, opponent,
        ],
        dtype=np.int64,
    )  # fmt: skip
    stats, contact = _stats(smac_map, units, parameters), contact_of(units)
    points = np.array(smac_map.order_points, dtype=np.float64).reshape(-1)
    return Battlefield(
        shape=shape,
        rules=rules,
        guesses=parameters.vector(),
        stats=stats,
        damage=damage_of(units, smac_map.n_agents),
        contact=contact,
        notice=notice_of(contact, stats[STEP]),
        order=points if len(points) else np.zeros(4),
        pathing=terrain.pathing,
        level=terrain.level,
        walls=walls,
        cells=paths.cells,
        hops=paths.hops,
        centres=paths.centres,
    )


def walls_of(terrain: str) -> np.ndarray:
    """[2, 130, 130] distances to blocked ground, for walkers and for colossi."""
    return _ways(terrain)[0]


@functools.cache
def _ways(name: str) -> tuple[np.ndarray, Paths]:
    """Walls and paths of a terrain. They are never changed, so all battles on it share them."""
    terrain = load_terrain(name)
    walls = np.stack([clearance(terrain.ground), clearance(terrain.cliff_walk)])
    return walls, find_paths(walls[0]) if name in NEED_PATHS else Paths.none()


def _medics(smac_map: SmacMap) -> int:
    if smac_map.map_type == "MMM":
        return SMAC_MEDICS
    return ANY_MEDICS if smac_map.map_type == "scenario" else NO_MEDICS


def _stats(smac_map: SmacMap, units: list[Unit], parameters: Parameters) -> np.ndarray:
    starts = np.concatenate([_formation(side, parameters) for side in (smac_map.allies, smac_map.enemies)])
    columns = []
    for u, (name, _, _) in enumerate((*smac_map.allies, *smac_map.enemies)):
        bits = smac_map.type_bits[u >= smac_map.n_agents]
        columns.append(unit_column(smac_map, name, units[u], bits, parameters, (starts[u, 0], starts[u, 1])))
    return np.array(columns, dtype=np.float64).T.copy()


def unit_column(
    smac_map: SmacMap,
    name: str,
    unit: Unit,
    bits: tuple[str, ...],
    parameters: Parameters,
    start: tuple[float, float] = (0.0, 0.0),
) -> list[float]:
    """The column of stats for one unit; `bits` are the types in the one-hot of its side."""
    weapon, loops = unit.weapon, LOOPS_PER_SECOND
    column = [unit.health, unit.shield, unit.armor, unit.radius, unit.clearance, unit.speed / loops]
    if weapon:
        column += [weapon.range, max(weapon.range, weapon.scan), weapon.period * loops, weapon.damage_point * loops]
        column += [weapon.backswing * loops, weapon.slop]
    else:
        column += [HEAL_RANGE, HEAL_SCAN, 0, 0, 0, 0]
    flight = weapon.missile_speed / loops if weapon and parameters.missile_flight else 0
    column += [flight, unit.health_regeneration / loops, KINDS.get(name, PLAIN), unit.flies, unit.max_cooldown]
    column += [bits.index(name) if bits else -1, weapon.hits if weapon else 0, SECOND_STRIKE * loops, *start]
    column += [np.radians(weapon.turret) / loops if weapon else 0]
    if smac_map.unit_ranges:
        return [*column, SIGHT[name], max(weapon.range if weapon else HEAL_RANGE, LEAST_SHOOT)]
    return [*column, smac_map.sight_range, SHOOT_RANGE]


def _formation(side: tuple[tuple[str, float, float], ...], parameters: Parameters) -> np.ndarray:
    """[U, 2] start positions of a side from the map's data, stretched and rotated if it is one group."""
    at = np.array([(x, y) for _, x, y in side])
    middle = at.mean(axis=0)
    apart = np.linalg.norm(at[:, None] - at[None], axis=-1) + np.diag(np.full(len(at), np.inf))
    if len(at) < 2 or apart.min(axis=1).max() > LOOSE:
        return at  # not one group
    angle = np.radians(parameters.start_turn)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return middle + parameters.start_spacing * (at - middle) @ turn


def damage_of(units: list[Unit], n_agents: int | None) -> np.ndarray:
    """[U, U] damage of one hit of the row's unit on the column's; 0 within a side, unless `n_agents` is None."""
    damage = np.zeros((len(units), len(units)))
    for u, attacker in enumerate(units):
        weapon = attacker.weapon
        for v, target in enumerate(units):
            foes = n_agents is None or (u < n_agents) != (v < n_agents)
            if weapon and foes and (weapon.hits_air or not target.flies):
                damage[u, v] = weapon.damage + sum(weapon.bonus.get(a, 0) for a in target.attributes)
    return damage


def contact_of(units: list[Unit]) -> np.ndarray:
    """[U, U] distance of the centres at which two units touch; 0 if they never do."""

    def collides(a: Unit, b: Unit) -> bool:
        # Colossi step over walkers and collide only with colossi and flyers; flyers collide with flyers and colossi.
        high = ["massive" in unit.attributes or unit.flies for unit in (a, b)]
        return all(high) or not any(high)

    return np.array([[(a.separation + b.separation) * collides(a, b) for b in units] for a in units])


def notice_of(contact: np.ndarray, step: np.ndarray) -> np.ndarray:
    """[U, U] squared distance below which two units could touch before the next update of near units."""
    walked = LOOK_AROUND * step
    reach = contact + (walked + LOOK_MARGIN)[:, None] + walked
    return np.where(contact > 0, reach * reach, 0.0)
