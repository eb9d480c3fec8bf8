"""Synthetic batches with the shapes on which other learners were measured as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import hydra
import pytest
import torch

from macpf.configuration import compose
from macpf.envs.base import EnvSpec
from macpf.experience.batch import EpisodeBatch
from macpf.learning.algorithm import Algorithm
from macpf.runs.allocation import keep_freed_memory


@dataclass(frozen=True)
class Shape:
    """Sizes of one synthetic task: B episodes of T env steps; F of each agent's state entries are its own features."""

    B: int
    T: int
    N: int
    O: int
    S: int
    A: int
    F: int = 0

    @property
    def spec(self) -> EnvSpec:
        return EnvSpec(self.N, self.A, self.O, self.S, self.T, "return", self.F)

    def batch(self, lengths: Sequence[int] | None = None) -> EpisodeBatch:
        """Episodes (full-length ones by default), cut by their time limit, so that the last step is bootstrapped."""
        torch.manual_seed(0)
        lengths = sorted(lengths or [self.T] * self.B, reverse=True)
        sizes = tuple(sum(length >= t for length in lengths) for t in range(lengths[0] + 1))
        R = sum(sizes)
        filled = [[float(t < length) for length in lengths[:size]] for t, size in enumerate(sizes)]
        return EpisodeBatch(
            sizes=sizes,
            obs=torch.randn(R, self.N, self.O),
            state=torch.randn(R, self.S),
            available=torch.ones(R, self.N, self.A, dtype=torch.bool),
            actions=torch.randint(self.A, (R, self.N)),
            reward=torch.randn(R),
            terminated=torch.zeros(R),
            filled=torch.tensor([f for of_time in filled for f in of_time]),
            visible=torch.rand(R, self.N, self.N) < 0.5,
        )


SHAPES = {
    "matrix": Shape(64, 1, 2, 1, 1, 4),
    "small": Shape(32, 60, 3, 40, 60, 9, 5),
    "MMM2-like": Shape(32, 120, 10, 176, 322, 18, 7),
    "27m-like": Shape(32, 120, 27, 285, 1170, 36, 4),
}


def make_algorithm(name: str, shape: Shape, recurrent: bool, *overrides: str, device: str = "cpu") -> Algorithm:
    """An algorithm at its configured settings."""
    cfg = compose(f"algo={name}", f"algo.learner.recurrent={str(recurrent).lower()}", *overrides)
    torch.manual_seed(0)
    factory = hydra.utils.instantiate(cfg.algo.learner, _partial_=True, _convert_="all")
    return factory(sizes=shape.spec, device=device, seed=0)


@pytest.fixture(autouse=True)
def _as_in_a_run() -> None:
    torch.set_num_threads(1)
    keep_freed_memory()
