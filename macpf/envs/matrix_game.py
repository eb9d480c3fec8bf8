"""The one-step matrix game of the paper's section 5.1, for any payoff matrix of two agents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from macpf.envs.base import Env, EnvSpec, Step


class MatrixGame(Env):
    """Two agents choose a row and a column at once and share the payoff; the episode is over after one step.

    Every observation and the global state are a constant 1. If the numbers of rows and columns differ, the smaller
    action space is padded with actions that are never available.

    Args:
        payoff: rows (agent 0) by columns (agent 1), in units of reward.
        batch_size: number of games B played in parallel.
        seed: part of the interface; the game draws no random number.

    Raises:
        ValueError: the payoff is not a matrix of finite numbers with at least one row and one column.
    """

    def __init__(self, payoff: Sequence[Sequence[float]], batch_size: int, seed: int) -> None:
        try:
            self.payoff: Float[np.ndarray, "rows columns"] = np.asarray(payoff, dtype=np.float32)
        except (TypeError, ValueError):  # ragged, or not numbers
            self.payoff = np.empty(0)
        if self.payoff.ndim != 2 or not self.payoff.size or not np.isfinite(self.payoff).all():
            raise ValueError(
                f"map.payoff={payoff} is not a matrix of finite numbers; type e.g. map.payoff=[[8,-12],[-12,8]]"
            )
        n_rows, n_columns = self.payoff.shape
        self.batch_size = batch_size
        self.spec = EnvSpec(
            n_agents=2,
            n_actions=max(n_rows, n_columns),
            obs_dim=1,
            state_dim=1,
            episode_limit=1,
            score="return",
        )
        available = np.arange(self.spec.n_actions) < np.array([[n_rows], [n_columns]])
        self._available = np.repeat(available[None], batch_size, axis=0)

    def reset(self) -> Step:
        """Start B new games."""
        return self._step(np.zeros(self.batch_size, dtype=np.float32), over=False)

    def step(self, actions: Int[np.ndarray, "B N"]) -> Step:
        """Pay each game's joint action; every game is then over."""
        return self._step(self.payoff[actions[:, 0], actions[:, 1]], over=True)

    def _step(self, reward: Float[np.ndarray, " B"], over: bool) -> Step:
        B, N = self.batch_size, self.spec.n_agents
        return Step(
            obs=np.ones((B, N, 1), dtype=np.float32),
            state=np.ones((B, 1), dtype=np.float32),
            available=self._available,
            reward=reward,
            terminated=np.full(B, over),
            truncated=np.zeros(B, dtype=bool),
        )

    def state_dict(self) -> dict[str, Any]:
        """Empty: the game has no state between episodes."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Does nothing: the game has no state."""
