"""The observations and states of `StarCraft2Env` with all of SMAC's options, and its methods that query a battle.

Names, sizes, orders and values are those of oxwhirl/smac (smac/env/starcraft2/starcraft2.py, commit d6aab33). The
compiled engine computes SMAC's default features; options add columns to them or remove some.
"""

from __future__ import annotations

import enum
import math
from typing import Any

import numpy as np

from macpf.envs.base import Step
from macpf.envs.smac.maps import FIRST_ATTACK, MOVES, SIZE, load_terrain
from macpf.envs.smac.raw_units import RawUnit, ally_types, read_units, terrain_height
from macpf.envs.smac.skirmish import layout as L
from macpf.envs.smac.skirmish.battles import Skirmish
from macpf.envs.smac.units import UNITS

#: Options of `StarCraft2Env` for observations and states, with SMAC's defaults.
SHOWN = {
    "obs_all_health": True, "obs_own_health": True, "obs_last_action": False, "obs_pathing_grid": False,
    "obs_terrain_height": False, "obs_instead_of_state": False, "obs_timestep_number": False,
    "state_last_action": True, "state_timestep_number": False,
}  # fmt: skip


class Direction(enum.IntEnum):
    """The four moves, in SMAC's order."""

    NORTH = 0
    SOUTH = 1
    EAST = 2
    WEST = 3


class MultiAgentEnv:
    """The base class of SMAC's environments and similar ones, with all sizes in one dictionary."""

    n_agents: int
    episode_limit: int

    def get_obs_size(self) -> int:
        """Size O of an observation."""
        raise NotImplementedError

    def get_state_size(self) -> int:
        """Size S of the state."""
        raise NotImplementedError

    def get_total_actions(self) -> int:
        """Number of actions A."""
        raise NotImplementedError

    def get_env_info(self) -> dict[str, Any]:
        """The sizes that learners need."""
        return {
            "state_shape": self.get_state_size(),
            "obs_shape": self.get_obs_size(),
            "n_actions": self.get_total_actions(),
            "n_agents": self.n_agents,
            "episode_limit": self.episode_limit,
        }


class View(MultiAgentEnv):
    """One battle with SMAC's features and methods.

    Args:
        battle: the engine, with a single battle.
        options: values for `SHOWN`.
    """

    def __init__(self, battle: Skirmish, options: dict[str, bool]) -> None:
        for name, value in options.items():
            setattr(self, name, bool(value))
        self.obs_own_health = self.obs_own_health or self.obs_all_health
        self.battle, self._map = battle, battle.map
        self.n_agents, self.n_enemies = self._map.n_agents, self._map.n_enemies
        self.episode_limit = self._map.episode_limit
        self.n_actions, self.n_actions_no_attack, self.n_actions_move = self._map.n_actions, FIRST_ATTACK, MOVES
        self.n_obs_pathing, self.n_obs_height = 8, 9
        self.map_type = self._map.map_type
        self.shield_bits_ally, self.shield_bits_enemy = (1 * (race == "P") for race in self._map.races)
        self.unit_type_bits = len(self._map.type_bits[0])
        self.map_x = self.map_y = self.max_distance_x = self.max_distance_y = SIZE
        self.pathing_grid, self.terrain_height = load_terrain(self._map.terrain).pathing, terrain_height(self._map)
        types = ally_types(self._map)
        self._min_unit_type = min(types.values())
        self._shields = {number: UNITS[name].shield for name, number in types.items()} | {4: 150, 73: 50, 74: 80}
        bits = [f"type_{bit}" for bit in range(self.unit_type_bits)]
        self.ally_state_attr_names = ["health", "energy/cooldown", "rel_x", "rel_y"]
        self.ally_state_attr_names += ["shield"] * self.shield_bits_ally + bits
        self.enemy_state_attr_names = ["health", "rel_x", "rel_y"] + ["shield"] * self.shield_bits_enemy + bits
        self._episode_steps = 0
        self._last: Step | None = None

    obs_all_health: bool
    obs_own_health: bool
    obs_last_action: bool
    obs_pathing_grid: bool
    obs_terrain_height: bool
    obs_instead_of_state: bool
    obs_timestep_number: bool
    state_last_action: bool
    state_timestep_number: bool

    @property
    def _now(self) -> Step:
        if self._last is None:
            raise RuntimeError("no battle has begun; call reset() first")
        return self._last

    # Units.

    @property
    def agents(self) -> dict[int, RawUnit]:
        """Copies of the agents' current units by agent id; the dead have no health."""
        self._now  # noqa: B018 (raises before the first battle)
        return dict(enumerate(read_units(self.battle)[: self.n_agents]))

    @property
    def enemies(self) -> dict[int, RawUnit]:
        """Copies of the enemies' current units by enemy id."""
        self._now  # noqa: B018
        return dict(enumerate(read_units(self.battle)[self.n_agents :]))

    def get_unit_by_id(self, a_id: int) -> RawUnit:
        """The unit of agent `a_id`."""
        return self.agents[a_id]

    def get_unit_types(self) -> list[int]:
        """The unit type ids of all units, agents first."""
        return [unit.unit_type for unit in read_units(self.battle)]

    @property
    def last_action(self) -> np.ndarray:
        """[N, A] one-hot last actions; zeros before the first step."""
        return self._last_actions(self.n_agents, self.n_actions)

    def _last_actions(self, agents: int, actions: int) -> np.ndarray:
        hot = np.zeros((agents, actions))
        chosen = self.battle.ints[0, L.LAST_ACTION, :agents]
        if self._episode_steps:
            hot[np.arange(agents), chosen] = 1
        return hot

    @property
    def death_tracker_ally(self) -> np.ndarray:
        """[N] 1 for each agent that has died."""
        return self.battle.ints[0, L.COUNTED, : self.n_agents].astype(np.float64)

    @property
    def death_tracker_enemy(self) -> np.ndarray:
        """[E] 1 for each enemy that has died."""
        return self.battle.ints[0, L.COUNTED, self.n_agents :].astype(np.float64)

    @staticmethod
    def distance(x1: float, y1: float, x2: float, y2: float) -> float:
        """Distance between two points."""
        return math.hypot(x2 - x1, y2 - y1)

    def unit_shoot_range(self, agent_id: int) -> float:
        """Range in cells within which attacks are available to an agent."""
        return float(self.battle.field.stats[L.SHOOTS, agent_id])

    def unit_sight_range(self, agent_id: int) -> float:
        """Sight range of an agent, in cells."""
        return float(self.battle.field.stats[L.SEES, agent_id])

    def unit_max_cooldown(self, unit: RawUnit) -> float:
        """The divisor of an agent's cooldown (a medivac's energy) in the state."""
        names = {number: name for name, number in ally_types(self._map).items()}
        return UNITS[names[unit.unit_type]].max_cooldown if unit.unit_type in names else 15

    def unit_max_shield(self, unit: RawUnit) -> float | None:
        """Maximum shield of a Protoss unit; None for others."""
        return self._shields.get(unit.unit_type) or None

    def get_unit_type_id(self, unit: RawUnit, ally: bool) -> int:
        """Index of the unit's type in the one-hot of its side."""
        u = unit.tag - 1
        return int(self.battle.field.stats[L.TYPE_BIT, u])

    # Terrain.

    def check_bounds(self, x: int, y: int) -> bool:
        """Whether a cell is on the map."""
        return 0 <= x < self.map_x and 0 <= y < self.map_y

    def can_move(self, unit: RawUnit, direction: int) -> bool:
        """Whether the cell half a move away is walkable."""
        half = self.battle.field.rules[L.MOVE_AMOUNT] / 2
        dx, dy = ((0, 1), (0, -1), (1, 0), (-1, 0))[direction]
        x, y = int(unit.pos.x + half * dx), int(unit.pos.y + half * dy)
        return self.check_bounds(x, y) and bool(self.pathing_grid[x, y])

    def get_surrounding_points(self, unit: RawUnit, include_self: bool = False) -> list[tuple[int, int]]:
        """Eight cells around a unit: four two moves away along the axes, and four one move away along both axes."""
        x, y, m = int(unit.pos.x), int(unit.pos.y), int(self.battle.field.rules[L.MOVE_AMOUNT])
        steps = [(0, 2 * m), (0, -2 * m), (2 * m, 0), (-2 * m, 0), (m, m), (-m, -m), (m, -m), (-m, m)]
        return [(x + dx, y + dy) for dx, dy in steps + [(0, 0)] * include_self]

    def get_surrounding_pathing(self, unit: RawUnit) -> list[float]:
        """Whether each of these cells is walkable; 1 outside the map."""
        return [self.pathing_grid[p] if self.check_bounds(*p) else 1 for p in self.get_surrounding_points(unit)]

    def get_surrounding_height(self, unit: RawUnit) -> list[float]:
        """Heights of these cells and of the unit's own; 1 outside the map."""
        return [self.terrain_height[p] if self.check_bounds(*p) else 1 for p in self.get_surrounding_points(unit, True)]

    # Sizes.

    def get_obs_move_feats_size(self) -> int:
        """Number of an agent's movement features."""
        return MOVES + self.n_obs_pathing * self.obs_pathing_grid + self.n_obs_height * self.obs_terrain_height

    def get_obs_enemy_feats_size(self) -> tuple[int, int]:
        """Number of enemies, and of features for each."""
        return self.n_enemies, self._map.enemy_row - (not self.obs_all_health) * (1 + self.shield_bits_enemy)

    def get_obs_ally_feats_size(self) -> tuple[int, int]:
        """Number of other agents (0 on the myopic maps), and of features for each."""
        row = self._map.ally_row - (not self.obs_all_health) * (1 + self.shield_bits_ally)
        return (self.n_agents - 1) * self._map.ally_block, row + self.obs_last_action * self.n_actions

    def get_obs_own_feats_size(self) -> int:
        """Number of features of the agent itself, including the time step if that option is on."""
        hidden = (not self.obs_own_health) * (1 + self.shield_bits_ally)
        return self._map.own_row - hidden + self.obs_timestep_number

    def get_obs_size(self) -> int:
        """Size O of an observation."""
        enemies, allies = self.get_obs_enemy_feats_size(), self.get_obs_ally_feats_size()
        rows = enemies[0] * enemies[1] + allies[0] * allies[1]
        return self.get_obs_move_feats_size() + rows + self.get_obs_own_feats_size()

    def get_state_size(self) -> int:
        """Size S of the state."""
        if self.obs_instead_of_state:
            return self.get_obs_size() * self.n_agents
        hidden = (not self.state_last_action) * self.n_agents * self.n_actions
        return self._map.state_dim - hidden + self.state_timestep_number

    def get_total_actions(self) -> int:
        """Number of actions A."""
        return self.n_actions

    def get_ally_num_attributes(self) -> int:
        """Number of features of an agent in the state."""
        return len(self.ally_state_attr_names)

    def get_enemy_num_attributes(self) -> int:
        """Number of features of an enemy in the state."""
        return len(self.enemy_state_attr_names)

    def get_env_info(self) -> dict[str, Any]:
        """SMAC's sizes and feature names, and ``unit_dim``, the number of features of an agent in the state."""
        names = {"agent_features": self.ally_state_attr_names, "enemy_features": self.enemy_state_attr_names}
        return super().get_env_info() | names | {"unit_dim": self.get_ally_num_attributes()}

    # Observations and states.

    def get_obs(self) -> list[np.ndarray]:
        """The observations of all agents, each [O], float32."""
        return [self.get_obs_agent(k) for k in range(self.n_agents)]

    def get_obs_agent(self, agent_id: int) -> np.ndarray:
        """The observation of one agent: moves, all enemies, all other agents, itself; zeros for the dead."""
        seen = self._now.obs[0, agent_id]
        if self._as_by_default:
            return seen.copy()
        E, enemy_row, ally_row = self.n_enemies, self._map.enemy_row, self._map.ally_row
        end = MOVES + E * enemy_row
        enemies = seen[MOVES:end].reshape(E, enemy_row)
        allies = seen[end : len(seen) - self._map.own_row].reshape(-1, ally_row)
        own, moves = seen[len(seen) - self._map.own_row :], [seen[:MOVES]]
        unit = self.get_unit_by_id(agent_id)
        if self.obs_pathing_grid:
            moves.append(self._if_alive(unit, self.get_surrounding_pathing(unit)))
        if self.obs_terrain_height:
            moves.append(self._if_alive(unit, self.get_surrounding_height(unit)))
        if not self.obs_all_health:
            enemies = np.delete(enemies, range(4, 5 + self.shield_bits_enemy), axis=1)
        visible = allies[:, :1] > 0
        if not self.obs_all_health:
            allies = np.delete(allies, range(4, 5 + self.shield_bits_ally), axis=1)
        if self.obs_last_action:
            others = np.delete(self.last_action, agent_id, axis=0)[: len(allies)]
            allies = np.concatenate([allies, others * visible], axis=1)
        if not self.obs_own_health:
            own = own[1 + self.shield_bits_ally :]
        time = [self._episode_steps / self.episode_limit] * self.obs_timestep_number
        parts = [*moves, enemies.ravel(), allies.ravel(), own, np.array(time)]
        return np.concatenate(parts).astype(np.float32)

    @staticmethod
    def _if_alive(unit: RawUnit, values: list[float]) -> np.ndarray:
        return np.array(values, dtype=np.float32) * (unit.health > 0)

    @property
    def _as_by_default(self) -> bool:
        added = self.obs_last_action or self.obs_pathing_grid or self.obs_terrain_height or self.obs_timestep_number
        return self.obs_all_health and not added

    def get_state(self) -> np.ndarray:
        """The state [S], float32: agents, enemies, and optional last actions and time step."""
        if self.obs_instead_of_state:
            return np.concatenate(self.get_obs(), axis=0).astype(np.float32)
        state = self._now.state[0]
        if not self.state_last_action:
            state = state[: len(state) - self.n_agents * self.n_actions]
        time = [self._episode_steps / self.episode_limit] * self.state_timestep_number
        return np.append(state, time).astype(np.float32)

    def get_state_dict(self) -> dict[str, Any]:
        """The state in parts: ``allies``, ``enemies`` [units, features], and optional ``last_action``, ``timestep``."""
        agents, enemies = self.get_ally_num_attributes(), self.get_enemy_num_attributes()
        end = self.n_agents * agents
        state = self._now.state[0].astype(np.float64)
        parts: dict[str, Any] = {
            "allies": state[:end].reshape(self.n_agents, agents),
            "enemies": state[end : end + self.n_enemies * enemies].reshape(self.n_enemies, enemies),
        }
        if self.state_last_action:
            parts["last_action"] = self.last_action
        if self.state_timestep_number:
            parts["timestep"] = self._episode_steps / self.episode_limit
        return parts

    def get_avail_actions(self) -> list[list[int]]:
        """Whether each action is available to each agent, 1 or 0."""
        return [self.get_avail_agent_actions(k) for k in range(self.n_agents)]

    def get_avail_agent_actions(self, agent_id: int) -> list[int]:
        """The available actions of an agent, 1 or 0: only no-op for the dead; else stop, moves and targets in range."""
        return [int(entry) for entry in self._now.available[0, agent_id]]

    def get_visibility_matrix(self) -> np.ndarray:
        """[N, N + E] whether each agent sees each agent and enemy."""
        self._now  # noqa: B018
        return self.battle.visibility_matrix()[0]

    def only_medivac_left(self, ally: bool) -> bool:
        """Whether a side of an MMM map has only medivacs left (for the enemies, as in SMAC, exactly one)."""
        if self.map_type != "MMM":
            return False
        types = {ally_types(self._map)["medivac"]} if ally else {54}
        alive = [unit for unit in (self.agents if ally else self.enemies).values() if unit.health > 0]
        fighters = [unit for unit in alive if unit.unit_type not in types]
        return not fighters if ally else len(alive) == 1 and not fighters
