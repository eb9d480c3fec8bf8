"""Checks that an environment returns what `Env` asks for; each fault is one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from macpf.envs.base import Env, EnvSpec, Step
from macpf.envs.fault import EnvironmentFault


def check_made(made: Any, batch_size: int) -> None:
    """Check a new environment.

    Args:
        made: what the configuration's `env.make` returned.
        batch_size: number of episodes B that it was asked to play.

    Raises:
        TypeError: it is no environment, or one without sizes.
        ValueError: it plays another number of episodes.
    """
    name = type(made).__name__
    if not isinstance(made, Env):
        raise TypeError(f"{name} is no environment; derive it from macpf.envs.base.Env")
    if not isinstance(getattr(made, "spec", None), EnvSpec):
        raise TypeError(f"{name} has no sizes; set self.spec = EnvSpec(...) in its __init__")
    if getattr(made, "batch_size", None) != batch_size:
        has = getattr(made, "batch_size", "none")
        raise ValueError(f"{name} was given batch_size={batch_size} and has {has}; set self.batch_size = batch_size")


def check_step(env: Env, step: Any, played: int) -> None:
    """Check the types and shapes of a step, and that each agent of a running episode may do something.

    Args:
        env: the environment that returned it.
        step: what it returned.
        played: number of env steps since the reset.

    Raises:
        EnvironmentFault: something is not as `Step` describes it.
    """
    B, N, A = env.batch_size, env.spec.n_agents, env.spec.n_actions
    where = f"{type(env).__name__}, {f'env step {played}' if played else 'reset'}"
    if not isinstance(step, Step):
        raise EnvironmentFault(f"{where}: it returned {type(step).__name__}; return a macpf.envs.base.Step")
    wanted: dict[str, tuple[tuple[int, ...], Any]] = {
        "obs": ((B, N, env.spec.obs_dim), np.float32),
        "state": ((B, env.spec.state_dim), np.float32),
        "available": ((B, N, A), np.bool_),
        "reward": ((B,), np.float32),
        "terminated": ((B,), np.bool_),
        "truncated": ((B,), np.bool_),
    }
    for name, (shape, kind) in wanted.items():
        _check_array(f"{where}: {name}", getattr(step, name), shape, np.dtype(kind), stored=name == "reward")
    record = env.record_type
    if (names := sorted(record.names or ())) != sorted(step.recorded):
        raise EnvironmentFault(
            f"{where}: its record has {', '.join(sorted(step.recorded))}; record_type says {', '.join(names)}"
        )
    for name in names:
        field = record[name]
        _check_array(f"{where}: record {name}", step.recorded[name], (B, *field.shape), field.base, stored=True)
    if not isinstance(step.info, Mapping):
        raise EnvironmentFault(f"{where}: info is {type(step.info).__name__}; return a dict")
    stuck = ~step.available.any(axis=2) & ~(step.terminated | step.truncated)[:, None]
    if stuck.any():
        b, agent = np.argwhere(stuck)[0]
        raise EnvironmentFault(f"{where}: agent {agent} of game {b} has no available action; an agent always has one")
    if not played and (step.terminated | step.truncated).any():
        raise EnvironmentFault(f"{where}: an episode is over before its first step; a reset starts new ones")


def check_length(env: Env, played: int) -> None:
    """Check that episodes that go on after some env steps may do so.

    Raises:
        EnvironmentFault: the limit of the environment's sizes was reached.
    """
    if played >= env.spec.episode_limit:
        raise EnvironmentFault(
            f"{type(env).__name__}, env step {played}: an episode goes on after its limit of {env.spec.episode_limit}; "
            "report it as truncated there, or give spec a larger episode_limit"
        )


def _check_array(what: str, array: Any, shape: tuple[int, ...], kind: np.dtype[Any], stored: bool) -> None:
    """Require an array of this shape and type; one that is only stored may be of a type that converts to it."""
    if not isinstance(array, np.ndarray):
        raise EnvironmentFault(f"{what} is {type(array).__name__}; return a numpy array {list(shape)} of {kind}")
    fits = np.can_cast(array.dtype, kind, "same_kind") if stored else array.dtype == kind
    if array.shape != shape or not fits:
        raise EnvironmentFault(f"{what} is {list(array.shape)} of {array.dtype}; return {list(shape)} of {kind}")
