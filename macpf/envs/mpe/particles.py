"""B particle worlds as a batched environment."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from macpf.envs.base import Env, EnvSpec, Step, refuse_others
from macpf.envs.mpe import world
from macpf.extras import require

#: Largest number of agents that are matched with slots: time and memory are proportional to 2 to the power of N.
MOST_MATCHED = 12


class Task(NamedTuple):
    """A task: code of its reward, radius of its agents, number of its landmarks (0: one for each agent)."""

    code: int
    radius: float
    n_landmarks: int


TASKS = {
    "simple_spread": Task(world.SPREAD, 0.15, 0),
    "formation_control": Task(world.FORMATION, 0.05, 1),
    "line_control": Task(world.LINE, 0.03, 2),
}


class Particles(Env):
    """B worlds of one of the paper's three particle tasks (section 5.3, appendix C.3); docs/environments/mpe.md.

    A world depends on the seed and its index in the batch, but not on the size of the batch.

    Args:
        task: simple_spread, formation_control or line_control.
        batch_size: number of worlds B.
        seed: seed of all random streams.
        n_agents: number of agents N.
        steps: env steps until an episode is cut.
        reward: the team's reward, the ``sum`` or the ``mean`` of the agents' rewards.
        end_at_success: whether an episode terminates once all landmarks are covered, or all slots taken.
        integration: ``velocity_first`` (OpenAI's code, on-policy's, and the first formation and line control) or
            ``position_first`` (mpe2: an action moves its agent one step later).
        landmark_range: in simple_spread, landmarks start in [-range, range]^2.
        self_collision: in simple_spread, every agent is also penalised for touching itself, as in OpenAI's code.
        local_ratio: in simple_spread, weight of the collisions in an agent's reward, with 1 - local_ratio the weight of
            the distances, as in mpe2; None: both weights are 1, as in OpenAI's code.

    Raises:
        ValueError: a value is unknown or out of range.
    """

    def __init__(
        self,
        task: str,
        batch_size: int,
        seed: int,
        n_agents: int,
        steps: int,
        reward: str,
        end_at_success: bool,
        integration: str,
        landmark_range: float,
        self_collision: bool,
        local_ratio: float | None,
    ) -> None:
        refuse_others(bool, end_at_success=end_at_success, self_collision=self_collision)
        refuse_others(int, n_agents=n_agents, steps=steps)
        refuse_others(
            float, landmark_range=landmark_range, **({} if local_ratio is None else {"local_ratio": local_ratio})
        )
        refuse_unknown("map.name", task, TASKS)
        refuse_unknown("reward", reward, ("sum", "mean"))
        refuse_unknown("integration", integration, ("velocity_first", "position_first"))
        _refuse_sizes(task, n_agents, steps)
        if not landmark_range > 0:
            raise ValueError(f"landmark_range={landmark_range} leaves no room for landmarks; use a number above 0")
        if local_ratio is not None and not 0 <= local_ratio <= 1:
            raise ValueError(
                f"local_ratio={local_ratio} is no share; use a number from 0 to 1, or null for a plain sum"
            )
        code, radius, n_landmarks = TASKS[task]
        cover, hit = (1.0, 1.0) if local_ratio is None else (1.0 - local_ratio, float(local_ratio))
        n_landmarks = n_landmarks or n_agents
        obs_dim = 4 + 2 * n_landmarks + (4 * (n_agents - 1) if code == world.SPREAD else 0)
        self.spec = EnvSpec(
            n_agents=n_agents,
            n_actions=len(world.DIRECTIONS),
            obs_dim=obs_dim,
            state_dim=n_agents * obs_dim,
            episode_limit=steps,
            score="return",
        )
        self.task, self.batch_size, self.end_at_success = task, batch_size, end_at_success
        self.rules = world.Rules(code, radius, integration == "position_first", cover, hit, bool(self_collision))
        self.landmark_range, self.share = landmark_range, 1.0 if reward == "sum" else 1.0 / n_agents
        self.streams = [np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(b,))) for b in range(batch_size)]
        self.agents: Float[np.ndarray, "B N 4"] = np.zeros((batch_size, n_agents, 4))
        self.landmarks: Float[np.ndarray, "B L 2"] = np.zeros((batch_size, n_landmarks, 2))
        self.terminated, self.truncated = np.zeros(batch_size, dtype=bool), np.zeros(batch_size, dtype=bool)
        self.played = 0

    def reset(self) -> Step:
        """Start a new episode in each world: agents at rest in [-1, 1]^2, landmarks where the task places them."""
        self.agents, self.landmarks = np.zeros_like(self.agents), np.zeros_like(self.landmarks)
        for stream, agents, landmarks in zip(self.streams, self.agents, self.landmarks, strict=True):
            agents[:, :2] = stream.uniform(-1.0, 1.0, (len(agents), 2))
            place_landmarks(self.rules.task, self.landmark_range, stream, landmarks)
        self.terminated, self.truncated = np.zeros_like(self.terminated), np.zeros_like(self.truncated)
        self.played = 0
        return self._step(np.zeros(self.batch_size))

    def step(self, actions: Int[np.ndarray, "B N"]) -> Step:
        """Push every agent for a tenth of a second, by its action: 0 none, 1 left, 2 right, 3 down, 4 up."""
        self.agents = self.agents.copy()  # the previous step's record refers to the old array
        running = ~(self.terminated | self.truncated)
        reward, success = np.empty(self.batch_size), np.empty(self.batch_size, dtype=bool)
        world.step_worlds(self.rules, actions, running, self.agents, self.landmarks, reward, success)
        self.played += 1
        at_limit = self.played >= self.spec.episode_limit
        ended = running & success if self.end_at_success and not at_limit else np.zeros_like(running)
        self.terminated = self.terminated | ended
        self.truncated = self.truncated | running if at_limit else self.truncated
        return self._step(self.share * reward)

    @property
    def record_type(self) -> np.dtype[np.void]:
        """The record has the positions and velocities of agents and the landmarks, at the world's precision."""
        return np.dtype([(name, np.float64, getattr(self, name).shape[1:]) for name in ("agents", "landmarks")])

    def expand(self, record: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Observations, state and availability from the record, bit for bit as during the rollout."""
        spec, lead = self.spec, record["agents"].shape[:-2]
        obs = np.zeros((*lead, spec.n_agents, spec.obs_dim), dtype=np.float32)
        world.show(
            record["agents"].reshape(-1, *self.agents.shape[1:]),
            record["landmarks"].reshape(-1, *self.landmarks.shape[1:]),
            self.rules.task == world.SPREAD,
            obs.reshape(-1, spec.n_agents, spec.obs_dim),
        )
        available = np.ones((*lead, spec.n_agents, spec.n_actions), dtype=np.bool_)
        return obs, obs.reshape(*lead, spec.state_dim).copy(), available

    def visible(self, record: dict[str, np.ndarray]) -> Bool[np.ndarray, "*axes N N"]:
        """All agents see each other in simple spread; no agent sees another in the other tasks."""
        lead, N = record["agents"].shape[:-2], self.spec.n_agents
        sees = ~np.eye(N, dtype=np.bool_) & (self.rules.task == world.SPREAD)
        return np.broadcast_to(sees, (*lead, N, N)).copy()

    def draw(self, b: int) -> UInt8[np.ndarray, "H W 3"]:
        """A picture of world b; see `macpf.envs.mpe.particle_pictures.draw`."""
        require("render", "a picture of a world")
        from macpf.envs.mpe.particle_pictures import draw  # imported late, as training does not need matplotlib

        return draw(self, b)

    def state_dict(self) -> dict[str, Any]:
        """The random streams; nothing else lasts from one episode to the next."""
        return {"streams": [stream.bit_generator.state for stream in self.streams]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: it was saved with another number of worlds.
        """
        if len(state["streams"]) != self.batch_size:
            raise ValueError(
                f"the saved state is of {len(state['streams'])} worlds, but here are {self.batch_size}; "
                "load it with the batch_size it was saved with"
            )
        for stream, saved in zip(self.streams, state["streams"], strict=True):
            stream.bit_generator.state = saved

    def _step(self, reward: Float[np.ndarray, " B"]) -> Step:
        record = {"agents": self.agents, "landmarks": self.landmarks}
        return Step(
            *self.expand(record),
            reward=reward.astype(np.float32),
            terminated=self.terminated,
            truncated=self.truncated,
            record=record,
        )


def place_landmarks(
    task: int, landmark_range: float, stream: np.random.Generator, landmarks: Float[np.ndarray, "L 2"]
) -> None:
    """Draw the landmarks of a new episode, from the ranges of the tasks' original code and of mpe2."""
    if task == world.SPREAD:
        landmarks[:] = stream.uniform(-landmark_range, landmark_range, landmarks.shape)
    elif task == world.FORMATION:
        landmarks[0] = stream.uniform(-0.5, 0.5, 2)
    else:
        x, y = stream.uniform(-0.25, 0.25, 2)
        angle = stream.uniform(0, 2 * np.pi)
        while True:  # turn the line until its other end is also inside
            far_x, far_y = x + world.LENGTH * math.cos(angle), y + world.LENGTH * math.sin(angle)
            if abs(far_x) < 1.0 and abs(far_y) < 1.0:
                break
            angle += math.radians(5)
        landmarks[:] = (x, y), (far_x, far_y)


def refuse_unknown(name: str, value: str, known: Collection[str]) -> None:
    """Raise ValueError if a value is not among the known ones."""
    if value not in known:
        raise ValueError(f"{name}={value} is not known; use {' or '.join(known)}")


def _refuse_sizes(task: str, n_agents: int, steps: int) -> None:
    least = 2 if task == "line_control" else 1
    most = None if task == "simple_spread" else MOST_MATCHED
    if n_agents < least or (most is not None and n_agents > most):
        limits = f"from {least} to {most}" if most else f"of at least {least}"
        raise ValueError(f"n_agents={n_agents} does not fit {task}; use a number {limits}")
    if steps < 1:
        raise ValueError(f"steps={steps} makes no episode; use a number of at least 1")
