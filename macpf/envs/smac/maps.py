"""The 23 maps of SMAC and the paper's two myopic ones: units, terrain, and what agents observe."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from macpf.envs.smac.units import UNITS

DATA = Path(__file__).parent / "data" / "maps.json"
#: Width and height of all maps in cells; SMAC normalises positions by it.
SIZE = 32
SHOOT_RANGE = 6.0
#: SMAC's actions; from FIRST_ATTACK on there is one for each enemy.
NO_OP, STOP, NORTH, SOUTH, EAST, WEST, FIRST_ATTACK = range(7)
MOVES = 4

#: Order of unit types in the one-hots of allies and of enemies, by map type. SMAC swaps stalkers and zealots.
TYPE_BITS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "stalkers_and_zealots": (("stalker", "zealot"), ("zealot", "stalker")),
    "colossi_stalkers_zealots": (("colossus", "stalker", "zealot"), ("colossus", "stalker", "zealot")),
    "MMM": (("marauder", "marine", "medivac"), ("marauder", "marine", "medivac")),
    "bane": (("baneling", "zergling"), ("baneling", "zergling")),
}


@dataclass(frozen=True)
class Terrain:
    """The ground of a map.

    Attributes:
        pathing: [32, 32] by (x, y): whether SMAC's `can_move` counts a cell as walkable.
        level: [32, 32] cliff level by (x, y); -1 on ramps, which belong to both levels.
        ground: [128, 128] by (x, y): whether ground units can stand on a quarter cell.
        cliff_walk: the same for colossi.
    """

    pathing: Bool[np.ndarray, "32 32"]
    level: np.ndarray
    ground: Bool[np.ndarray, "128 128"]
    cliff_walk: Bool[np.ndarray, "128 128"]


@dataclass(frozen=True)
class RandomTeams:
    """Teams and start positions that are drawn at random for each battle, as in SMACv2.

    Attributes:
        units: unit types.
        weights: probability of each type; they sum to 1.
        never_alone: types that cannot make up a team by themselves.
        surrounded: probability that the agents start in the middle, the enemies in groups on the diagonals around
            them. Otherwise the agents are spread over the west, and the enemies are their mirror image.
    """

    units: tuple[str, ...]
    weights: tuple[float, ...]
    never_alone: tuple[str, ...]
    surrounded: float


@dataclass(frozen=True)
class SmacMap:
    """One map as SMAC defines it.

    Attributes:
        name: SMAC's name for it.
        difficulty: easy, hard, super-hard or myopic.
        in_paper: whether it is one of the paper's 18.
        episode_limit: longest episode, in env steps.
        races: races of the agents and of the enemies (T, P or Z).
        map_type: determines the one-hot of unit types.
        terrain: name of the map's ground.
        sight_range: sight range of the agents, in cells.
        ally_block: whether observations include the other agents.
        allies, enemies: (unit, x, y) of every unit at the start; allies in the order of agent ids.
        order: order of the enemies: march (attack-move to a point), hunt (attack the agents), hold (none).
        order_points: ends of the segment from which the point of `march` is drawn.
        bits: unit types in the order of the one-hots of allies and of enemies; None for those of the map type.
        unit_ranges: whether sight and attack range are those of the unit (SMACv2), or `sight_range` and 6 cells.
        own_position: whether an agent observes its position on the map (SMACv2).
        teams: random teams, drawn for each battle; `allies` and `enemies` then only give the numbers of units.
    """

    name: str
    difficulty: str
    in_paper: bool
    episode_limit: int
    races: str
    map_type: str
    terrain: str
    sight_range: float
    ally_block: bool
    allies: tuple[tuple[str, float, float], ...]
    enemies: tuple[tuple[str, float, float], ...]
    order: str
    order_points: tuple[tuple[float, float], ...]
    bits: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    unit_ranges: bool = False
    own_position: bool = False
    teams: RandomTeams | None = None

    @property
    def n_agents(self) -> int:
        """Number of agents N."""
        return len(self.allies)

    @property
    def n_enemies(self) -> int:
        """Number of enemies E."""
        return len(self.enemies)

    @property
    def n_actions(self) -> int:
        """No-op, stop, four moves, and one per enemy (per agent, if there are more of them and some can heal)."""
        return FIRST_ATTACK + (max(self.n_agents, self.n_enemies) if self.heals else self.n_enemies)

    @property
    def heals(self) -> bool:
        """Whether there may be a medivac among the agents."""
        return "medivac" in (self.teams.units if self.teams else [unit for unit, _, _ in self.allies])

    @property
    def type_bits(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Unit types in the order of the one-hots of allies and of enemies."""
        return self.bits or TYPE_BITS.get(self.map_type, ((), ()))

    @property
    def ally_row(self) -> int:
        """Features of one ally in an observation; the state has one less."""
        return 4 + len(self.type_bits[0]) + 1 * (self.races[0] == "P") + 1

    @property
    def enemy_row(self) -> int:
        """Features of one enemy in an observation; the state has two less."""
        return 4 + len(self.type_bits[1]) + 1 * (self.races[1] == "P") + 1

    @property
    def own_row(self) -> int:
        """Features of the agent itself in its observation."""
        return self.ally_row - 4 + 2 * self.own_position

    @property
    def ally_state_row(self) -> int:
        """Features of one agent in the state: health, cooldown or energy, x, y, shield, type."""
        return self.ally_row - 1

    @property
    def enemy_state_row(self) -> int:
        """Features of one enemy in the state."""
        return self.enemy_row - 2

    def obs_dim(self, zero_ally_block: bool = False) -> int:
        """Size of an observation. With `zero_ally_block`, maps without an ally block have zeros in its place."""
        allies = self.n_agents - 1 if self.ally_block or zero_ally_block else 0
        return MOVES + self.n_enemies * self.enemy_row + allies * self.ally_row + self.own_row

    @property
    def state_dim(self) -> int:
        """Size of the state: agents, enemies, last actions."""
        units = self.n_agents * self.ally_state_row + self.n_enemies * self.enemy_state_row
        return units + self.n_agents * self.n_actions

    @property
    def enemy_points(self) -> float:
        """Health and shields of all enemies at the start."""
        return sum(UNITS[unit].health + UNITS[unit].shield for unit, _, _ in self.enemies)

    @property
    def max_reward(self) -> float:
        """Total reward of a won battle before scaling, by SMAC's defaults: 200, 10 per enemy, and all their points."""
        return 200 + 10 * self.n_enemies + self.enemy_points


@functools.cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(DATA.read_text())
    return data


def map_names() -> tuple[str, ...]:
    """The names of all 25 maps."""
    return tuple(_data()["maps"])


@functools.cache
def load_map(name: str) -> SmacMap:
    """One of the 25 maps by its name; `macpf.envs.smac.scenarios.find_map` also finds SMACv2's and custom ones.

    Raises:
        ValueError: the map is unknown.
    """
    if name not in _data()["maps"]:
        raise ValueError(f"map.name={name} is no SMAC map; choose one of: {', '.join(map_names())}")
    raw = dict(_data()["maps"][name])
    order = raw.pop("agent_order")
    points = tuple((float(x), float(y)) for x, y in raw.pop("order_points"))
    allies = [(unit, float(x), float(y)) for unit, x, y in raw.pop("allies")]
    enemies = tuple((unit, float(x), float(y)) for unit, x, y in raw.pop("enemies"))
    return SmacMap(name, allies=tuple(allies[k] for k in order), enemies=enemies, order_points=points, **raw)


@functools.cache
def load_terrain(name: str) -> Terrain:
    """The ground of a map, by the terrain's name."""
    raw = _data()["terrains"][name]
    level = np.array([[-1 if c == "r" else int(c) for c in row] for row in raw["level"]], dtype=np.int8)
    ground = _fine(raw["ground"])
    return Terrain(
        pathing=_by_xy(np.array([[c == "." for c in row] for row in raw["pathing"]])),
        level=_by_xy(level),
        ground=ground,
        cliff_walk=_fine(raw["cliff_walk"]) if raw["cliff_walk"] else ground,
    )


def _fine(rows: list[str]) -> Bool[np.ndarray, "128 128"]:
    bits = [[digit == "1" for digit in f"{int(row, 16):0128b}"] for row in rows]
    return _by_xy(np.array(bits))


def _by_xy(rows_from_top: np.ndarray) -> np.ndarray:
    """Convert rows from the top and columns from the left to an array indexed by [x, y]."""
    return np.ascontiguousarray(rows_from_top[::-1].T)
