"""Synthetic batches at the shapes by which peers' learners were measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
import pytest
import torch
from hydra import compose, initialize_config_dir

from macpf.envs.base import EnvSpec
from macpf.experience.batch import EpisodeBatch
from macpf.learning.algorithm import Algorithm

CONF = Path(__file__).parents[1] / "conf"


@dataclass(frozen=True)
class Shape:
    """Sizes of one synthetic task: B episodes of T env steps."""

    B: int
    T: int
    N: int
    O: int
    S: int
    A: int

    @property
    def spec(self) -> EnvSpec:
        return EnvSpec(self.N, self.A, self.O, self.S, self.T, "return")

    def batch(self) -> EpisodeBatch:
        """Full-length episodes, cut by their time limit, so that every step counts and the last is bootstrapped."""
        torch.manual_seed(0)
        return EpisodeBatch(
            obs=torch.randn(self.B, self.T + 1, self.N, self.O),
            state=torch.randn(self.B, self.T + 1, self.S),
            available=torch.ones(self.B, self.T + 1, self.N, self.A, dtype=torch.bool),
            actions=torch.randint(self.A, (self.B, self.T, self.N)),
            reward=torch.randn(self.B, self.T),
            terminated=torch.zeros(self.B, self.T),
            filled=torch.ones(self.B, self.T),
        )


SHAPES = {
    "matrix": Shape(64, 1, 2, 1, 1, 4),
    "small": Shape(32, 60, 3, 40, 60, 9),
    "MMM2-like": Shape(32, 120, 10, 176, 322, 18),
    "27m-like": Shape(32, 120, 27, 285, 1170, 36),
}


def make_algorithm(name: str, shape: Shape, recurrent: bool) -> Algorithm:
    """An algorithm at its configured settings."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg: Any = compose("config", [f"algo={name}", f"algo.learner.recurrent={recurrent}"])
    torch.manual_seed(0)
    factory = hydra.utils.instantiate(cfg.algo.learner, _partial_=True, _convert_="all")
    return factory(sizes=shape.spec, device="cpu", seed=0)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
