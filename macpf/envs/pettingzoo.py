"""Any cooperative parallel environment of PettingZoo that has discrete actions."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from jaxtyping import Bool, Float, Int, UInt8
from pettingzoo import ParallelEnv

from macpf.envs.base import Env, EnvSpec, Step
from macpf.envs.contract import Contract, told_mask
from macpf.envs.eyes import Eyes
from macpf.envs.fault import EnvironmentFault
from macpf.envs.told import Told

#: Env steps for which the first copy is tried out when it is made.
TRIED = 10


class PettingZoo(Env):
    """B copies of a PettingZoo environment, stepped one after the other.

    Observations are flattened to float32 (discrete ones as one-hots) and padded with zeros to the longest. Agents that
    have left, or have not joined yet, observe zeros and can only take action 0. An agent has left once it is terminated
    or truncated, even if the environment still lists it. Action masks are read from the infos or from dictionary
    observations (key ``action_mask``).

    The environment's observations and states are checked against its spaces when it is made and in the first env steps
    of each episode, rewards and masks always (`macpf.envs.contract`). Every episode has its own seed, which depends
    only on `seed`, the copy and the number of the episode. An environment with other sources of randomness is not
    reproducible.

    Args:
        id: import path of a module with a ``parallel_env`` function, or ``module:name`` of a function or class.
        kwargs: arguments of this function or class.
        reward: the team's reward, the ``sum`` or the ``mean`` of all agents' rewards.
        state: ``concat`` to concatenate all (padded) observations, ``own`` for the environment's `state`.
        episode_limit: env steps after which an episode is cut, unless it ended before.
        batch_size: number of copies B.
        seed: seed of all episodes.
        score: the score of evaluations: ``return``, or the name of a number in the infos (`Told`).
        pictures: None to flatten any observation; or n, if all agents observe pictures [H, W, C] of the same shape.
            Blocks of n x n pixels are then averaged, bytes are scaled to 0 to 1, and `EnvSpec.picture` has the shape.
            Bytes are recorded as bytes.

    Raises:
        ValueError: there is no such environment, or it does not fit: its actions are not discrete, its action spaces
            differ without masks, it has no state of its own, or its first env steps do not match its spaces.
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
        score: str = "return",
        pictures: int | None = None,
    ) -> None:
        for name, value, known in (("reward", reward, ("sum", "mean")), ("state", state, ("concat", "own"))):
            if value not in known:
                raise ValueError(f"env.make.{name}={value} is not known; use {' or '.join(known)}")
        if not re.fullmatch(r"[\w.-]+", str(score)):
            raise ValueError(f"env.make.score={score} is no name; use return, or the name of a number in the infos")
        if not isinstance(episode_limit, int) or episode_limit < 1:
            raise ValueError(f"env.make.episode_limit={episode_limit} makes no episode; use a number of at least 1")
        factory = find(id)
        self.games = [start(factory, id, kwargs) for _ in range(batch_size)]
        self.batch_size, self.seed, self.mean, self.own_state = batch_size, seed, reward == "mean", state == "own"
        self.contract = Contract(id, self.games[0])
        self.names = self.contract.names
        sizes = _action_sizes(id, self.games[0])
        self.eyes = None if pictures is None else Eyes.of(id, self.contract.shown, pictures)
        obs_dim = max(self.contract.dims.values()) if self.eyes is None else self.eyes.dim
        self.spec = EnvSpec(
            n_agents=len(self.names),
            n_actions=max(sizes),
            obs_dim=obs_dim,
            state_dim=_own_state(self.contract, self.games[0]).size if self.own_state else len(self.names) * obs_dim,
            episode_limit=episode_limit,
            score=score,
            picture=None if self.eyes is None else self.eyes.shape,
        )
        self.provenance = _versions(id)
        self.sizes: Int[np.ndarray, " N"] = np.array(sizes)
        self.episodes, self.played = 0, 0
        self.terminated, self.truncated = np.zeros(batch_size, dtype=bool), np.zeros(batch_size, dtype=bool)
        B, N = batch_size, len(self.names)
        self.obs: Float[np.ndarray, "B N O"] = np.zeros((B, N, obs_dim), dtype=self._seen_as)
        self.state: Float[np.ndarray, "B S"] = np.zeros((B, self.spec.state_dim), dtype=np.float32)
        self.available: Bool[np.ndarray, "B N A"] = np.zeros((B, N, max(sizes)), dtype=bool)
        self.gone: list[set[str]] = [set() for _ in range(B)]
        self.told = Told(B)
        self._try_out()

    def reset(self) -> Step:
        """Start a new episode in each copy."""
        self.terminated, self.truncated = np.zeros_like(self.terminated), np.zeros_like(self.truncated)
        for b in range(self.batch_size):
            self._begin(b)
        self.episodes += 1
        self.played = 0
        return self._step(np.zeros(self.batch_size, dtype=np.float32))

    def step(self, actions: Int[np.ndarray, "B N"]) -> Step:
        """One env step in each copy whose episode is not over.

        Raises:
            EnvironmentFault: a copy failed, or broke its interface (`Contract`).
        """
        reward = np.zeros(self.batch_size, dtype=np.float32)
        terminated, truncated = self.terminated.copy(), self.truncated.copy()
        self.played += 1
        for b in np.flatnonzero(~(terminated | truncated)).tolist():
            reward[b], over, cut = self._play(b, actions[b])
            terminated[b], truncated[b] = over and not cut, cut or (not over and self.played >= self.spec.episode_limit)
        self.terminated, self.truncated = terminated, truncated
        return self._step(reward)

    def _begin(self, b: int) -> None:
        """Start a new episode in copy b."""
        seed = int(np.random.SeedSequence(self.seed, spawn_key=(b, self.episodes)).generate_state(1)[0])
        shown = self.contract.call("reset", 0, self.games[b].reset, seed=seed)
        observations, infos = self.contract.parts("reset", 0, shown, ("observations", "infos"))
        self.gone[b] = set()
        self.told.forget(b)
        self._show(b, 0, self._there(b, 0), observations, infos)

    def _play(self, b: int, actions: Int[np.ndarray, " N"]) -> tuple[float, bool, bool]:
        """One env step in copy b: the team's reward, whether all agents have left, and if so, whether by truncation."""
        game, contract, t = self.games[b], self.contract, self.played
        before = self._there(b, t)
        chosen = {name: int(actions[i]) for i, name in enumerate(self.names) if name in game.agents}
        kinds = ("observations", "rewards", "terminations", "truncations", "infos")
        returned = contract.parts("step", t, contract.call("step", t, game.step, chosen), kinds)
        observations, rewards, terminations, truncations, infos = returned
        self.told.note(b, infos)
        total = contract.rewards(before, t, rewards)
        self.gone[b] |= {name for name in before if terminations.get(name) or truncations.get(name)}
        left = self._there(b, t)
        # If the last agents leave, the episode is over, and their last observations may be needed.
        self._show(b, t, left or [name for name in before if name in observations], observations, infos, not left)
        cut = not left and any(truncations.get(name) for name in before)
        return total / len(self.names) if self.mean else total, not left, cut

    def _there(self, b: int, t: int) -> list[str]:
        """The agents that copy b lists and that have not left."""
        return [name for name in self.contract.agents(t, self.games[b]) if name not in self.gone[b]]

    def _try_out(self) -> None:
        """Play some env steps of the first copy, to find faults of the environment before a run has begun."""
        random = np.random.default_rng(0)
        self.terminated[1:] = True
        try:
            self._begin(0)
            for _ in range(min(TRIED, self.spec.episode_limit)):
                draws = random.random(self.available.shape)
                self.step(np.where(self.available, draws, -1.0).argmax(axis=-1))
        except EnvironmentFault as error:
            raise ValueError(str(error)) from error
        self.played = 0

    def score(self, returns: Float[np.ndarray, " B"], last: Step) -> Float[np.ndarray, " B"]:
        """The return, or the last value of the number in each episode's infos that is the score.

        Raises:
            EnvironmentFault: an episode's infos did not contain it.
        """
        name = self.spec.score
        if name == "return":
            return returns
        values = last.info.get(name)
        if values is None or np.isnan(values).any():
            known = ", ".join(sorted(last.info)) or "no numbers at all"
            raise EnvironmentFault(f"env.make.score={name}, but an episode's infos did not tell it; they tell: {known}")
        return values

    def draw(self, b: int) -> UInt8[np.ndarray, "H W 3"]:
        """The picture of copy b that the environment renders.

        Raises:
            NotImplementedError: its render mode is not ``rgb_array``.
        """
        if getattr(self.games[b], "render_mode", None) != "rgb_array":
            raise NotImplementedError("env=pettingzoo draws with '+env.kwargs.render_mode=rgb_array' only")
        return np.asarray(self.games[b].render(), dtype=np.uint8)

    def state_dict(self) -> dict[str, Any]:
        """How many episodes each copy has begun; the seeds of later ones follow from this."""
        return {"episodes": self.episodes}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.episodes = state["episodes"]

    def _show(
        self,
        b: int,
        t: int,
        present: Sequence[str],
        observations: Mapping[str, Any],
        infos: Mapping[str, Any],
        ends: bool = False,
    ) -> None:
        """Store the observations, masks and state of copy b; `ends` says that its episode is over.

        Agents that are not `present` observe zeros and can only take action 0.
        """
        self.obs[b], self.available[b] = 0.0, False
        for i, name in enumerate(self.names):
            if name not in present:
                self.available[b, i, 0] = True
                continue
            seen = self.contract.observation(name, t, observations)
            self.obs[b, i, : len(seen)] = seen if self.eyes is None else self.eyes.look(seen)
            size = int(self.sizes[i])
            mask = self.contract.mask(name, t, observations[name], infos.get(name), size, ends)
            self.available[b, i, :size] = True if mask is None else mask
        if self.own_state:
            returned = self.contract.call("state", t, self.games[b].state)
            self.state[b] = self.contract.state(t, returned, self.spec.state_dim)
        elif self.eyes is None:
            self.state[b] = self.obs[b].reshape(-1)

    @property
    def _seen_as(self) -> type[np.generic]:
        return np.uint8 if self.eyes is not None and self.eyes.bytes else np.float32

    @property
    def record_type(self) -> np.dtype[np.void]:
        """As in `Env`, but pictures of bytes are bytes, and a state that consists of the pictures is left out."""
        plain = super().record_type
        if self.eyes is None:
            return plain
        names = [name for name in plain.names or () if name != "state" or self.own_state]
        return np.dtype([(n, self._seen_as, plain[n].shape) if n == "obs" else (n, plain[n]) for n in names])

    def expand(self, record: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As in `Env`."""
        if self.eyes is None:
            return super().expand(record)
        obs = self.eyes.as_numbers(record["obs"])
        state = record["state"] if self.own_state else obs.reshape(*obs.shape[:-2], -1)
        return obs, state, record["available"]

    def _step(self, reward: Float[np.ndarray, " B"]) -> Step:
        shown = {"obs": self.obs.copy(), "state": self.state.copy(), "available": self.available.copy()}
        obs, state, available = self.expand(shown)
        return Step(
            obs=obs,
            state=state,
            available=available,
            record={} if self.eyes is None else {name: shown[name] for name in self.record_type.names or ()},
            reward=reward,
            terminated=self.terminated,
            truncated=self.truncated,
            info=self.told.info,
        )


def find(id: str) -> Callable[..., Any]:
    """The function or class with this import path.

    Raises:
        ValueError: there is none.
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
    """Make one environment.

    Raises:
        ValueError: it does not accept these arguments, or is not a ParallelEnv with `possible_agents`.
    """
    try:
        game = factory(**kwargs)
    except Exception as error:  # any kind of error; the cause is what the user typed
        raise ValueError(f"env.id={id} with env.kwargs={dict(kwargs)}: {type(error).__name__}: {error}") from error
    if not isinstance(game, ParallelEnv) or not getattr(game, "possible_agents", None):
        raise ValueError(
            f"env.id={id} is no PettingZoo ParallelEnv with possible_agents; wrap it, e.g. by aec_to_parallel"
        )
    return game


def _action_sizes(id: str, game: ParallelEnv) -> list[int]:
    """Number of actions of each agent.

    Raises:
        ValueError: an action space is not discrete, or the numbers differ and not every agent has an action mask.
    """
    found = {name: game.action_space(name) for name in game.possible_agents}
    sizes = []
    for name, space in found.items():
        if not isinstance(space, spaces.Discrete) or space.start != 0:
            advice = "often '+env.kwargs.continuous_actions=false' or '+env.kwargs.continuous=false'"
            if isinstance(space, spaces.MultiDiscrete):
                advice = "wrap it so that each combination is one action"
            raise ValueError(
                f"env.id={id}: {name} has the action space {space}, but only Discrete(n) from 0 fits; ask for them "
                f"({advice})"
            )
        sizes.append(int(space.n))
    if len(set(sizes)) > 1:
        observations, infos = game.reset(seed=0)
        if any(told_mask(observations.get(name), infos.get(name)) is None for name in game.agents):
            raise ValueError(
                f"env.id={id}: agents have {dict(zip(found, sizes, strict=True))} actions and no action masks; "
                "wrap it so that all have as many (supersuit.pad_action_space_v0), or so that it gives masks"
            )
    return sizes


def _own_state(contract: Contract, game: ParallelEnv) -> np.ndarray:
    game.reset(seed=0)
    try:
        return contract.state(0, game.state(), None)
    except NotImplementedError as error:
        raise ValueError(f"env.id={contract.id} has no state() of its own; use env.make.state=concat") from error
    except EnvironmentFault as error:
        raise ValueError(str(error)) from error


def _versions(id: str) -> dict[str, str]:
    """Versions of PettingZoo and of the environment's package, if it has a version."""
    versions = {}
    for package in ("pettingzoo", id.partition(":")[0].partition(".")[0]):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
