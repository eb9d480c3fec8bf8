"""What a game of one team needs to be a parallel environment of PettingZoo, for use without the rest of the suite."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from gymnasium import spaces
from jaxtyping import Bool, Float, UInt8
from pettingzoo import ParallelEnv

from macpf.envs.base import Env, Step, checked_seed

#: What one agent observes: float32 [O], or a dictionary with this and more.
Observation: TypeAlias = dict[str, np.ndarray] | np.ndarray


class ParallelTeam(ParallelEnv[str, Observation, int], ABC):
    """One game at a time. Agents are ``agent_0`` ...; the team shares one reward, and all agents end together.

    Subclasses set the spaces, and say how a seed is planted and which actions there are.

    Args:
        game: what is played, with a batch of one.
        render_mode: None, or ``rgb_array`` for `render`.
    """

    observation_spaces: Mapping[str, spaces.Space[Any]]
    action_spaces: Mapping[str, spaces.Discrete]
    #: What an episode is called in messages.
    episode = "episode"

    def __init__(self, game: Env, render_mode: str | None) -> None:
        self._game, self.render_mode = game, render_mode
        self.possible_agents = [f"agent_{k}" for k in range(game.spec.n_agents)]
        self.agents: list[str] = []
        self.state_space = spaces.Box(-np.inf, np.inf, (game.spec.state_dim,), np.float32)
        self._last: Step | None = None

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """What the agent may observe; see the class."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Discrete:
        """What the agent may do; see the class."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Observation], dict[str, dict[str, Any]]]:
        """Start an episode. The same seed and actions give the same results, bit for bit.

        Args:
            seed: seed of this and later episodes; None: the random stream continues.
            options: not used.

        Raises:
            ValueError: the seed is negative or not a whole number.
        """
        if seed is not None:
            self._plant(checked_seed(seed))
        self._last = self._game.reset()
        self.agents = list(self.possible_agents)
        return self._observations(self._last), self._infos(self._last)

    def step(
        self, actions: dict[str, int]
    ) -> tuple[dict[str, Observation], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Take one action of every agent. After the end of an episode, a call without actions does nothing.

        Raises:
            ValueError: no episode is being played, or an agent has no action or one that it cannot take; nothing was
                played.
        """
        agents, last = self.agents, self._last
        if not agents and not actions and last is not None:  # how SuperSuit's black_death finds the end
            return {}, {}, {}, {}, {}
        if not agents or last is None:
            raise ValueError(f"{self._idle}; call reset() first")
        joint = [self._action(agent, actions, last.available[0, k]) for k, agent in enumerate(agents)]
        step = self._last = self._game.step(np.array([joint]))
        self.agents = [] if bool((step.terminated | step.truncated)[0]) else agents
        return (
            self._observations(step),
            dict.fromkeys(agents, float(step.reward[0])),
            dict.fromkeys(agents, bool(step.terminated[0])),
            dict.fromkeys(agents, bool(step.truncated[0])),
            self._infos(step),
        )

    def state(self) -> Float[np.ndarray, " S"]:
        """The global state.

        Raises:
            ValueError: no episode has begun.
        """
        if self._last is None:
            raise ValueError(f"no {self.episode} has begun; call reset() first")
        return self._last.state[0].copy()

    def render(self) -> UInt8[np.ndarray, "H W 3"]:
        """A picture of the current state.

        Raises:
            ValueError: the environment was made without a render mode.
            macpf.extras.MissingExtra: matplotlib is not installed.
        """
        if self.render_mode is None:
            raise ValueError('render_mode=None draws nothing; make the environment with render_mode="rgb_array"')
        return self._game.draw(0)

    def close(self) -> None:
        """Does nothing: there is no window to close."""

    @property
    def _idle(self) -> str:
        """Why there is nothing to take a step in."""
        return "no episode is being played"

    @abstractmethod
    def _plant(self, seed: int) -> None:
        """Begin the random streams anew."""

    @abstractmethod
    def _action(self, agent: str, actions: dict[str, int], available: Bool[np.ndarray, " A"]) -> int:
        """The agent's action.

        Raises:
            ValueError: there is none, or one that the agent cannot take.
        """

    def _observations(self, step: Step) -> dict[str, Observation]:
        return {agent: step.obs[0, k].copy() for k, agent in enumerate(self.possible_agents)}

    def _infos(self, step: Step) -> dict[str, dict[str, Any]]:
        return {agent: {} for agent in self.possible_agents}


def refuse_mode(render_mode: str | None) -> None:
    """Raise ValueError for a render mode that there is not."""
    if render_mode not in (None, "rgb_array"):
        raise ValueError(f"render_mode={render_mode} is not known; use None or rgb_array")
