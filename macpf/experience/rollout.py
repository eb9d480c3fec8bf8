"""Plays complete episodes, one in each parallel environment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from macpf.envs.base import Env, Step
from macpf.envs.interface import check_length, check_step
from macpf.experience.batch import Observation
from macpf.experience.recording import Episode, row_type

if TYPE_CHECKING:
    from macpf.learning.algorithm import Algorithm
    from macpf.learning.schedules import Clock


class NotFinite(ArithmeticError):
    """An environment returned a NaN or infinite reward, observation or state; the message says which and where."""


@dataclass(frozen=True)
class Played:
    """B episodes and their results.

    Attributes:
        rows: [B, T + 1] env steps in their stored form, zeros after the end of each episode.
        lengths: [B] number of env steps of each episode.
        scores: [B] the episodes' scores, as the environment defines them.
        info: by name, [B] values that the environment reported at the last step of each episode.
    """

    rows: np.ndarray
    lengths: Int[np.ndarray, " B"]
    scores: Float[np.ndarray, " B"]
    info: dict[str, Float[np.ndarray, " B"]] = field(default_factory=dict)

    @property
    def env_steps(self) -> int:
        """Total number of env steps of all episodes."""
        return int(self.lengths.sum())

    @property
    def episodes(self) -> list[Episode]:
        """The episodes one by one, without padding."""
        return [rows[: length + 1] for rows, length in zip(self.rows, self.lengths, strict=True)]


class Rollout:
    """Plays episodes with an algorithm in a batch of environments.

    Args:
        env: the environments.
        bootstrap_at_limit: whether learners bootstrap at a time limit. (They do not under SMAC's default, which the
            paper used: a truncated episode is then stored as terminated.)
        device: device of the algorithm that acts.
    """

    def __init__(self, env: Env, bootstrap_at_limit: bool, device: str) -> None:
        self.env, self.bootstrap_at_limit, self.device = env, bootstrap_at_limit, device
        self.row = row_type(env)
        record = env.record_type
        self._numbers = [name for name in record.names or () if record[name].base.kind == "f"]
        self._known = False  # whether the environment has shown, in a first round of episodes, what it returns

    @torch.no_grad()
    @np.errstate(over="ignore")  # what is too large to be stored is infinite, and named
    def play(self, algorithm: Algorithm, clock: Clock | None = None, policy: str = "") -> Played:
        """Play one episode in each environment: exploring according to `clock`, or greedily with `policy`.

        Raises:
            NotFinite: a reward, or a number from which observations and states are computed, is NaN or infinite.
            EnvironmentFault: an episode exceeds its limit, or a step of the first round is not as `Step` describes it.
        """
        B = self.env.batch_size
        rows = np.zeros((B, self.env.spec.episode_limit + 1), dtype=self.row)
        lengths = np.zeros(B, dtype=np.int64)
        running = np.ones(B, dtype=bool)
        memory = algorithm.start(B)
        info: dict[str, np.ndarray] = {}
        step = self.env.reset()
        if not self._known:
            check_step(self.env, step, 0)
        self._record(step, rows[:, 0], running, 0)
        while running.any():
            observation = self.observe(step, algorithm.reads_visibility)
            if clock is not None:
                chosen, memory = algorithm.act(observation, memory, clock)
            else:
                chosen, memory = algorithm.act_greedily(observation, memory, policy)
            actions = chosen.cpu().numpy()
            t = int(lengths.max())
            check_length(self.env, t)
            step = self.env.step(actions.copy())  # an environment may change what it gets
            if not self._known:
                check_step(self.env, step, t + 1)
            over = step.terminated | step.truncated
            now = rows[:, t]
            now["actions"][running] = actions[running]
            now["reward"][running] = step.reward[running]
            self._check("reward", now["reward"], running, t + 1)
            now["terminated"][running] = (step.terminated if self.bootstrap_at_limit else over)[running]
            self._record(step, rows[:, t + 1], running, t + 1)
            lengths += running
            _note(info, step, running & over)
            running = running & ~over
        self._known = True
        rows = rows[:, : lengths.max() + 1]
        returns = torch.from_numpy(rows["reward"][:, :-1].copy()).sum(dim=1).numpy()
        return Played(rows, lengths, self.env.score(returns, step), info)

    def _record(self, step: Step, now: np.ndarray, running: Bool[np.ndarray, " B"], t: int) -> None:
        """Write the records of the running environments into their rows."""
        for name, shown in step.recorded.items():
            now[name][running] = shown[running]
        for name in self._numbers:
            self._check(name, now[name], running, t)

    @staticmethod
    def _check(name: str, shown: np.ndarray, running: Bool[np.ndarray, " B"], t: int) -> None:
        """Raise NotFinite for the first running environment with a number that is not finite; others show padding."""
        if np.isfinite(shown).all():
            return
        flat = shown.reshape(len(shown), -1)
        broken = np.flatnonzero(running & ~np.isfinite(flat).all(axis=1))
        if len(broken):
            value = flat[broken[0]][~np.isfinite(flat[broken[0]])][0]
            raise NotFinite(f"{name} is {value} in environment {broken[0]} after {t} steps of its episode")

    def observe(self, step: Step, visibility: bool = False) -> Observation:
        """The observation of a step, as algorithms take it, on request with `visible`."""
        return Observation(
            obs=torch.as_tensor(step.obs, device=self.device),
            state=torch.as_tensor(step.state, device=self.device),
            available=torch.as_tensor(step.available, device=self.device),
            visible=torch.as_tensor(self.env.visible(step.recorded), device=self.device) if visibility else None,
        )


def _note(info: dict[str, np.ndarray], step: Step, ended: Bool[np.ndarray, " B"]) -> None:
    """Store the numbers that a step reports for the episodes that ended with it; NaN for those not reported."""
    if not ended.any():
        return
    for name, told in step.info.items():
        values = np.asarray(told)
        if values.shape == ended.shape and values.dtype.kind in "biuf":
            info.setdefault(name, np.full(len(ended), np.nan))[ended] = values[ended]
