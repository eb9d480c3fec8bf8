"""How episodes are kept: rows of numbers, one for each env step, that become a batch when they are learnt from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Int

from macpf.envs.base import Env
from macpf.experience.batch import EpisodeBatch

#: An episode of L env steps as L + 1 rows of `row_type`; the last row holds what was seen after the last action.
Episode: TypeAlias = np.ndarray
#: `Env.expand`.
Expand: TypeAlias = Callable[[dict[str, np.ndarray]], tuple[np.ndarray, np.ndarray, np.ndarray]]
#: What follows from a row's step having been played; everything else of a row is the environment's record.
PLAYED = ("reward", "actions", "terminated")


def row_type(env: Env) -> np.dtype[np.void]:
    """One env step as it is kept: the environment's record at its own precision, the reward, actions, ending."""
    record = env.record_type
    fields = [(name, record[name]) for name in record.names or ()]
    played = [("reward", np.float32), ("actions", np.int16, (env.spec.n_agents,)), ("terminated", np.bool_)]
    return np.dtype([*fields, *played], align=True)


def as_batch(rows: np.ndarray, lengths: Int[np.ndarray, "B"], expand: Expand) -> EpisodeBatch:
    """Episodes as learners see them, in arrays of their own.

    Args:
        rows: [B, T + 1] rows, zeros after each episode's last.
        lengths: [B] env steps of the episodes, the longest of them T.
        expand: the environment's.
    """

    def field(name: str) -> np.ndarray:
        return np.ascontiguousarray(rows[name])

    obs, state, available = expand({name: field(name) for name in rows.dtype.names or () if name not in PLAYED})
    steps, ends = np.arange(rows.shape[1]), lengths[:, None]
    return EpisodeBatch(
        obs=torch.from_numpy(obs),
        state=torch.from_numpy(state),
        available=torch.from_numpy(available | (steps > ends)[:, :, None, None]),
        actions=torch.from_numpy(rows["actions"][:, :-1].astype(np.int64)),
        reward=torch.from_numpy(rows["reward"][:, :-1].astype(np.float32)),
        terminated=torch.from_numpy(rows["terminated"][:, :-1].astype(np.float32)),
        filled=torch.from_numpy((steps < ends)[:, :-1].astype(np.float32)),
    )
