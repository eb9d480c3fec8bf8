"""The multi-goal game of the paper's section 2.3: a point that moves only when its agents choose the same direction."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from jaxtyping import Float, Int, UInt8
from pydantic import Field, FiniteFloat, PositiveInt, validate_call

from macpf.envs.base import Env, EnvSpec, Step

Size = Annotated[FiniteFloat, Field(gt=0)]


class MultiGoal(Env):
    """Agents that together push one point among four goals; the reward is higher the nearer the point is to a goal.

    Goals, start and box are those of soft Q-learning's single-agent environment (Haarnoja et al., 2017;
    haarnoja/softqlearning, `environments/multigoal.py`). What the paper does not specify is an argument.

    Every agent observes the point's position (in units of the box), which is also the global state.

    Args:
        batch_size: number of games B played in parallel.
        seed: seed of the random stream that draws the starting positions.
        n_agents: number of agents; the point moves if all of them choose the same direction.
        directions: number of directions to choose from, evenly spread, the first along the x axis.
        step: how far the point moves in one env step, in units of length.
        goal_distance: distance of the four goals from the origin; one lies on each half axis.
        box: largest absolute value of a coordinate; the point stops there.
        start_std: standard deviation of each coordinate of the start, around the origin.
        peak: height of the Gaussian around each goal, in units of reward.
        width: standard deviation of the Gaussian around each goal, in units of length.
        steps: env steps of an episode.

    Raises:
        ValueError: a number is invalid, or the goals lie outside the box.
    """

    tracked = ("x", "y")

    @validate_call
    def __init__(
        self,
        batch_size: int,
        seed: int,
        n_agents: PositiveInt,
        directions: Annotated[int, Field(ge=2)],
        step: Size,
        goal_distance: Size,
        box: Size,
        start_std: Annotated[FiniteFloat, Field(ge=0)],
        peak: FiniteFloat,
        width: Size,
        steps: PositiveInt,
    ) -> None:
        if box < goal_distance:
            raise ValueError(f"box={box} leaves the goals outside; use at least goal_distance={goal_distance}")
        self.batch_size, self.box, self.start_std = batch_size, box, start_std
        self.peak, self.width = peak, width
        self.goals = goal_distance * compass(4)
        self.moves = step * compass(directions)
        self.spec = EnvSpec(
            n_agents=n_agents, n_actions=directions, obs_dim=2, state_dim=2, episode_limit=steps, score="return"
        )
        self.random = np.random.default_rng(seed)
        self.place: Float[np.ndarray, "B 2"] = np.zeros((batch_size, 2), dtype=np.float32)
        self.played = 0

    def reset(self) -> Step:
        """Start B new games near the origin."""
        self.place = (self.start_std * self.random.standard_normal((self.batch_size, 2))).astype(np.float32)
        self.played = 0
        return self._step(np.zeros(self.batch_size, dtype=np.float32))

    def step(self, actions: Int[np.ndarray, "B N"]) -> Step:
        """Move the points whose agents agree, and pay for the positions reached."""
        agree = (actions == actions[:, :1]).all(axis=1, keepdims=True)
        moved = self.place + np.where(agree, self.moves[actions[:, 0]], 0.0)
        self.place = moved.clip(-self.box, self.box).astype(np.float32)
        self.played += 1
        return self._step(self.reward_at(self.place).astype(np.float32))

    def reward_at(self, place: Float[np.ndarray, "*axes 2"]) -> Float[np.ndarray, "*axes"]:
        """The reward, a mixture of Gaussians, at any positions."""
        squared = ((place[..., None, :] - self.goals) ** 2).sum(axis=-1)
        return self.peak * np.exp(-squared / (2 * self.width**2)).sum(axis=-1)

    @property
    def record_type(self) -> np.dtype[np.void]:
        """The record is the point's position."""
        return np.dtype([("x", np.float32), ("y", np.float32)])

    def expand(self, record: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Observations, state and availability, which follow from the point's position."""
        state = np.stack([record["x"], record["y"]], axis=-1) / np.float32(self.box)
        N, A = self.spec.n_agents, self.spec.n_actions
        obs = np.repeat(state[..., None, :], N, axis=-2)
        return obs, state, np.ones((*state.shape[:-1], N, A), dtype=np.bool_)

    def visible(self, record: dict[str, np.ndarray]) -> np.ndarray:
        """All agents see each other."""
        N = self.spec.n_agents
        return np.broadcast_to(~np.eye(N, dtype=np.bool_), (*record["x"].shape, N, N)).copy()

    def draw(self, b: int) -> UInt8[np.ndarray, "H W 3"]:
        """The reward in grey, brighter where it is higher, and game b's point in red; 8 pixels per unit of length."""
        n_pixels = round(16 * self.box)
        axis = np.linspace(-self.box, self.box, n_pixels)
        reward = self.reward_at(np.stack(np.meshgrid(axis, -axis), axis=-1))
        picture = np.repeat((64 + 191 * reward / reward.max())[..., None], 3, axis=2).astype(np.uint8)
        column, row = ((self.place[b] * (1, -1) / self.box + 1) / 2 * (n_pixels - 1)).round().astype(int)
        picture[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3] = (213, 40, 0)
        return picture

    def state_dict(self) -> dict[str, Any]:
        """The random stream of the starts; nothing else lasts from one episode to the next."""
        return {"random": self.random.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.random.bit_generator.state = state["random"]

    def _step(self, reward: Float[np.ndarray, " B"]) -> Step:
        record = {"x": self.place[:, 0].copy(), "y": self.place[:, 1].copy()}
        return Step(
            *self.expand(record),
            reward=reward,
            terminated=np.zeros(self.batch_size, dtype=bool),
            truncated=np.full(self.batch_size, self.played >= self.spec.episode_limit),
            record=record,
        )


def compass(directions: int) -> Float[np.ndarray, "D 2"]:
    """Unit vectors in evenly spread directions, the first along the x axis."""
    angles = 2 * np.pi * np.arange(directions) / directions
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).round(12)
