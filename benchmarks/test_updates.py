"""CPU time of one update, in milliseconds and in trunk units; `python -m benchmarks.test_updates` prints the tables.

A trunk unit is the time of one shared trunk, forward and backward over all agents' rows of the same batch, measured in
the same run. The trunk is Linear(inputs, 64), ReLU, GRU(64, 64), Linear(64, actions), PyTorch's own. No learner can do
with less.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

import pytest
import torch
from torch import nn

from benchmarks.conftest import SHAPES, Shape, make_algorithm
from macpf.learning.schedules import Clock
from macpf.runs.allocation import keep_freed_memory

LARGE = [name for name in SHAPES if name != "matrix"]
ALGORITHMS = ["macpf", "fop", "qmix", "qplex", "vdn", "macpf_control", "macpf_nonlinear", "macpf_att", "qtran", "mappo"]


class Yardstick(nn.Module):
    """The trunk unit's network."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.input = nn.Linear(shape.O + shape.A + shape.N, 64)
        self.gru = nn.GRU(64, 64, batch_first=True)
        self.head = nn.Linear(64, shape.A)
        self.inputs = torch.randn(shape.B, shape.T + 1, shape.N, shape.O + shape.A + shape.N)

    def forward(self) -> torch.Tensor:
        B, T, N, _ = self.inputs.shape
        rows = torch.relu(self.input(self.inputs)).transpose(1, 2).reshape(B * N, T, 64)
        return self.head(self.gru(rows)[0].view(B, N, T, 64).transpose(1, 2))

    def once(self) -> None:
        """Forward and backward."""
        self().square().mean().backward()


def seconds(what: Callable[[], object], rounds: int = 5) -> float:
    """CPU seconds of a call: the median over some rounds."""
    times = []
    for _ in range(rounds):
        started = time.process_time()
        what()
        times.append(time.process_time() - started)
    return sorted(times)[rounds // 2]


@pytest.mark.parametrize("algo", ALGORITHMS)
@pytest.mark.parametrize("shape", LARGE)
def test_update(benchmark, algo, shape):
    sizes = SHAPES[shape]
    algorithm, batch = make_algorithm(algo, sizes, True), sizes.batch()
    algorithm.learn(batch, Clock())
    benchmark.pedantic(algorithm.learn, (batch, Clock()), rounds=5)
    benchmark.extra_info["trunk units"] = round(benchmark.stats.stats.median / seconds(Yardstick(sizes).once), 2)


@pytest.mark.parametrize("algo", ["macpf", "fop", "qmix", "qplex"])
def test_update_in_the_matrix_game(benchmark, algo):
    sizes = SHAPES["matrix"]
    algorithm, batch = make_algorithm(algo, sizes, False), sizes.batch()
    batch.terminated.fill_(1.0)
    benchmark(algorithm.learn, batch, Clock())


def random_lengths(shape: Shape) -> list[int]:
    """Random episode lengths between a quarter of the limit and the limit."""
    return torch.randint(shape.T // 4, shape.T + 1, (shape.B,), generator=torch.Generator().manual_seed(1)).tolist()


def table(algorithms: Sequence[str]) -> None:
    """Print milliseconds, trunk units, and the cost of an update of random lengths relative to one of full lengths."""
    print("| algorithm | shape | ms | trunk units | random lengths: time | random lengths: steps |")
    print("|---|---|---|---|---|---|")
    for algo in algorithms:
        for name in LARGE:
            shape = SHAPES[name]
            full, ragged = shape.batch(), shape.batch(random_lengths(shape))
            algorithm, yardstick = make_algorithm(algo, shape, True), Yardstick(shape)
            algorithm.learn(full, Clock())
            before = seconds(yardstick.once)
            whole, part = (seconds(partial(algorithm.learn, batch, Clock())) for batch in (full, ragged))
            unit = (before + seconds(yardstick.once)) / 2
            share = len(ragged.filled) / len(full.filled)
            cost = f"{1e3 * whole:.0f} | {whole / unit:.2f}"
            print(f"| {algo} | {name} | {cost} | {part / whole:.0%} | {share:.0%} |", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    keep_freed_memory()
    table(sys.argv[1:] or ALGORITHMS)
