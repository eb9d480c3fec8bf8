"""SMAC's `StarCraft2Env` on the embedded engine: the same interface, no StarCraft II.

Whatever was written for oxwhirl's smac runs on it: ``from macpf.envs.smac import StarCraft2Env``, or without touching
the code through the stand-in package of `macpf.envs.smac.stand_in` (docs/environments/smac_drop_in.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from macpf.envs.smac.battle_replay import Replay
from macpf.envs.smac.drop_in_view import SHOWN, View
from macpf.envs.smac.maps import EAST, NO_OP, NORTH, SOUTH, STOP, WEST
from macpf.envs.smac.pettingzoo import battles, whole
from macpf.envs.smac.scripted import Heuristic
from macpf.envs.smac.skirmish import layout as L
from macpf.envs.smac.skirmish.random import new_streams

#: What of the game there is nothing to do about here: accepted and remembered, without effect.
WITHOUT_EFFECT = {"difficulty": "7", "game_version": None, "window_size_x": 1920, "window_size_y": 1200, "debug": False}


class StarCraft2Env(View):
    """One battle of a SMAC map on the embedded engine, with the interface of SMAC's class of this name.

    As in SMAC, `step` returns reward, end and info, a time limit is an end, and choosing an action that is not
    available is an AssertionError. Infos hold ``battle_won``, ``dead_allies``, ``dead_enemies`` and, with
    `continuing_episode`, ``episode_limit`` at a time-out.

    Args:
        map_name: one of the 25 maps.
        step_mul: game loops of an env step.
        move_amount: cells that a move leads to.
        seed: of all random numbers; None: battles differ each time.
        continuing_episode: report a time-out in the info, so that learners may look past it.
        replay_dir: folder for `save_replay`; the current one if empty.
        replay_prefix: first part of a replay's name; the map's name if empty.
        heuristic_ai: play SMAC's scripted team instead of the given actions: each agent stays with the nearest enemy.
        heuristic_rest: that team keeps to available actions, and walks towards what is out of range.
        parameters: guesses about the game, by name (`macpf.envs.smac.skirmish.parameters`).
        options: the options of observations, state and reward by SMAC's names and with its defaults, and
            ``difficulty``, ``game_version``, ``window_size_x``, ``window_size_y`` and ``debug``, which have no effect.

    Raises:
        ValueError: no such map, or a value that cannot be used.
        TypeError: no such option.
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
        """What a won battle pays before scaling; where teams are drawn, the battle that is going on."""
        return self.battle.max_reward

    def full_restart(self) -> None:
        """As after a crash of the game, which cannot happen here: a new battle."""
        self.force_restarts += 1
        self.reset()

    def step(self, actions: Sequence[int]) -> tuple[float, bool, dict[str, Any]]:
        """Play one action of each agent, the dead included (no-op).

        Returns:
            The team's reward, whether the battle is over, and the info.

        Raises:
            AssertionError: an action is not available; nothing was played.
            RuntimeError: no battle is going on.
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
        """What is played: the given actions, or those of the scripted team, which are then written into them."""
        if self._heuristic is None:
            chosen = [int(np.asarray(action).item()) for action in actions]
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
        """Battles since the environment was made: played, won, timed out; a win rate of 0 before the first."""
        return {
            "battles_won": self.battles_won,
            "battles_game": self.battles_game,
            "battles_draw": self.timeouts,
            "win_rate": self.battles_won / max(self.battles_game, 1),
            "timeouts": self.timeouts,
            "restarts": self.force_restarts,
        }

    def seed(self, seed: int | None = None) -> int | None:
        """The seed; with a number, battles from the next on grow from that one.

        Raises:
            ValueError: it is negative or no whole number.
        """
        if seed is not None:
            self._seed = whole(seed)
            self.battle.streams[...] = new_streams(self._seed, 1)
        return self._seed

    def render(self, mode: str = "human") -> UInt8[np.ndarray, "H W 3"]:
        """The battle as a picture; with ``human`` it is also shown in a window, where there is a display.

        Raises:
            ValueError: no such mode.
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
        """Write the battle that is going on, or was the last, as an animated GIF.

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
