"""Plays whole episodes, one in each parallel environment, and returns them as a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float

from macpf.envs.base import Env, Step
from macpf.experience.batch import EpisodeBatch, Observation

if TYPE_CHECKING:
    from macpf.learning.algorithm import Algorithm
    from macpf.learning.schedules import Clock


@dataclass(frozen=True)
class Played:
    """B episodes and how they went.

    Attributes:
        batch: the episodes.
        scores: [B] what the environment calls their score.
        lengths: [B] their env steps.
    """

    batch: EpisodeBatch
    scores: Float[np.ndarray, "B"]
    lengths: Float[np.ndarray, "B"]

    @property
    def env_steps(self) -> int:
        """Env steps of all episodes together."""
        return int(self.lengths.sum())


class Rollout:
    """Lets an algorithm play a batch of environments.

    Args:
        env: the environments.
        bootstrap_at_limit: whether learners may look past a time limit (SMAC's default, which the paper used,
            does not: there a truncated episode is stored as terminated).
        device: where the algorithm lives.
    """

    def __init__(self, env: Env, bootstrap_at_limit: bool, device: str) -> None:
        self.env, self.bootstrap_at_limit, self.device = env, bootstrap_at_limit, device

    @torch.no_grad()
    def play(self, algorithm: Algorithm, clock: Clock | None = None, policy: str = "") -> Played:
        """Play one episode in each environment: exploring as of `clock`, or else greedily with `policy`."""
        B = self.env.batch_size
        memory = algorithm.start(B)
        steps, actions, filled = [self.env.reset()], [], []
        running = np.ones(B, dtype=bool)
        while running.any():
            observation = self.observe(steps[-1])
            if clock is not None:
                chosen, memory = algorithm.act(observation, memory, clock)
            else:
                chosen, memory = algorithm.act_greedily(observation, memory, policy)
            actions.append(chosen.cpu())
            filled.append(running)
            steps.append(self.env.step(actions[-1].numpy()))
            running = running & ~(steps[-1].terminated | steps[-1].truncated)
        return self._played(steps, actions, np.stack(filled, axis=1).astype(np.float32))

    def observe(self, step: Step) -> Observation:
        """A step as the algorithms see it."""
        return Observation(
            obs=torch.as_tensor(step.obs, device=self.device),
            state=torch.as_tensor(step.state, device=self.device),
            available=torch.as_tensor(step.available, device=self.device),
        )

    def _played(self, steps: list[Step], actions: list[torch.Tensor], filled: Float[np.ndarray, "B T"]) -> Played:
        def stack(name: str, first: int) -> torch.Tensor:
            return torch.from_numpy(np.stack([getattr(step, name) for step in steps[first:]], axis=1))

        over = stack("terminated", 1)
        if not self.bootstrap_at_limit:
            over = over | stack("truncated", 1)
        mask = torch.from_numpy(filled)
        reward = stack("reward", 1) * mask
        batch = EpisodeBatch(
            obs=stack("obs", 0),
            state=stack("state", 0),
            available=stack("available", 0),
            actions=torch.stack(actions, dim=1) * mask.long().unsqueeze(-1),
            reward=reward,
            terminated=over.float() * mask,
            filled=mask,
        )
        return Played(batch, self.env.score(reward.sum(dim=1).numpy(), steps[-1]), filled.sum(axis=1))
