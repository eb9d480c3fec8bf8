"""Padded episodes, the only thing a learner ever sees of an environment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Observation:
    """What B teams see at one env step.

    Attributes:
        obs: [B, N, O] local observations.
        state: [B, S] global states (no policy reads them; on-policy critics may).
        available: [B, N, A] available actions.
    """

    obs: Float[Tensor, "B N O"]
    state: Float[Tensor, "B S"]
    available: Bool[Tensor, "B N A"]


@dataclass(frozen=True)
class EpisodeBatch:
    """B episodes, padded with zeros to the longest of them (T env steps, T + 1 observations).

    Attributes:
        obs: [B, T + 1, N, O] observations, the one after the last action included.
        state: [B, T + 1, S] global states.
        available: [B, T + 1, N, A] available actions (all of them in the padding).
        actions: [B, T, N] actions taken.
        reward: [B, T] shared rewards.
        terminated: [B, T] whether nothing may be bootstrapped after this step.
        filled: [B, T] whether the step was played.
    """

    obs: Float[Tensor, "B T1 N O"]
    state: Float[Tensor, "B T1 S"]
    available: Bool[Tensor, "B T1 N A"]
    actions: Int[Tensor, "B T N"]
    reward: Float[Tensor, "B T"]
    terminated: Float[Tensor, "B T"]
    filled: Float[Tensor, "B T"]

    @property
    def size(self) -> int:
        """Number of episodes B."""
        return self.filled.shape[0]

    @property
    def length(self) -> int:
        """Env steps T of the longest episode."""
        return self.filled.shape[1]

    @property
    def valued_steps(self) -> int:
        """How many observations have a value: T + 1, or T if no episode's last step is bootstrapped from."""
        return self.length + int((self.filled[:, -1] > self.terminated[:, -1]).any())

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Field names and tensors, in the order of the class."""
        return ((f.name, getattr(self, f.name)) for f in fields(self))

    def to(self, device: str) -> EpisodeBatch:
        """The same episodes on another device."""
        return EpisodeBatch(**{name: tensor.to(device) for name, tensor in self.tensors()})
