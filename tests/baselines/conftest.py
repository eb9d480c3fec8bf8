"""QMIX and FOP of small sizes, whose targets differ from what learns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from baselines.fop import FOP
from baselines.qmix import QMIX
from macpf.experience.batch import EpisodeBatch
from macpf.learning.algorithm import Algorithm
from macpf.learning.networks import agent_inputs, last_actions
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
    "alpha": Schedule(start=0.5, end=0.05, per="env_steps", duration=1000, factor=None),
}


def made(algorithm: type[Algorithm], targets: str, *arguments: Any, **settings: Any) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(arguments[-1])
        learner = algorithm(*arguments, **settings)
        for p in getattr(learner, targets).parameters():
            p.data.add_(0.1 * torch.randn_like(p))
    return learner


@pytest.fixture(scope="session")
def make_qmix(sizes: Any) -> Callable[..., QMIX]:
    return lambda seed=0, **changes: made(
        QMIX, "target", changes.pop("sizes", sizes), "cpu", seed, **(COMMON | OF_QMIX | changes)
    )


@pytest.fixture(scope="session")
def make_fop(sizes: Any) -> Callable[..., FOP]:
    return lambda seed=0, **changes: made(
        FOP, "targets", changes.pop("sizes", sizes), "cpu", seed, **(COMMON | OF_FOP | changes)
    )


@pytest.fixture
def batch(sizes: Any, ragged_batch: Callable[..., EpisodeBatch]) -> EpisodeBatch:
    """Ragged; the first and one of the longest episodes are cut instead of terminated."""
    return ragged_batch(sizes, [3, 1, 4, 4], cut=[0, 3])


@pytest.fixture(scope="session")
def whole_inputs() -> Callable[[EpisodeBatch], torch.Tensor]:
    """What the agents' networks read at all T + 1 observations."""

    def inputs(batch: EpisodeBatch) -> torch.Tensor:
        return agent_inputs(batch.obs, last_actions(batch.actions, batch.length + 1), batch.available.shape[-1])

    return inputs


@pytest.fixture(scope="session")
def slow_goals(lambda_returns: Callable[..., list[float]]) -> Callable[..., torch.Tensor]:
    """Lambda-returns of all episodes; next_value[b, t] is the value after step t."""

    def goals(batch: EpisodeBatch, next_value: torch.Tensor, gamma: float, lambda_: float) -> torch.Tensor:
        result = torch.zeros_like(batch.reward)
        for b, L in enumerate(batch.filled.sum(dim=1).int().tolist()):
            ends = bool(batch.terminated[b, L - 1])
            rewards, values = batch.reward[b, :L].tolist(), next_value[b, :L].tolist()
            result[b, :L] = torch.tensor(lambda_returns(rewards, values, ends, gamma, lambda_))
        return result

    return goals


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
