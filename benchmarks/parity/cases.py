"""A golden case: what an author's code computed, and this suite's learner at the same weights on the same batch.

A case is a `.json` (settings) and a `.npz` (numbers); tests/parity/README.md says what they hold.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle
from pathlib import Path
from typing import Any
from unittest import mock

import hydra
import numpy as np
import torch
from torch import Tensor

from macpf.configuration import compose
from macpf.envs.base import EnvSpec
from macpf.experience.batch import EpisodeBatch
from macpf.learning.schedules import Clock

#: Settings of an author's run beyond those in the case's file, by case.
AS_RELEASED = {
    "qplex": ["profile=release", "algo.learner.target_interval=200"],  # num_circle 1
    "qplex_weighted": ["profile=release", "algo.learner.target_interval=200"],
    "qplex_state": ["profile=release", "algo.learner.target_interval=200", "algo.learner.value_per_agent=true"],
    "fop": ["profile=release"],
}


@dataclass(frozen=True)
class Case:
    """One golden case.

    Attributes:
        path: the JSON file.
        changes: settings of the learner beyond the author's, `name=value` each.
        old: whether to use the updates with RMSprop before PyTorch 2.0, whose averages decay at a gradient of zero.
    """

    path: Path
    changes: tuple[str, ...] = ()
    old: bool = False

    @classmethod
    def of(cls, path: Path) -> list[Case]:
        """The case of a JSON file; MACPF's twice, with both behaviours of RMSprop."""
        if json.loads(path.read_text())["algorithm"] == "macpf":
            return [cls(path, old=True), cls(path, ("plan=in_turn_skipping",))]
        return [cls(path)]

    @property
    def name(self) -> str:
        """The file's name, and what is changed."""
        return " ".join([self.path.stem, *self.changes])

    @property
    def algorithm(self) -> str:
        """The suite's name of the algorithm."""
        return str(self.about["algorithm"]).split()[0]

    @cached_property
    def about(self) -> dict[str, Any]:
        """The settings."""
        about: dict[str, Any] = json.loads(self.path.read_text())
        return about

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """All numbers."""
        with np.load(self.path.with_suffix(".npz")) as found:
            return dict(found)

    def recorded(self, name: str) -> np.ndarray:
        """An array of the ten updates, for the version of RMSprop that `old` selects."""
        kind, _, rest = name.partition("/")
        old = f"{kind}/old/{rest}" if kind == "steps" else f"old/{name}"
        return self.arrays[old if self.old else name]

    def parameters(self, vector: np.ndarray) -> dict[str, Tensor]:
        """A vector of weights or gradients, by the parameters' names."""
        found, start = {}, 0
        for name, shape in self.about["parameters"]:
            size = int(np.prod(shape))
            if start < len(vector):
                found[name] = torch.from_numpy(vector[start : start + size].reshape(shape))
            start += size
        return found

    def learner(self) -> Any:
        """The suite's learner at the case's first weights, in PyTorch's default precision."""
        released = AS_RELEASED.get(self.path.stem.rpartition("_")[0], [])
        changes = [f"algo.learner.{change}" for change in self.changes]
        cfg = compose(*self.about["overrides"], *released, *changes)
        make = hydra.utils.instantiate(cfg.algo.learner, _partial_=True, _convert_="all")
        learner = make(sizes=EnvSpec(**self.about["sizes"], score="return"), device="cpu", seed=0)
        wide = {name[5:]: torch.from_numpy(a) for name, a in self.arrays.items() if name.startswith("wide/")}
        for name, value in (self.parameters(self.arrays["before"]) | wide).items():
            learner.get_parameter(name).data.copy_(value)
        return learner

    def rows(self, learner: Any) -> np.ndarray:
        """Which of the recorded rows the learner's batches have."""
        kept = np.ones_like(self.arrays["batch/after_end"])
        return kept if learner.reads_after_end else ~self.arrays["batch/after_end"]

    def batch(self, learner: Any) -> EpisodeBatch:
        """The batch, in PyTorch's default precision."""
        kept = self.rows(learner)
        fields = {}
        for name, array in self.arrays.items():
            if name.startswith("batch/") and name not in ("batch/sizes", "batch/after_end"):
                rows = torch.from_numpy(array[kept])
                fields[name[6:]] = rows.to(torch.get_default_dtype()) if rows.is_floating_point() else rows
        time = np.repeat(np.arange(len(self.arrays["batch/sizes"])), self.arrays["batch/sizes"])[kept]
        return EpisodeBatch(sizes=tuple(np.bincount(time).tolist()), **fields)

    def clocks(self) -> list[Clock]:
        """The time of each update."""
        clock = self.about["clock"]
        return [Clock(*times) for times in zip(clock["env_steps"], clock["episodes"], range(10), strict=True)]

    def noise(self, learner: Any) -> dict[str, Tensor]:
        """The recorded Gumbel noise of each policy's samples, for the rows of the learner's batches."""
        kept, dtype = self.rows(learner), torch.get_default_dtype()
        named = ((name[6:], array) for name, array in self.arrays.items() if name.startswith("noise/"))
        return {policy: torch.from_numpy(array[kept]).to(dtype) for policy, array in named}

    @contextlib.contextmanager
    def same_noise(self, learner: Any) -> Iterator[None]:
        """Let the learner sample with the recorded noise, of the two policies in turn."""
        noise = self.noise(learner)
        modules = {"macpf": "macpf.method.learner", "fop": "baselines.fop"}
        if self.algorithm not in modules:
            yield
            return
        in_turn = cycle([noise[policy] for policy in ("independent", "dependent") if policy in noise])
        with mock.patch(f"{modules[self.algorithm]}.gumbel", side_effect=in_turn):
            yield


@contextlib.contextmanager
def precision(dtype: torch.dtype) -> Iterator[None]:
    """Compute in this precision."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
