"""The storage format of episodes: one row of numbers for each env step, expanded into a batch for learning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch

from macpf.envs.base import Env
from macpf.experience.batch import EpisodeBatch

#: An episode of L env steps as L + 1 rows of `row_type`; the last row has the observation after the last action.
Episode: TypeAlias = np.ndarray
#: Fields of a row about the env step taken from it; the other fields are the environment's record.
PLAYED = ("reward", "actions", "terminated")


def row_type(env: Env) -> np.dtype[np.void]:
    """The type of one stored env step: the environment's record at its own precision, reward, actions, termination."""
    record = env.record_type
    fields = [(name, record[name]) for name in record.names or ()]
    played = [("reward", np.float32), ("actions", np.int16, (env.spec.n_agents,)), ("terminated", np.bool_)]
    return np.dtype([*fields, *played], align=True)


def as_batch(episodes: Sequence[Episode], env: Env, visibility: bool = False, after_end: bool = False) -> EpisodeBatch:
    """A batch of episodes for learners, ordered by length, in new arrays.

    Args:
        episodes: episodes that were recorded in `env`.
        env: the environment, which expands their rows.
        visibility: whether to include `visible`.
        after_end: whether to include the row after the end of terminated episodes, which is never bootstrapped from.
    """
    valued = np.array([len(episode) - (not after_end and bool(episode["terminated"][-2])) for episode in episodes])
    order = np.argsort(-valued, kind="stable").tolist()
    episodes, n_rows = [episodes[b] for b in order], valued[order]
    times = np.arange(n_rows.sum()) - np.repeat(n_rows.cumsum() - n_rows, n_rows)
    played = times < np.repeat([len(episode) - 1 for episode in episodes], n_rows)
    as_bytes = [episode[:n].view(np.uint8).reshape(n, -1) for episode, n in zip(episodes, n_rows, strict=True)]
    by_time = np.argsort(times, kind="stable")
    rows = np.concatenate(as_bytes)[by_time].view(episodes[0].dtype)[:, 0]  # numpy copies bytes faster than fields

    def field(name: str) -> np.ndarray:
        return np.ascontiguousarray(rows[name])

    record = {name: field(name) for name in rows.dtype.names or () if name not in PLAYED}
    obs, state, available = (torch.from_numpy(array) for array in env.expand(record))
    return EpisodeBatch(
        sizes=tuple(np.bincount(times).tolist()),
        obs=obs,
        state=state,
        available=available,
        visible=torch.from_numpy(env.visible(record)) if visibility else None,
        actions=torch.from_numpy(rows["actions"].astype(np.int64)),
        reward=torch.from_numpy(field("reward")),
        terminated=torch.from_numpy(rows["terminated"].astype(np.float32)),
        filled=torch.from_numpy(played[by_time].astype(np.float32)),
    )
