"""A full replay of the paper's 5,000 episodes on the largest map: its memory, a sample, a periodic save.

27m_vs_30m has 27 agents, 36 actions and 180 steps. The record of a step is the 312 numbers of the unit table. A
stand-in expands it to as many numbers as the map's observations and states have. Needs 1.3 GB of memory and of disk.
"""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from benchmarks.conftest import Shape, make_algorithm
from macpf.experience.journal import Journal
from macpf.experience.replay import Replay, most_bytes
from macpf.learning.schedules import Clock
from macpf.records.owner import Owner
from macpf.runs import checkpoint

LARGEST = Shape(32, 180, 27, 285, 1170, 36)
UNITS, CAPACITY = 312, 5000
OWNER = Owner(key="macpf-s0", origin="0" * 32)
ROW = np.dtype(
    [
        ("units", np.float32, (UNITS,)),
        ("reward", np.float32),
        ("actions", np.int16, (LARGEST.N,)),
        ("terminated", np.bool_),
    ],
    align=True,
)


def expand(record):
    axes, x = record["units"].shape[:-1], record["units"][..., :1]
    obs = np.broadcast_to(x[..., None], (*axes, LARGEST.N, LARGEST.O)).copy()
    state = np.broadcast_to(x, (*axes, LARGEST.S)).copy()
    return obs, state, np.ones((*axes, LARGEST.N, LARGEST.A), dtype=bool)


def rss() -> int:
    return psutil.Process().memory_info().rss


@pytest.fixture(scope="module")
def full():
    """Twice as many episodes of 60 to 180 steps as fit, then 5,000 of 180 steps; prints how much memory that took."""
    before, replay = rss(), Replay(CAPACITY, 0, SimpleNamespace(expand=expand))
    random = np.random.default_rng(0)
    longest = np.zeros(LARGEST.T + 1, dtype=ROW)
    longest["units"] = random.random((LARGEST.T + 1, UNITS))
    most = 0
    for length in (*random.integers(60, 181, 2 * CAPACITY), *[LARGEST.T] * CAPACITY):
        replay.add([longest[: length + 1]])
        most = max(most, rss()) if replay.added % 100 == 0 else most
    expected = most_bytes(CAPACITY, LARGEST.T, ROW)
    assert replay.nbytes == expected
    print(f"\nmemory: {expected / 1e9:.2f} GB of episodes, at most {(most - before) / 1e9:.2f} GB taken for them")
    return replay


def test_sample(benchmark, full):
    benchmark.pedantic(full.sample, (LARGEST.B,), rounds=10, warmup_rounds=1)


def test_periodic_save(benchmark, full, tmp_path):
    """A save when 64 episodes were recorded since the last one: a minute of play at 190 env steps a second."""
    algorithm = make_algorithm("macpf", LARGEST, recurrent=True)
    algorithm.learn(replace(LARGEST, B=1, T=2).batch(), Clock())  # now the optimiser has its moments
    state = {"algorithm": algorithm.state_dict()}
    journal, rest = Journal(tmp_path / "episodes", ROW, str(OWNER)), iter(full.episodes)
    started = time.perf_counter()
    journal.append(next(rest) for _ in range(CAPACITY - 640))
    journal.sync()
    seconds = time.perf_counter() - started
    print(f"\njournal: {seconds / (CAPACITY - 640) * 1e3:.2f} ms an episode")

    def since_the_last():
        journal.append(next(rest) for _ in range(64))

    def save():
        replay = full.state_dict() | {"first": 0, "added": journal.next}
        checkpoint.save(tmp_path / "checkpoint.pt", OWNER, state | {"replay": replay}, journal)

    benchmark.pedantic(save, setup=since_the_last, rounds=8)
    started = time.perf_counter()
    episodes = journal.read(0, journal.next)
    print(f"resume: {len(episodes):,} episodes read in {time.perf_counter() - started:.1f} s")
    size = (tmp_path / "checkpoint.pt").stat().st_size
    print(f"checkpoint: {size / 1e6:.1f} MB")
