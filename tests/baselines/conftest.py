"""Baselines of small sizes, whose targets differ from what learns."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from baselines.fop import FOP
from baselines.qmix import QMIX
from baselines.qplex import QPLEX
from baselines.qtran import QTRAN
from baselines.vdn import VDN
from macpf.configuration import compose
from macpf.experience.batch import EpisodeBatch
from macpf.learning.algorithm import Algorithm
from macpf.learning.schedules import Schedule

COMMON = {
    "gamma": 0.9,
    "td_lambda": 0.0,
    "lr": 1e-3,
    "clip": 1e9,  # so that the gradients after an update are those of the loss
    "hidden_dim": 8,
    "recurrent": True,
    "embed_dim": 7,
    "hypernet_dim": 6,
    "target_interval": 200,
}
OF_QMIX = {"epsilon": Schedule(start=1.0, end=0.05, per="env_steps", duration=1000, factor=None)}
OF_FOP = {
    "n_heads": 2,
    "n_kernels": 3,
    "attention_cost": 0.0,
    "attention_mean": "played",
    "terminal_entropy": False,
    "plan": "together",
    "plans": OmegaConf.to_container(compose("algo=fop").algo.learner.plans),
    "alpha": Schedule(start=0.5, end=0.05, per="env_steps", duration=1000, factor=None),
}


OF_QPLEX = OF_QMIX | {
    "n_heads": 2,
    "n_kernels": 3,
    "attention_cost": 0.0,
    "attention_mean": "played",
    "weighted_heads": False,
    "values_in_keys": False,
    "value_per_agent": False,
}
WITHOUT_MIXER = {name: value for name, value in COMMON.items() if name not in ("embed_dim", "hypernet_dim")}
OF_QTRAN = OF_QMIX | {"embed_dim": 7, "opt_cost": 1.0, "nopt_cost": 0.1}
VALUE_BASED = {
    "qmix": (QMIX, COMMON | OF_QMIX),
    "vdn": (VDN, WITHOUT_MIXER | OF_QMIX),
    "qplex": (QPLEX, COMMON | OF_QPLEX),
    "qtran": (QTRAN, WITHOUT_MIXER | OF_QTRAN),
}


def made(algorithm: type[Algorithm], targets: str, *arguments: Any, **settings: Any) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(arguments[-1])
        learner = algorithm(*arguments, **settings)
        for p in getattr(learner, targets).parameters():
            p.data.add_(0.1 * torch.randn_like(p))
    return learner


@pytest.fixture(scope="session")
def make_value_based(sizes: Any) -> Callable[..., Any]:
    """Any of the value-based baselines, by name."""

    def make(name: str, seed: int = 0, **changes: Any) -> Any:
        algorithm, settings = VALUE_BASED[name]
        return made(algorithm, "target", changes.pop("sizes", sizes), "cpu", seed, **(settings | changes))

    return make


@pytest.fixture(scope="session")
def make_qmix(make_value_based: Callable[..., Any]) -> Callable[..., QMIX]:
    return partial(make_value_based, "qmix")


@pytest.fixture(scope="session")
def make_fop(sizes: Any) -> Callable[..., FOP]:
    return lambda seed=0, **changes: made(
        FOP, "targets", changes.pop("sizes", sizes), "cpu", seed, **(COMMON | OF_FOP | changes)
    )


@pytest.fixture
def batch(sizes: Any, ragged_batch: Callable[..., EpisodeBatch]) -> EpisodeBatch:
    """Ragged; one of the longest episodes and another one are cut instead of terminated."""
    return ragged_batch(sizes, [4, 3, 4, 1], cut=[0, 1])


@pytest.fixture(scope="session")
def rows_of() -> Callable[[EpisodeBatch], list[list[int]]]:
    """The rows of every episode, in the order of time; of a cut one with that after its last action."""

    def rows(batch: EpisodeBatch) -> list[list[int]]:
        starts = [sum(batch.sizes[:t]) for t in range(len(batch.sizes))]
        return [
            [start + b for start, size in zip(starts, batch.sizes, strict=True) if b < size] for b in range(batch.size)
        ]

    return rows


@pytest.fixture(scope="session")
def slow_goals(lambda_returns: Callable[..., list[float]], rows_of: Any) -> Callable[..., torch.Tensor]:
    """Lambda-returns of all rows; value[r] is the value of the state in row r."""

    def goals(batch: EpisodeBatch, value: torch.Tensor, gamma: float, lambda_: float) -> torch.Tensor:
        result = torch.zeros_like(batch.reward)
        for rows in rows_of(batch):
            played = [r for r in rows if batch.filled[r]]
            ends = bool(batch.terminated[played[-1]])
            following = [value[r].item() for r in rows[1:]] + [0.0] * ends
            returns = lambda_returns(batch.reward[played].tolist(), following, ends, gamma, lambda_)
            result[played] = torch.tensor(returns)
        return result

    return goals


@pytest.fixture(scope="session")
def slow_values() -> Callable[..., torch.Tensor]:
    """Double Q-learning's value of every row: the live network chooses among available actions, the target values."""

    def values(learner: Any, q: torch.Tensor, batch: EpisodeBatch, joint: Callable[..., torch.Tensor]) -> torch.Tensor:
        result = torch.zeros_like(batch.reward)
        with torch.no_grad():
            target_q, _ = learner.target["agents"](learner.inputs_of(batch), batch.sizes)
            for r in range(len(result)):
                allowed = [[a for a, free in enumerate(of_agent) if free] for of_agent in batch.available[r].tolist()]
                best = [max(actions, key=lambda a, i=i: q[r, i, a].item()) for i, actions in enumerate(allowed)]
                result[r] = joint(learner.target["mixer"], target_q, best, r)
        return result

    return values


@pytest.fixture(scope="session")
def assert_gradients_of_last_update() -> Callable[..., None]:
    """Assert that an update left the gradients that `loss` gives to the parameters of `modules`."""

    def check(loss: torch.Tensor, modules: Any, before: list[torch.Tensor]) -> None:
        parameters = list(modules.parameters())
        expected = torch.autograd.grad(loss, before, allow_unused=True)
        for p, gradient in zip(parameters, expected, strict=True):
            wanted = torch.zeros_like(p) if gradient is None else gradient
            torch.testing.assert_close(p.grad, wanted, atol=1e-5, rtol=1e-3)

    return check
