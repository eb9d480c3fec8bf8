"""A scripted environment with episodes of different lengths, and a team that plays it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from macpf.envs.base import Env, EnvSpec, Step
from macpf.learning.algorithm import Memory

N, A, OBS_DIM, STATE_DIM = 2, 3, 2, 4


class ScriptedEnv(Env):
    """Episode b lasts `lengths[b]` steps and is cut instead of terminated where `cut` says so.

    What is shown and paid depends on b, t and the actions, so that nothing can be mixed up unnoticed. Finished
    episodes show zeros and every action, but pay 99 and keep saying that they are over.
    """

    def __init__(self, lengths: list[int], cut: list[bool]) -> None:
        self.lengths, self.cut = np.array(lengths), np.array(cut)
        self.batch_size, self.t = len(lengths), 0
        self.spec = EnvSpec(N, A, OBS_DIM, STATE_DIM, episode_limit=max(lengths), score="return")

    def shown(self, b: int, t: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        obs = 100.0 * (b + 1) + t + np.arange(N * OBS_DIM, dtype=np.float32).reshape(N, OBS_DIM) / 8
        state = -100.0 * (b + 1) - t - np.arange(STATE_DIM, dtype=np.float32) / 8
        available = (np.arange(A) + np.arange(N)[:, None] + b + t) % A != 0
        return obs, state, available

    def paid(self, b: int, t: int, actions: np.ndarray) -> float:
        return float(b + t / 4 + actions[0] / 16 + actions[1] / 64)

    def reset(self) -> Step:
        self.t = 0
        return self._show(np.zeros(self.batch_size, dtype=np.float32))

    def step(self, actions: np.ndarray) -> Step:
        running = self.t < self.lengths
        reward = [self.paid(b, self.t, actions[b]) if running[b] else 99.0 for b in range(self.batch_size)]
        self.t += 1
        return self._show(np.array(reward, dtype=np.float32))

    def _show(self, reward: np.ndarray) -> Step:
        obs, state = (
            np.zeros((self.batch_size, N, OBS_DIM), np.float32),
            np.zeros((self.batch_size, STATE_DIM), np.float32),
        )
        available = np.ones((self.batch_size, N, A), dtype=bool)
        for b, length in enumerate(self.lengths):
            if self.t <= length:
                obs[b], state[b], available[b] = self.shown(b, self.t)
        over = self.t >= self.lengths
        return Step(obs, state, available, reward, terminated=over & ~self.cut, truncated=over & self.cut)

    def state_dict(self) -> dict:
        return {}

    def load_state_dict(self, state: dict) -> None:
        pass


class RecordingTeam:
    """Takes random available actions and remembers everything it was shown and did."""

    reads_visibility = False

    def __init__(self, seed: int = 0) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.calls: list[SimpleNamespace] = []

    def start(self, batch_size: int) -> Memory:
        return Memory(torch.full((batch_size, N), -1))

    def act(self, observation, memory, clock):
        return self._act(observation, memory, clock=clock, policy=None)

    def act_greedily(self, observation, memory, policy):
        return self._act(observation, memory, clock=None, policy=policy)

    def _act(self, observation, memory, clock, policy):
        scores = torch.rand(observation.available.shape, generator=self.generator)
        actions = scores.masked_fill(~observation.available, -1.0).argmax(dim=-1)
        self.calls.append(
            SimpleNamespace(
                observation=observation,
                before=memory.last_actions,
                actions=actions,
                clock=clock,
                policy=policy,
                gradients=torch.is_grad_enabled(),
            )
        )
        return actions, Memory(actions)


@pytest.fixture(scope="session")
def scripted_env() -> Callable[..., ScriptedEnv]:
    return ScriptedEnv


@pytest.fixture
def team() -> RecordingTeam:
    return RecordingTeam()
