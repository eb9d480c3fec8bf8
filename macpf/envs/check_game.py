"""A small game for `macpf check`: actions are unavailable at random, and taking an unavailable one is recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from macpf.envs.base import Env, EnvSpec, Step

#: The sizes all differ, so that axes in a wrong order cause an error.
N_AGENTS, N_ACTIONS, FEATURES, LIMIT = 3, 5, 4, 6
#: Name of the score.
SCORE = "return"


class CheckGame(Env):
    """B games of three agents that are rewarded for each action that their observation asks for.

    Each action is available to each agent with probability one half, and at least one of them always is. An agent sees
    another with probability one half. An episode terminates at random or is cut at its limit of six env steps.

    Args:
        batch_size: number of games B.
        seed: seed of all random streams.

    Attributes:
        n_chosen: number of actions that were chosen in episodes that were not over.
        refused: description of the first action that was not available; empty if all were.
    """

    def __init__(self, batch_size: int, seed: int) -> None:
        self.batch_size = batch_size
        self.spec = EnvSpec(
            n_agents=N_AGENTS,
            n_actions=N_ACTIONS,
            obs_dim=FEATURES + N_ACTIONS,
            state_dim=N_AGENTS * FEATURES + 2,
            episode_limit=LIMIT,
            score=SCORE,
            agent_feature_dim=FEATURES,
        )
        self.streams = [np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(b,))) for b in range(batch_size)]
        self.n_chosen, self.refused, self.played = 0, "", 0
        self.terminated, self.truncated = np.zeros(batch_size, dtype=bool), np.zeros(batch_size, dtype=bool)
        self.wanted: Int[np.ndarray, "B N"] = np.zeros((batch_size, N_AGENTS), dtype=np.int64)
        self.available: Bool[np.ndarray, "B N A"] = np.ones((batch_size, N_AGENTS, N_ACTIONS), dtype=bool)

    def reset(self) -> Step:
        """Start new games."""
        self.terminated, self.truncated = np.zeros_like(self.terminated), np.zeros_like(self.truncated)
        self.played = 0
        return self._step(np.zeros(self.batch_size, dtype=np.float32))

    def step(self, actions: Int[np.ndarray, "B N"]) -> Step:
        """Pay a third for each agent that took the action its observation asked for."""
        running = ~(self.terminated | self.truncated)
        self._note(actions, running)
        reward = (actions == self.wanted).mean(axis=1).astype(np.float32) * running
        self.played += 1
        ends = np.array([stream.random() < 0.2 for stream in self.streams])
        self.truncated = self.truncated | (running & (self.played >= LIMIT))
        self.terminated = self.terminated | (running & ends & (self.played < LIMIT))
        return self._step(reward)

    def _note(self, actions: Int[np.ndarray, "B N"], running: Bool[np.ndarray, " B"]) -> None:
        self.n_chosen += int(running.sum()) * N_AGENTS
        for b in np.flatnonzero(running):
            for agent, action in enumerate(actions[b].tolist()):
                if not (0 <= action < N_ACTIONS and self.available[b, agent, action]) and not self.refused:
                    there = ", ".join(map(str, np.flatnonzero(self.available[b, agent])))
                    self.refused = f"agent {agent} took action {action} and had only {there}"

    def _step(self, reward: np.ndarray) -> Step:
        B = self.batch_size
        drawn = np.stack([stream.random((N_AGENTS, FEATURES + N_ACTIONS)) for stream in self.streams])
        self.wanted = np.array([stream.integers(N_ACTIONS, size=N_AGENTS) for stream in self.streams])
        sure = np.array([stream.integers(N_ACTIONS, size=N_AGENTS) for stream in self.streams])
        asked, forced = np.eye(N_ACTIONS, dtype=np.float32)[self.wanted], np.eye(N_ACTIONS, dtype=bool)[sure]
        self.available = (drawn[..., FEATURES:] < 0.5) | forced
        features = drawn[..., :FEATURES].astype(np.float32)
        clock = np.full((B, 2), self.played / LIMIT, dtype=np.float32)
        return Step(
            obs=np.concatenate([features, asked], axis=-1),
            state=np.concatenate([features.reshape(B, -1), clock], axis=-1),
            available=self.available.copy(),
            reward=reward,
            terminated=self.terminated,
            truncated=self.truncated,
        )

    def visible(self, record: dict[str, np.ndarray]) -> Bool[np.ndarray, "*axes N N"]:
        """Agent i sees agent j if the sum of their first features is less than one."""
        first = record["obs"][..., 0]
        sees = first[..., :, None] + first[..., None, :] < 1.0
        return sees & ~np.eye(N_AGENTS, dtype=bool)

    def state_dict(self) -> dict[str, Any]:
        """The random streams; nothing else lasts from one episode to the next."""
        return {"streams": [stream.bit_generator.state for stream in self.streams]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        for stream, saved in zip(self.streams, state["streams"], strict=True):
            stream.bit_generator.state = saved
