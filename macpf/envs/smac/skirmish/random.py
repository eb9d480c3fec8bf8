"""A random stream for each battle in compiled code: splitmix64."""

from __future__ import annotations

import numpy as np

from macpf.envs.smac.skirmish.compiled import compiled

GAMMA = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
SHIFT_30, SHIFT_27, SHIFT_31, SHIFT_11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)


@compiled
def uniform(streams, b):  # type: ignore[no-untyped-def]
    """The next uniform random number in [0, 1) from the stream of battle b."""
    streams[b] += GAMMA
    z = streams[b]
    z = (z ^ (z >> SHIFT_30)) * FIRST
    z = (z ^ (z >> SHIFT_27)) * SECOND
    z = z ^ (z >> SHIFT_31)
    return (z >> SHIFT_11) * (1.0 / 9007199254740992.0)


def new_streams(seed: int, batch_size: int) -> np.ndarray:
    """[B] states of the streams; that of battle b depends only on the seed and b, not on the size of the batch."""
    roots = [np.random.SeedSequence(seed, spawn_key=(b,)).generate_state(1, np.uint64)[0] for b in range(batch_size)]
    return np.array(roots, dtype=np.uint64)
