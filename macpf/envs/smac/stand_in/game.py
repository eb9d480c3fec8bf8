"""A game of the embedded engine behind the calls by which SMAC's own code drives StarCraft II.

What reads it decides itself what is observed, available and paid; only the fight is the engine's.
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

#: The game's numbers of the orders that SMAC gives.
MOVE, ATTACK, ORDER_STOP, HEAL = 16, 23, 4, 386


class Controller:
    """One game: battles of one map, one after the other. Orders wait for the next step."""

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
        """Make battles of a map, by the file's name.

        Raises:
            ValueError: the engine has no such map.
        """
        seed = getattr(request, "random_seed", None)
        self._battle = battles(Path(request.local_map.map_path).stem, 1, {"seed": seed})
        # The end is for the reader to judge, and so are wins that the map's rules make of lone medivacs.
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
        """Sizes and ground, in the bytes of the game's build 4.10."""
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
        """Orders for the next step."""
        self._orders = [action.action_raw.unit_command for action in request.actions]

    def debug(self, commands: Any) -> None:
        """Units are killed: in SMAC's maps a new battle begins once all are dead, which SMAC waits two loops for."""
        self._killed = True

    def step(self, loops: int = 1) -> None:
        """Play game loops. A unit without an order stands still."""
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
        """The engine's action for an order of SMAC's.

        Raises:
            ValueError: SMAC gives no such order.
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
        """The battle that is going on, or was the last, as a GIF."""
        return self.replay.gif()


class RunConfig:
    """Where the game is: here."""

    version = SimpleNamespace(game_version="embedded", build_version=0)

    def start(self, **options: Any) -> Any:
        """A process with a game in it."""
        return SimpleNamespace(controller=Controller(), close=lambda: None)

    def map_data(self, path: str, players: int | None = None) -> bytes:
        """What the map's file would hold."""
        return b""

    def save_replay(self, replay_data: bytes, replay_dir: str = "", prefix: str = "") -> Path:
        """Write a replay: ``<replay_dir>/<prefix>_<time>.gif``."""
        return Replay.write(replay_data, replay_dir, prefix)
