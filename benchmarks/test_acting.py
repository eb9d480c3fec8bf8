"""Time of choosing the actions of one env step; `python -m benchmarks.test_acting` prints the table."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
import torch

from benchmarks.conftest import SHAPES, make_algorithm
from benchmarks.test_updates import seconds
from macpf.experience.batch import Observation
from macpf.learning.schedules import Clock
from macpf.runs.allocation import keep_freed_memory

ALGORITHMS = ["macpf", "macpf_control", "fop", "qmix", "qplex", "mappo"]
LARGE = [name for name in SHAPES if name != "matrix"]


def acting(algo: str, shape: str, B: int) -> Callable[[], object]:
    """A call that chooses exploring actions for B teams in the middle of an episode."""
    s = SHAPES[shape]
    algorithm = make_algorithm(algo, s, True)
    observation = Observation(
        torch.randn(B, s.N, s.O), torch.randn(B, s.S), torch.rand(B, s.N, s.A) < 0.5, torch.ones(B, s.N, s.N).bool()
    )
    observation.available[..., 0] = True
    _, memory = algorithm.act(observation, algorithm.start(B), Clock())
    return lambda: algorithm.act(observation, memory, Clock())


@pytest.mark.parametrize("algo", ALGORITHMS)
@pytest.mark.parametrize("shape", LARGE)
def test_acting(benchmark, algo, shape):
    benchmark(acting(algo, shape, B=1))


if __name__ == "__main__":
    torch.set_num_threads(1)
    keep_freed_memory()
    print("Milliseconds per env step of all B teams together.\n\n| algorithm | B | 3 agents | 10 agents | 27 agents |")
    print("|---|---|---|---|---|")
    for algo in sys.argv[1:] or ALGORITHMS:
        for B in (1, 8, 32):
            times = [1e3 * seconds(acting(algo, shape, B), rounds=301) for shape in LARGE]
            print(f"| {algo} | {B} | " + " | ".join(f"{t:.2f}" for t in times) + " |", flush=True)
