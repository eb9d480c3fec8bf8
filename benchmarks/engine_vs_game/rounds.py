"""Rounds of battles on the embedded engine, and tables of their results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from macpf.envs.smac.scripted import Policy
from macpf.envs.smac.skirmish.battles import Skirmish

#: Battles of a round.
BATCH = 50


class Round(NamedTuple):
    """The results of one battle in each environment of a batch."""

    won: Bool[np.ndarray, " B"]
    returns: Float[np.ndarray, " B"]
    lengths: Float[np.ndarray, " B"]


def rounds(env: Skirmish, episodes: int, new_policy: Callable[[], Policy]) -> Iterator[Round]:
    """Play at least `episodes` battles, in rounds of one for each environment of the batch, each by a new policy."""
    for _ in range(-(-episodes // env.batch_size)):
        decide, step = new_policy(), env.reset()
        total, length = np.zeros(env.batch_size), np.zeros(env.batch_size)
        over = np.zeros(env.batch_size, dtype=np.bool_)
        while not over.all():
            step = env.step(decide(env, step))
            total += step.reward
            length += ~over
            over = step.terminated | step.truncated
        yield Round(step.info["battle_won"], total, length)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
