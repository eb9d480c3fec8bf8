"""The embedded engine as a vector environment of gymnasium: B battles in one compiled call."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from jaxtyping import Bool, Float, Int

from macpf.envs.base import Step, checked_seed, refuse_others
from macpf.envs.smac.pettingzoo import battles
from macpf.envs.smac.skirmish.random import new_streams


class VectorSkirmish(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """B battles of a SMAC map: observations [B, N, O], actions [B, N], one shared reward for each battle [B].

    Infos hold ``action_mask`` [B, N, A], ``state`` [B, S], ``battle_won``, ``dead_allies`` and ``dead_enemies`` [B].
    The step after the end of a battle starts a new one; it ignores the battle's actions, and its reward is 0
    (gymnasium's ``AutoresetMode.NEXT_STEP``).

    Args:
        map_name: one of the 25 maps, one of SMACv2's scenarios, or a battle of one's own (`scenarios.find_map`).
        num_envs: number of parallel battles B.
        settings: see `macpf.envs.smac.pettingzoo.battles`.

    Raises:
        ValueError: a map or setting is unknown, or a value is invalid.
    """

    def __init__(self, map_name: str, num_envs: int, **settings: Any) -> None:
        refuse_others(int, num_envs=num_envs)
        if num_envs < 1:
            raise ValueError(f"num_envs={num_envs} cannot be used; give a whole number from 1 on")
        self.battle = battles(map_name, num_envs, settings)
        spec = self.battle.spec
        self.metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}
        self.num_envs = num_envs
        self.single_observation_space = spaces.Box(-1.0, 1.0, (spec.n_agents, spec.obs_dim), np.float32)
        self.single_action_space = spaces.MultiDiscrete([spec.n_actions] * spec.n_agents)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._over = np.ones(num_envs, dtype=np.bool_)
        self._available: Bool[np.ndarray, "B N A"] | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float[np.ndarray, "B N O"], dict[str, Any]]:
        """Start all battles.

        Args:
            seed: seed of the battles from now on; without one the random streams continue.
            options: not used.

        Raises:
            ValueError: the seed is negative or not a whole number.
        """
        if seed is not None:
            self.battle.streams[...] = new_streams(checked_seed(seed), self.num_envs)
        step = self.battle.reset()
        self._over[:] = False
        return step.obs, self._infos(step)

    def step(
        self, actions: Int[np.ndarray, "B N"]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Play one action of each agent; battles that were over start anew instead.

        Raises:
            ValueError: no battle has begun, or an action is not available; nothing was played.
        """
        actions, anew = self._checked(actions), self._over.copy()
        step = self.battle.step(actions)
        if anew.any():
            fresh = self.battle.reset(anew)
            step.obs[anew], step.state[anew] = fresh.obs[anew], fresh.state[anew]
            step.available[anew] = fresh.available[anew]
            step.terminated[anew], step.truncated[anew] = False, False
            for name, values in step.info.items():
                values[anew] = fresh.info[name][anew]
        self._over = step.terminated | step.truncated
        return step.obs, step.reward, step.terminated, step.truncated, self._infos(step)

    def _checked(self, actions: Int[np.ndarray, "B N"]) -> Int[np.ndarray, "B N"]:
        if self._available is None:
            raise ValueError("no battle has begun; call reset() first")
        given = np.array(actions)
        if given.dtype.kind not in "biuf" or (given != np.floor(given)).any():
            raise ValueError(f"actions are no whole numbers, but of {given.dtype}; give each agent's by its number")
        actions = given.astype(np.int64)
        B, N, A = self._available.shape
        if actions.shape != (B, N):
            raise ValueError(f"actions of shape {actions.shape} do not fit; give one for each of {B} x {N} agents")
        inside = (actions >= 0) & (actions < A)
        allowed = np.take_along_axis(self._available, np.where(inside, actions, 0)[..., None], axis=-1)[..., 0] & inside
        allowed[self._over] = True  # not played
        if not allowed.all():
            b, k = np.argwhere(~allowed)[0]
            choices = ", ".join(map(str, np.flatnonzero(self._available[b, k])))
            raise ValueError(f"battle {b}, agent {k}: action {actions[b, k]} is not available; choose of: {choices}")
        return actions

    def _infos(self, step: Step) -> dict[str, Any]:
        self._available = step.available
        return {"action_mask": step.available.astype(np.int8), "state": step.state, **step.info}
