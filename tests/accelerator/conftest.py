"""Every algorithm at its configured settings, and episodes that end at all kinds of moments."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import hydra
import pytest
import torch
from torch import Tensor

from macpf.configuration import compose
from macpf.envs.base import EnvSpec
from macpf.experience.batch import EpisodeBatch
from macpf.learning.algorithm import Algorithm

RELEASE = ["profile=release", "env=smac", "map=3m", "env.backend=embedded"]
RECURRENT = "algo.learner.recurrent=true"
#: Each algorithm and every way of making an update that has code of its own.
CASES = {
    "macpf": ["algo=macpf", RECURRENT],
    "macpf, release": ["algo=macpf", *RELEASE],
    "macpf, mixed over available": ["algo=macpf", *RELEASE, "algo.learner.epsilon_mixing=available"],
    "macpf, not recurrent": ["algo=macpf", "algo.learner.recurrent=false"],
    "macpf, lambda": ["algo=macpf", RECURRENT, "algo.learner.td_lambda=0.8"],
    "macpf_control": ["algo=macpf_control", RECURRENT],
    "macpf_nonlinear": ["algo=macpf_nonlinear", RECURRENT],
    "macpf_att": ["algo=macpf_att", RECURRENT],
    "macpf_att, padded mean": ["algo=macpf_att", RECURRENT, "algo.learner.attention_mean=padded"],
    "macpf_theorem2": ["algo=macpf_theorem2", RECURRENT],
    "fop": ["algo=fop", RECURRENT],
    "fop, release": ["algo=fop", *RELEASE],
    "qmix": ["algo=qmix", RECURRENT],
    "qplex": ["algo=qplex", RECURRENT],
    "qplex, release": ["algo=qplex", *RELEASE],
    "qtran": ["algo=qtran", RECURRENT],
    "vdn": ["algo=vdn", RECURRENT],
    "central": ["algo=central", RECURRENT],
    "mappo": ["algo=mappo", RECURRENT],
    "mappo, three minibatches": ["algo=mappo", RECURRENT, "algo.learner.num_minibatches=3"],
}
SIZES = EnvSpec(n_agents=3, n_actions=4, obs_dim=5, state_dim=8, episode_limit=12, score="return", agent_feature_dim=2)


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> str:
    """The name of a case."""
    return request.param


@pytest.fixture(scope="session")
def make_learner() -> Callable[..., Algorithm]:
    """The algorithm of a case."""

    @functools.cache
    def factory(case: str) -> Callable[..., Algorithm]:
        return hydra.utils.instantiate(compose(*CASES[case]).algo.learner, _partial_=True, _convert_="all")

    def make(case: str, device: str = "cpu", sizes: EnvSpec = SIZES) -> Algorithm:
        torch.manual_seed(0)
        return factory(case)(sizes=sizes, device=device, seed=0)

    return make


@pytest.fixture(scope="session")
def episodes(ragged_batch: Callable[..., EpisodeBatch]) -> Callable[..., EpisodeBatch]:
    """Episodes that terminate or are cut, as the case reads them."""

    def make(
        algorithm: Algorithm, seed: int = 0, lengths: Sequence[int] = (9, 8, 5, 3, 1), sizes: EnvSpec = SIZES
    ) -> EpisodeBatch:
        # With the row after the end everywhere for those who read it: the helper leaves it out where not cut.
        cut = range(5) if getattr(algorithm, "reads_after_end", False) else (1, 3)
        return ragged_batch(sizes, lengths, cut=cut, seed=seed)

    return make


@pytest.fixture
def same_noise(monkeypatch: pytest.MonkeyPatch, fixed_noise: Callable[..., Tensor]) -> None:
    """The same noise in the same rows, however many rows there are behind them; sent to its device only once."""
    sent = functools.cache(lambda shape, device: fixed_noise(shape).to(device))

    def noise(shape: Sequence[int], generator: torch.Generator) -> Tensor:
        return sent(tuple(shape), generator.device)

    for module in ("macpf.method.learner", "baselines.fop", "baselines.central", "baselines.mappo"):
        monkeypatch.setattr(f"{module}.gumbel", noise)
