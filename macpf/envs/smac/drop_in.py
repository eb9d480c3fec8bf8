"""SMAC's `StarCraft2Env` on the embedded engine: the same interface, no StarCraft II.

Programs for oxwhirl's smac run on it with ``from macpf.envs.smac import StarCraft2Env``, or without any change through
the stand-in packages of `macpf.envs.smac.stand_in` (docs/environments/smac_drop_in.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from macpf.envs.base import checked_seed, whole_action
from macpf.envs.smac.battle_replay import Replay
from macpf.envs.smac.drop_in_view import SHOWN, View
from macpf.envs.smac.maps import EAST, NO_OP, NORTH, SOUTH, STOP, WEST
from macpf.envs.smac.pettingzoo import battles
from macpf.envs.smac.scripted import Heuristic
from macpf.envs.smac.skirmish import layout as L
from macpf.envs.smac.skirmish.random import new_streams

#: Options of the real game that have no effect here; their values are accepted and stored.
WITHOUT_EFFECT = {"difficulty": "7", "game_version": None, "window_size_x": 1920, "window_size_y": 1200, "debug": False}


class StarCraft2Env(View):
    """One battle of a SMAC map on the embedded engine, with the interface of SMAC's class of this name.

    As in SMAC, `step` returns reward, terminated and info, the time limit counts as termination, and an unavailable
    action raises an AssertionError. Infos hold ``battle_won``, ``dead_allies``, ``dead_enemies`` and, with
    `continuing_episode`, ``episode_limit`` when the time limit is reached.

    Args:
        map_name: one of the 25 maps, one of SMACv2's scenarios, or a battle of one's own (`scenarios.find_map`).
        step_mul: game loops of an env step.
        move_amount: distance of a move, in cells.
        seed: seed of all random numbers; with None, battles differ each time.
        continuing_episode: report in the info that the time limit was reached, so that learners can bootstrap there.
        replay_dir: folder for `save_replay`; the current one if empty.
        replay_prefix: first part of a replay's name; the map's name if empty.
        heuristic_ai: play SMAC's scripted team instead of the given actions: each agent attacks the nearest enemy until
            it is dead.
        heuristic_rest: restrict the scripted team to available actions; agents walk to targets out of range.
        parameters: assumptions about the game, by name (`macpf.envs.smac.skirmish.parameters`).
        options: the options of observations, state and reward with SMAC's names and defaults, and ``difficulty``,
            ``game_version``, ``window_size_x``, ``window_size_y`` and ``debug``, which have no effect.

    Raises:
        ValueError: the map is unknown, or a value is invalid.
        TypeError: an option is unknown.
    """

    def __init__(
        self,
        map_name: str = "8m",
        step_mul: int | None = 8,
        move_amount: float = 2,
        *,
        seed: int | None = None,
        continuing_episode: bool = False,
        replay_dir: str = "",
        replay_prefix: str = "",
        heuristic_ai: bool = False,
        heuristic_rest: bool = False,
        parameters: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        shown = {name: options.pop(name, default) for name, default in SHOWN.items()}
        for name, default in WITHOUT_EFFECT.items():
            setattr(self, name, options.pop(name, default))
        rewards = {name: options.pop(name) for name in list(options) if name.startswith("reward_")}
        if options:
            raise TypeError(f"StarCraft2Env has no option {next(iter(options))!r}")
        settings = rewards | {"step_mul": step_mul or 8, "move_amount": move_amount, "parameters": parameters}
        super().__init__(battles(map_name, 1, settings | {"seed": seed}), shown)
        rules = self.battle.field.rules
        self.map_name, self._seed = map_name, seed
        self.reward_sparse, self.reward_only_positive = bool(rules[L.SPARSE]), bool(rules[L.ONLY_POSITIVE])
        self.reward_scale, self.reward_scale_rate = rules[L.SCALE_TO] > 0, rewards.get("reward_scale_rate", 20)
        self.reward_death_value, self.reward_win = float(rules[L.DEATH_VALUE]), float(rules[L.WIN_VALUE])
        self.reward_defeat, self.reward_negative_scale = float(rules[L.DEFEAT_VALUE]), float(rules[L.NEGATIVE_SCALE])
        self.continuing_episode = continuing_episode
        self.replay_dir, self.replay_prefix = replay_dir, replay_prefix
        self.heuristic_ai, self.heuristic_rest = heuristic_ai, heuristic_rest
        self._heuristic: Heuristic | None = None
        self._replay = Replay()
        self._window: Any = None
        self.reward, self._total_steps, self._episode_count = 0.0, 0, 0
        self.battles_won = self.battles_game = self.timeouts = self.force_restarts = 0
        self.last_stats = None

    def reset(self) -> tuple[list[np.ndarray], np.ndarray]:
        """Start a battle.

        Returns:
            All observations and the state.
        """
        self._last = self.battle.reset()
        self._episode_steps = 0
        self._heuristic = Heuristic(self.battle, np.random.default_rng()) if self.heuristic_ai else None
        self._replay.begin(self.battle)
        return self.get_obs(), self.get_state()

    @property
    def max_reward(self) -> float:
        """The total reward of a won battle before scaling; with random teams, that of the current battle."""
        return self.battle.max_reward

    def full_restart(self) -> None:
        """Start a new battle; SMAC calls this after a crash of the game, which cannot happen here."""
        self.force_restarts += 1
        self.reset()

    def step(self, actions: Sequence[int]) -> tuple[float, bool, dict[str, Any]]:
        """Play one action of each agent, including the dead (no-op).

        Returns:
            The team's reward, whether the battle is over, and the info.

        Raises:
            AssertionError: an action is not available; nothing was played.
            RuntimeError: no battle has begun, or it is over.
        """
        if self.battle.counts[0, L.OVER]:
            raise RuntimeError(f"{'the battle is over' if self._last else 'no battle has begun'}; call reset() first")
        step = self._last = self.battle.step(np.array([self._orders(actions)]))
        self._total_steps += 1
        self._episode_steps += 1
        self._replay.add(self.battle)
        cut, over = bool(step.truncated[0]), bool((step.terminated | step.truncated)[0])
        info: dict[str, Any] = {
            "battle_won": bool(step.info["battle_won"][0]),
            "dead_allies": int(step.info["dead_allies"][0]),
            "dead_enemies": int(step.info["dead_enemies"][0]),
        }
        if cut and self.continuing_episode:
            info["episode_limit"] = True
        self._episode_count += over
        self.battles_game += over
        self.battles_won += info["battle_won"]
        self.timeouts += cut
        self.reward = float(step.reward[0])
        return self.reward, over, info

    def _orders(self, actions: Sequence[int]) -> list[int]:
        """The actions to play: the given ones, or those of the scripted team, which are also written into `actions`."""
        if self._heuristic is None:
            chosen = [whole_action(f"agent {a_id}", action) for a_id, action in enumerate(actions)]
            available = self._now.available[0]
            if len(chosen) != self.n_agents:
                raise AssertionError(f"{len(chosen)} actions for {self.n_agents} agents")
            for a_id, action in enumerate(chosen):
                fits = 0 <= action < self.n_actions and available[a_id, action]
                assert fits, f"Agent {a_id} cannot perform action {action}"
            return chosen
        chosen = [int(action) for action in self._heuristic(self.battle, self._now)[0]]
        if self.heuristic_rest:
            chosen = [self._walk_if_far(a_id, action) for a_id, action in enumerate(chosen)]
        for a_id, action in enumerate(chosen):
            actions[a_id] = action  # type: ignore[index]
        return chosen

    def _walk_if_far(self, a_id: int, action: int) -> int:
        """An available action: the given one, or a step along the longer axis towards its target."""
        if action in (NO_OP, STOP) or self._now.available[0, a_id, action]:
            return action
        healer = self.battle.field.stats[L.KIND, a_id] == L.MEDIVAC
        target = action - self.n_actions_no_attack + (0 if healer else self.n_agents)
        dx, dy = (self.battle.floats[0, field, target] - self.battle.floats[0, field, a_id] for field in (L.X, L.Y))
        move = (EAST if dx > 0 else WEST) if abs(dx) > abs(dy) else (NORTH if dy > 0 else SOUTH)
        return move if self._now.available[0, a_id, move] else STOP

    def get_stats(self) -> dict[str, float]:
        """Battles since the environment was created: played, won, timed out; the win rate is 0 before the first."""
        return {
            "battles_won": self.battles_won,
            "battles_game": self.battles_game,
            "battles_draw": self.timeouts,
            "win_rate": self.battles_won / max(self.battles_game, 1),
            "timeouts": self.timeouts,
            "restarts": self.force_restarts,
        }

    def seed(self, seed: int | None = None) -> int | None:
        """Return the seed; a number becomes the seed of all battles from the next one on.

        Raises:
            ValueError: the seed is negative or not a whole number.
        """
        if seed is not None:
            self._seed = checked_seed(seed)
            self.battle.streams[...] = new_streams(self._seed, 1)
        return self._seed

    def render(self, mode: str = "human") -> UInt8[np.ndarray, "H W 3"]:
        """A picture of the battle; ``human`` also shows it in a window, where there is a display.

        Raises:
            ValueError: the mode is unknown.
        """
        if mode not in ("human", "rgb_array"):
            raise ValueError(f"mode={mode} is not known; use human or rgb_array")
        self._now  # noqa: B018
        picture = self.battle.draw(0)
        if mode == "human":
            import matplotlib.pyplot as plt  # opens a window if there is a display

            if self._window is None:
                figure = plt.figure(self.map_name, figsize=(picture.shape[1] / 100, picture.shape[0] / 100))
                axes = figure.add_axes((0, 0, 1, 1))
                axes.axis("off")
                self._window = (figure, axes.imshow(picture))
            self._window[1].set_data(picture)
            self._window[0].canvas.draw_idle()
            self._window[0].canvas.flush_events()
        return picture

    def save_replay(self) -> Path:
        """Write the current battle, or the last one, as an animated GIF.

        Returns:
            The file: ``<replay_dir>/<prefix>_<time>.gif``.
        """
        return Replay.write(self._replay.gif(), self.replay_dir, self.replay_prefix or self.map_name)

    def close(self) -> None:
        """Close the window, if one was opened; there is no game to close."""
        if self._window is not None:
            import matplotlib.pyplot as plt

            plt.close(self._window[0])
            self._window = None
