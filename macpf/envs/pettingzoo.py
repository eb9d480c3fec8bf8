"""Any cooperative parallel environment of PettingZoo that has discrete actions."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from jaxtyping import Bool, Float, Int, UInt8
from pettingzoo import ParallelEnv

from macpf.envs.base import Env, EnvSpec, Step

MASK = "action_mask"


class PettingZoo(Env):
    """B copies of a PettingZoo environment, played one after the other.

    Observations are flattened to float32 (discrete ones as one-hots) and padded with zeros to the longest. Agents who
    have left, or not come yet, observe zeros and can only take action 0, which nobody sees. Action masks are read
    from the infos or from dictionary observations (key ``action_mask``). Every episode starts from a seed of its own
    that depends on `seed`, its place in the batch and its number only; an environment that draws from elsewhere
    cannot be repeated.

    Args:
        id: import path of a module with a ``parallel_env`` function, or ``module:name`` of a function or class.
        kwargs: its arguments.
        reward: what the team gets, the ``sum`` or the ``mean`` of all agents' rewards.
        state: ``concat`` for all (padded) observations one after the other, ``own`` for the environment's `state`.
        episode_limit: env steps after which episodes are cut, if the environment did not end them before.
        batch_size: copies B.
        seed: of all episodes.

    Raises:
        ValueError: there is no such environment, or it does not fit: actions that are not discrete, action spaces
            that differ without masks, no state of its own.
    """

    def __init__(
        self,
        id: str,
        kwargs: Mapping[str, Any],
        reward: str,
        state: str,
        episode_limit: int,
        batch_size: int,
        seed: int,
    ) -> None:
        for name, value, known in (("reward", reward, ("sum", "mean")), ("state", state, ("concat", "own"))):
            if value not in known:
                raise ValueError(f"env.make.{name}={value} is not known; use {' or '.join(known)}")
        if not isinstance(episode_limit, int) or episode_limit < 1:
            raise ValueError(f"env.make.episode_limit={episode_limit} makes no episode; use a number of at least 1")
        factory = find(id)
        self.games = [start(factory, id, kwargs) for _ in range(batch_size)]
        self.batch_size, self.seed, self.mean, self.own_state = batch_size, seed, reward == "mean", state == "own"
        self.names = list(self.games[0].possible_agents)
        self.spaces = {name: self.games[0].observation_space(name) for name in self.names}
        sizes = _action_sizes(id, self.games[0])
        obs_dim = max(spaces.flatdim(_without_mask(space)) for space in self.spaces.values())
        self.spec = EnvSpec(
            n_agents=len(self.names),
            n_actions=max(sizes),
            obs_dim=obs_dim,
            state_dim=_own_state(id, self.games[0]).size if self.own_state else len(self.names) * obs_dim,
            episode_limit=episode_limit,
            score="return",
        )
        self.provenance = _versions(id)
        self.sizes: Int[np.ndarray, "N"] = np.array(sizes)
        self.episodes, self.played = 0, 0
        self.terminated, self.truncated = np.zeros(batch_size, dtype=bool), np.zeros(batch_size, dtype=bool)
        B, N = batch_size, len(self.names)
        self.obs: Float[np.ndarray, "B N O"] = np.zeros((B, N, obs_dim), dtype=np.float32)
        self.state: Float[np.ndarray, "B S"] = np.zeros((B, self.spec.state_dim), dtype=np.float32)
        self.available: Bool[np.ndarray, "B N A"] = np.zeros((B, N, max(sizes)), dtype=bool)

    def reset(self) -> Step:
        """Start a new episode in each copy."""
        self.terminated, self.truncated = np.zeros_like(self.terminated), np.zeros_like(self.truncated)
        for b, game in enumerate(self.games):
            sequence = np.random.SeedSequence(self.seed, spawn_key=(b, self.episodes))
            observations, infos = game.reset(seed=int(sequence.generate_state(1)[0]))
            self._show(b, observations, infos)
        self.episodes += 1
        self.played = 0
        return self._step(np.zeros(self.batch_size, dtype=np.float32))

    def step(self, actions: Int[np.ndarray, "B N"]) -> Step:
        """One env step in each copy whose episode is not over."""
        reward = np.zeros(self.batch_size, dtype=np.float32)
        terminated, truncated = self.terminated.copy(), self.truncated.copy()
        self.played += 1
        for b in np.flatnonzero(~(terminated | truncated)).tolist():
            game = self.games[b]
            chosen = {name: int(actions[b, i]) for i, name in enumerate(self.names) if name in game.agents}
            observations, rewards, _, truncations, infos = game.step(chosen)
            total = sum(float(value) for value in rewards.values())
            reward[b] = total / len(self.names) if self.mean else total
            self._show(b, observations, infos)
            if not game.agents:
                truncated[b] = any(truncations.values())
                terminated[b] = not truncated[b]
            elif self.played >= self.spec.episode_limit:
                truncated[b] = True
        self.terminated, self.truncated = terminated, truncated
        return self._step(reward)

    def draw(self, b: int) -> UInt8[np.ndarray, "H W 3"]:
        """Copy b as the environment shows itself.

        Raises:
            NotImplementedError: it does not, or was not made with ``render_mode=rgb_array``.
        """
        if getattr(self.games[b], "render_mode", None) != "rgb_array":
            raise NotImplementedError("env=pettingzoo draws with '+env.kwargs.render_mode=rgb_array' only")
        return np.asarray(self.games[b].render(), dtype=np.uint8)

    def state_dict(self) -> dict[str, Any]:
        """How many episodes have begun: their seeds follow from it."""
        return {"episodes": self.episodes}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` returned."""
        self.episodes = state["episodes"]

    def _show(self, b: int, observations: Mapping[str, Any], infos: Mapping[str, Any]) -> None:
        """Write what copy b shows into its row."""
        game = self.games[b]
        present = game.agents or list(observations)  # all leave at once: it is over, and their last views may matter
        self.obs[b], self.available[b] = 0.0, False
        for i, name in enumerate(self.names):
            if name not in present:
                self.available[b, i, 0] = True
                continue
            seen = spaces.flatten(_without_mask(self.spaces[name]), _bare(observations[name]))
            self.obs[b, i, : len(seen)] = seen
            mask = _mask(observations[name], infos.get(name))
            self.available[b, i, : self.sizes[i]] = True if mask is None else mask.astype(bool)
        self.state[b] = np.asarray(game.state()).reshape(-1) if self.own_state else self.obs[b].reshape(-1)

    def _step(self, reward: Float[np.ndarray, "B"]) -> Step:
        return Step(
            obs=self.obs.copy(),
            state=self.state.copy(),
            available=self.available.copy(),
            reward=reward,
            terminated=self.terminated,
            truncated=self.truncated,
        )


def find(id: str) -> Callable[..., Any]:
    """The function or class that an import path leads to.

    Raises:
        ValueError: it leads nowhere.
    """
    module_name, _, name = id.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), name or "parallel_env")
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"env.id={id} leads to no parallel environment ({error}); type a module with a parallel_env function, "
            "e.g. env.id=mpe2.simple_spread_v3, or module:name"
        ) from error
    factory: Callable[..., Any] = found
    return factory


def start(factory: Callable[..., Any], id: str, kwargs: Mapping[str, Any]) -> ParallelEnv:
    """One environment.

    Raises:
        ValueError: it does not take these arguments, or is no parallel environment with a fixed list of agents.
    """
    try:
        game = factory(**kwargs)
    except Exception as error:  # whatever it is, it comes from the arguments that were typed
        raise ValueError(f"env.id={id} with env.kwargs={dict(kwargs)}: {type(error).__name__}: {error}") from error
    if not isinstance(game, ParallelEnv) or not getattr(game, "possible_agents", None):
        raise ValueError(
            f"env.id={id} is no PettingZoo ParallelEnv with possible_agents; wrap it, e.g. by aec_to_parallel"
        )
    return game


def _action_sizes(id: str, game: ParallelEnv) -> list[int]:
    """Number of actions of each agent; refuses what is not discrete, or differs where nothing is ever masked."""
    found = {name: game.action_space(name) for name in game.possible_agents}
    sizes = []
    for name, space in found.items():
        if not isinstance(space, spaces.Discrete) or space.start != 0:
            raise ValueError(
                f"env.id={id}: {name} has the action space {space}, but only Discrete(n) from 0 fits; "
                "ask for them (often '+env.kwargs.continuous_actions=false' or '+env.kwargs.continuous=false')"
            )
        sizes.append(int(space.n))
    if len(set(sizes)) > 1:
        observations, infos = game.reset(seed=0)
        if any(_mask(observations.get(name), infos.get(name)) is None for name in game.agents):
            raise ValueError(
                f"env.id={id}: agents have {dict(zip(found, sizes, strict=True))} actions and no action masks; "
                "wrap it so that all have as many (supersuit.pad_action_space_v0), or so that it gives masks"
            )
    return sizes


def _own_state(id: str, game: ParallelEnv) -> np.ndarray:
    game.reset(seed=0)
    try:
        return np.asarray(game.state())
    except NotImplementedError as error:
        raise ValueError(f"env.id={id} has no state() of its own; use env.make.state=concat") from error


def _without_mask(space: spaces.Space) -> spaces.Space:
    """What of an observation space the agent is shown: ``observation`` of a dictionary, all but the mask of another."""
    if not isinstance(space, spaces.Dict) or MASK not in space.spaces:
        return space
    return space["observation"]


def _bare(observation: Any) -> Any:
    return observation["observation"] if isinstance(observation, Mapping) and MASK in observation else observation


def _mask(observation: Any, info: Any) -> np.ndarray | None:
    """The action mask in an observation or an info, if there is one."""
    for where in (observation, info):
        if isinstance(where, Mapping) and MASK in where:
            return np.asarray(where[MASK])
    return None


def _versions(id: str) -> dict[str, str]:
    """Of PettingZoo and of the package the environment comes from, as far as it has one."""
    versions = {}
    for package in ("pettingzoo", id.partition(":")[0].partition(".")[0]):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
