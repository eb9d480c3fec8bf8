"""Two agents are paid for naming the coin that both see."""

from typing import Any

import numpy as np

from macpf.envs.base import Env, EnvSpec, Step


class Coins(Env):
    """B games of one step."""

    def __init__(self, sides: int, batch_size: int, seed: int) -> None:
        self.batch_size, self.sides = batch_size, sides
        self.spec = EnvSpec(
            n_agents=2, n_actions=sides, obs_dim=sides, state_dim=sides, episode_limit=1, score="return"
        )
        self.random = np.random.default_rng(seed)
        self.coins = np.zeros(batch_size, dtype=np.int64)

    def reset(self) -> Step:
        """Toss."""
        self.coins = self.random.integers(self.sides, size=self.batch_size)
        return self._step(np.zeros(self.batch_size), over=False)

    def step(self, actions: np.ndarray) -> Step:
        """Pay one where both are right."""
        return self._step((actions == self.coins[:, None]).all(axis=1), over=True)

    def _step(self, reward: np.ndarray, over: bool) -> Step:
        shown = np.eye(self.sides, dtype=np.float32)[self.coins]
        return Step(
            obs=np.repeat(shown[:, None], 2, axis=1),
            state=shown,
            available=np.ones((self.batch_size, 2, self.sides), dtype=bool),
            reward=reward.astype(np.float32),
            terminated=np.full(self.batch_size, over),
            truncated=np.zeros(self.batch_size, dtype=bool),
        )

    def state_dict(self) -> dict[str, Any]:
        """The random stream."""
        return {"random": self.random.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put it back."""
        self.random.bit_generator.state = state["random"]
