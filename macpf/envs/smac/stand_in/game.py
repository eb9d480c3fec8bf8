"""The embedded engine behind the interface through which SMAC's own code controls StarCraft II.

That code computes observations, available actions and rewards itself; the engine only simulates the battle.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from macpf.envs.smac.battle_replay import Replay
from macpf.envs.smac.maps import EAST, FIRST_ATTACK, NORTH, SIZE, SOUTH, STOP, WEST, load_terrain
from macpf.envs.smac.pettingzoo import battles
from macpf.envs.smac.raw_units import Point, read_units, terrain_height
from macpf.envs.smac.skirmish import layout as L
from macpf.envs.smac.skirmish.battles import Skirmish

#: The game's ids of the orders that SMAC gives.
MOVE, ATTACK, ORDER_STOP, HEAL = 16, 23, 4, 386


class Controller:
    """One game: successive battles of one map. Orders take effect with the next step."""

    def __init__(self) -> None:
        self._battle: Skirmish | None = None
        self._orders: list[Any] = []
        self._killed = False
        self.replay = Replay()

    @property
    def battle(self) -> Skirmish:
        """The engine.

        Raises:
            RuntimeError: no game was created.
        """
        if self._battle is None:
            raise RuntimeError("no game was created; call create_game first")
        return self._battle

    def create_game(self, request: Any) -> None:
        """Create battles of a map, given by the name of its file.

        Raises:
            ValueError: the map is unknown.
        """
        seed = getattr(request, "random_seed", None)
        self._battle = battles(Path(request.local_map.map_path).stem, 1, {"seed": seed})
        # SMAC's code applies the time limit itself, and the rule for sides with only medivacs left.
        self._battle.field.shape[L.LIMIT] = np.iinfo(np.int32).max
        self._battle.field.shape[L.MMM] = 0

    def join_game(self, request: Any) -> None:
        """Begin the first battle."""
        self._begin()

    def _begin(self) -> None:
        self.battle.reset()
        self._killed, self._orders = False, []
        self.replay.begin(self.battle)

    def game_info(self) -> Any:
        """Map size and terrain, encoded as in version 4.10 of the game."""
        terrain = load_terrain(self.battle.map.terrain)
        pathing = np.packbits(terrain.pathing.T, axis=1).tobytes()
        height = np.rint(terrain_height(self.battle.map).T[::-1] * 255).astype(np.uint8).tobytes()
        corner, size = Point(SIZE, SIZE), SimpleNamespace(x=SIZE, y=SIZE)
        ground = SimpleNamespace(
            playable_area=SimpleNamespace(p0=Point(0, 0), p1=corner),
            map_size=size,
            pathing_grid=SimpleNamespace(bits_per_pixel=1, size=size, data=pathing),
            terrain_height=SimpleNamespace(bits_per_pixel=8, size=size, data=height),
        )
        return SimpleNamespace(start_raw=ground)

    def observe(self) -> Any:
        """All living units, agents first."""
        units = [unit for unit in read_units(self.battle) if unit.health > 0]
        return SimpleNamespace(observation=SimpleNamespace(raw_data=SimpleNamespace(units=units)))

    def actions(self, request: Any) -> None:
        """Store the orders for the next step."""
        self._orders = [action.action_raw.unit_command for action in request.actions]

    def debug(self, commands: Any) -> None:
        """SMAC kills all units to restart: its maps begin a new battle then, and it waits two loops for that."""
        self._killed = True

    def step(self, loops: int = 1) -> None:
        """Play `loops` game loops. A unit without an order stands still."""
        if self._killed:
            self._begin()
            return
        actions = np.zeros((1, self.battle.map.n_agents), dtype=np.int64)
        for command in self._orders:
            for tag in command.unit_tags:
                actions[0, tag - 1] = self._action(tag - 1, command)
        self.battle.field.rules[L.LOOPS] = loops
        self.battle.step(actions)
        self._orders = []
        self.replay.add(self.battle)

    def _action(self, agent: int, command: Any) -> int:
        """The engine's action for an order of SMAC.

        Raises:
            ValueError: SMAC does not give such orders.
        """
        if command.ability_id == ORDER_STOP:
            return STOP
        if command.ability_id == ATTACK:
            return FIRST_ATTACK + int(command.target_unit_tag) - self.battle.map.n_agents - 1
        if command.ability_id == HEAL:
            return FIRST_ATTACK + int(command.target_unit_tag) - 1
        if command.ability_id != MOVE:
            raise ValueError(f"order {command.ability_id} is none of SMAC's: move, attack, stop, heal")
        to = command.target_world_space_pos
        dx, dy = (end - float(self.battle.floats[0, field, agent]) for end, field in ((to.x, L.X), (to.y, L.Y)))
        self.battle.field.rules[L.MOVE_AMOUNT] = max(abs(dx), abs(dy))
        if abs(dx) > abs(dy):
            return EAST if dx > 0 else WEST
        return NORTH if dy > 0 else SOUTH

    def save_replay(self) -> bytes:
        """The current battle, or the last one, as a GIF."""
        return self.replay.gif()


class RunConfig:
    """Starts games; the embedded engine needs no installation."""

    version = SimpleNamespace(game_version="embedded", build_version=0)

    def start(self, **options: Any) -> Any:
        """A stand-in for a game process, with its controller."""
        return SimpleNamespace(controller=Controller(), close=lambda: None)

    def map_data(self, path: str, players: int | None = None) -> bytes:
        """The content of a map's file; empty, as the engine has its own maps."""
        return b""

    def save_replay(self, replay_data: bytes, replay_dir: str = "", prefix: str = "") -> Path:
        """Write a replay: ``<replay_dir>/<prefix>_<time>.gif``."""
        return Replay.write(replay_data, replay_dir, prefix)
