"""Checks that a PettingZoo environment does what its interface and spaces promise; each fault is one line."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

import numpy as np
from gymnasium import spaces
from jaxtyping import Bool, Float
from pettingzoo import ParallelEnv

from macpf.envs.fault import EnvironmentFault

MASK = "action_mask"
#: Keys of the observation in a dictionary that also has an action mask; the first one present is used.
SHOWN = ("observation", "obs")
#: The first env steps of each episode, in which all values are checked; rewards and masks always are.
FIRST = 50
#: How far rounding may carry a number beyond a bound: relative to the bound, or absolute for bounds below 1.
TOLERANCE = 1e-3

Result = TypeVar("Result")


class Contract:
    """What the agents of an environment may observe and do, according to its spaces.

    Args:
        id: import path of the environment, for messages.
        game: one instance of the environment.
    """

    def __init__(self, id: str, game: ParallelEnv) -> None:
        self.id = id
        self.names = list(game.possible_agents)
        self.spaces = {name: game.observation_space(name) for name in self.names}
        self.shown = {name: without_mask(space) for name, space in self.spaces.items()}
        self.dims = {name: spaces.flatdim(space) for name, space in self.shown.items()}
        self.state_space = getattr(game, "state_space", None)

    def call(self, what: str, step: int, method: Callable[..., Result], *arguments: Any, **named: Any) -> Result:
        """Call a method of the environment.

        Raises:
            EnvironmentFault: the call failed.
        """
        try:
            return method(*arguments, **named)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            text = " ".join(str(error).split())
            raise EnvironmentFault(
                f"env.id={self.id}, step {step}: its {what}() failed with {type(error).__name__}: {text} "
                f"({place.filename}, line {place.lineno})"
            ) from error

    def parts(self, what: str, step: int, returned: Any, kinds: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        """The dictionaries that `reset` or `step` returned.

        Raises:
            EnvironmentFault: their number is wrong, or something other than dictionaries was returned.
        """
        fits = isinstance(returned, tuple) and len(returned) == len(kinds)
        if not fits or not all(isinstance(part, Mapping) for part in returned):
            self._refuse("", step, f"{what}() returned something else than ({', '.join(kinds)})", "return dictionaries")
        parts: Sequence[Mapping[str, Any]] = returned
        return parts

    def agents(self, step: int, game: ParallelEnv) -> list[str]:
        """The agents that are currently in an environment.

        Raises:
            EnvironmentFault: one of them is not in `possible_agents`.
        """
        for name in game.agents:
            if name not in self.spaces:
                self._refuse(str(name), step, "it is not in possible_agents", "list every agent there")
        return list(game.agents)

    def observation(self, name: str, step: int, observations: Mapping[str, Any]) -> Float[np.ndarray, " O"]:
        """An agent's observation, flattened to float32.

        Raises:
            EnvironmentFault: the agent has no observation, or one that is not in its space.
        """
        if name not in observations:
            self._refuse(name, step, "it is listed in agents but has no observation", "return one for every agent")
        seen = _bare(self.spaces[name], observations[name])
        space = self.shown[name]
        if step < FIRST and (why := breach(space, seen, "observation")):
            self._refuse(name, step, why, "change what it returns, or observation_space")
        try:
            flat = np.asarray(spaces.flatten(space, seen), dtype=np.float32)
        except Exception:  # the messages of `flatten` are about its own code
            flat = np.zeros(0, dtype=np.float32)
        if flat.size != self.dims[name]:
            self._refuse(name, step, f"its observation does not fit {space}", "change it, or observation_space")
        return flat

    def mask(
        self, name: str, step: int, observation: Any, info: Any, size: int, ends: bool
    ) -> Bool[np.ndarray, " A"] | None:
        """An agent's action mask, or None if the environment gives none; it allows at least one action.

        If `ends` says that the episode is over, nobody will act on the mask, and an invalid one counts as none.

        Raises:
            EnvironmentFault: the mask has the wrong length, values other than 0 and 1, or allows no action.
        """
        told = told_mask(observation, info)
        if told is None:
            return None
        mask = np.asarray(told)
        why, remedy = "", f"give {size} numbers, 1 or 0"
        if mask.shape != (size,):
            why = f"its {MASK} has the shape {mask.shape}"
        elif mask.dtype.kind not in "biuf" or not np.isin(mask, (0, 1)).all():
            why = f"its {MASK} has other values than 0 and 1"
        elif not mask.any():
            why, remedy = f"its {MASK} allows no action", "allow one (doing nothing), or end its episode"
        if why and not ends:
            self._refuse(name, step, why, remedy)
        return None if why else mask.astype(bool)

    def rewards(self, names: Sequence[str], step: int, rewards: Mapping[str, Any]) -> float:
        """The sum of the rewards of the named agents.

        Raises:
            EnvironmentFault: an agent has no reward, or one that is not a finite number.
        """
        total = 0.0
        for name in names:
            if name not in rewards:
                self._refuse(name, step, "it has no reward", "return one for every agent that was there")
            try:
                reward = float(rewards[name])
            except (TypeError, ValueError):
                reward = float("nan")
            if not np.isfinite(reward):
                self._refuse(name, step, f"its reward is {rewards[name]!r}", "return a finite number")
            total += reward
        return total

    def state(self, step: int, returned: Any, dim: int | None) -> Float[np.ndarray, " S"]:
        """The environment's own global state, flattened to float32.

        Raises:
            EnvironmentFault: it is not in its space, has values other than finite numbers, or its size is not `dim`.
        """
        state = np.asarray(returned)
        why = breach(self.state_space, state, "state") if step < FIRST and self.state_space is not None else None
        if why is None and (state.dtype.kind not in "biuf" or (step < FIRST and not np.isfinite(state).all())):
            why = "its state holds something else than finite numbers"
        if why is None and dim is not None and state.size != dim:
            why = f"its state has {state.size} numbers, and had {dim}"
        if why:
            self._refuse("", step, why, "change what state() returns, or use env.make.state=concat")
        return state.reshape(-1).astype(np.float32)

    def _refuse(self, name: str, step: int, why: str, remedy: str) -> NoReturn:
        who = f"{name}, " if name else ""
        raise EnvironmentFault(f"env.id={self.id}, {who}step {step}: {why}; {remedy}")


def breach(space: spaces.Space, value: Any, where: str) -> str | None:
    """Why a value is not in a space; None if it is. Numeric types and rounding errors do not matter."""
    if isinstance(space, spaces.Dict):
        if not isinstance(value, Mapping) or set(value) != set(space.spaces):
            keys = sorted(map(str, value)) if isinstance(value, Mapping) else type(value).__name__
            return f"its {where} has {keys}, and its space {sorted(map(str, space.spaces))}"
        parts = ((part, value[key], f"{where}[{key!r}]") for key, part in space.spaces.items())
    elif isinstance(space, spaces.Tuple):
        if not isinstance(value, tuple | list) or len(value) != len(space.spaces):
            return f"its {where} does not have the {len(space.spaces)} parts of its space"
        parts = ((part, value[k], f"{where}[{k}]") for k, part in enumerate(space.spaces))
    elif isinstance(space, spaces.Box):
        return _breach_of_box(space, value, where)
    else:
        return None if _contains(space, value) else f"its {where} {_short(value)} is not in {space}"
    return next(filter(None, (breach(*part) for part in parts)), None)


def _breach_of_box(space: spaces.Box, value: Any, where: str) -> str | None:
    try:
        array = np.asarray(value)
    except ValueError:
        return f"its {where} is no array"
    if array.dtype.kind not in "biuf":
        return f"its {where} holds {array.dtype} instead of numbers"
    if array.shape != space.shape:
        return f"its {where} has the shape {array.shape}, and its space {space.shape}"
    numbers = array.astype(np.float64)
    if not np.isfinite(numbers).all():
        return f"its {where} holds {numbers[~np.isfinite(numbers)].flat[0]}"
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    below = numbers < low - TOLERANCE * np.maximum(1.0, np.abs(low))
    above = numbers > high + TOLERANCE * np.maximum(1.0, np.abs(high))
    if (below | above).any():
        bound = "below" if below.any() else "above"
        limit = low[below].flat[0] if below.any() else high[above].flat[0]
        return f"its {where} holds {numbers[below | above].flat[0]:g}, {bound} the {limit:g} of its space"
    return None


def _contains(space: spaces.Space, value: Any) -> bool:
    """Whether a value is in a space, as it is or after conversion to the space's type without loss."""
    try:
        if space.contains(value):
            return True
        array = np.asarray(value)
        whole = array.astype(space.dtype)
        return bool((whole == array).all()) and space.contains(whole if array.shape else whole[()])
    except (TypeError, ValueError, OverflowError):
        return False


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 40 else f"{text[:37]}..."


def without_mask(space: spaces.Space) -> spaces.Space:
    """The space of the observation without its action mask: the part ``observation`` or ``obs``, or all other parts."""
    if not isinstance(space, spaces.Dict) or MASK not in space.spaces:
        return space
    for key in SHOWN:
        if key in space.spaces:
            return space[key]
    return spaces.Dict({key: part for key, part in space.spaces.items() if key != MASK})


def _bare(space: spaces.Space, observation: Any) -> Any:
    """The part of an observation that belongs to `without_mask(space)`."""
    if not isinstance(observation, Mapping) or MASK not in observation:
        return observation
    masked = isinstance(space, spaces.Dict) and MASK in space.spaces
    keys = [key for key in SHOWN if key in (space.spaces if masked else observation)]  # type: ignore[attr-defined]
    if keys and (masked or not isinstance(space, spaces.Dict)):
        return observation.get(keys[0])
    return {key: part for key, part in observation.items() if key != MASK}


def told_mask(observation: Any, info: Any) -> Any:
    """The action mask in an observation or an info, if there is one."""
    for where in (observation, info):
        if isinstance(where, Mapping) and MASK in where:
            return where[MASK]
    return None
