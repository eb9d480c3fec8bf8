"""CPU time of one update, in milliseconds and in trunk units.

A trunk unit is one shared trunk, forward and backward over all agents' rows of the same batch, measured in the same
run: Linear(inputs, 64), ReLU, GRU(64, 64), Linear(64, actions). It stands for what any learner must at least do.
"""

from __future__ import annotations

import time

import pytest
import torch

from benchmarks.conftest import SHAPES, Shape, make_algorithm
from macpf.learning.networks import AgentNetwork
from macpf.learning.schedules import Clock

LARGE = [name for name in SHAPES if name != "matrix"]


def trunk_unit(shape: Shape, rounds: int) -> float:
    """CPU seconds of the yardstick: the median over some rounds."""
    network = AgentNetwork(shape.O + shape.A + shape.N, shape.A, 64, recurrent=True)
    inputs = torch.randn(shape.B, shape.T + 1, shape.N, shape.O + shape.A + shape.N)
    times = []
    for _ in range(rounds):
        started = time.process_time()
        network(inputs)[0].square().mean().backward()
        times.append(time.process_time() - started)
    return sorted(times)[rounds // 2]


@pytest.mark.parametrize("algo", ["macpf", "fop", "qmix"])
@pytest.mark.parametrize("shape", LARGE)
def test_update(benchmark, algo, shape):
    sizes = SHAPES[shape]
    algorithm, batch = make_algorithm(algo, sizes, recurrent=True), sizes.batch()
    algorithm.learn(batch, Clock())
    benchmark.pedantic(algorithm.learn, (batch, Clock()), rounds=5)
    unit = trunk_unit(sizes, rounds=5)
    benchmark.extra_info["trunk units"] = round(benchmark.stats.stats.median / unit, 2)
    print(f"\n{algo} {shape}: {benchmark.stats.stats.median * 1e3:.1f} ms, {benchmark.extra_info['trunk units']} units")


@pytest.mark.parametrize("algo", ["macpf", "fop", "qmix"])
def test_update_in_the_matrix_game(benchmark, algo):
    sizes = SHAPES["matrix"]
    algorithm, batch = make_algorithm(algo, sizes, recurrent=False), sizes.batch()
    batch.terminated.fill_(1.0)
    benchmark(algorithm.learn, batch, Clock())
