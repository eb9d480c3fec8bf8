"""A MACPF learner of small sizes, and the conditional network written out agent by agent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor
from torch.nn import functional as F

from macpf.configuration import compose
from macpf.learning.schedules import Schedule
from macpf.method.conditional import ConditionalNetwork
from macpf.method.learner import MACPF


def configured(algo: str) -> Any:
    """The learner's settings in conf/."""
    return OmegaConf.to_container(compose(f"algo={algo}").algo.learner)


@pytest.fixture(scope="session")
def settings() -> dict[str, Any]:
    return {
        "gamma": 0.9,
        "td_lambda": 0.0,
        "lr": 1e-3,
        "clip": 10.0,
        "hidden_dim": 8,
        "recurrent": True,
        "mixer": "linear",
        "conditional": True,
        "dependency_set": "predecessors",
        "trunk_gradient": False,
        "entropy": "joint",
        "terminal_entropy": False,
        "epsilon": Schedule(start=0.0, end=0.0, per="env_steps", duration=1, factor=None),
        "epsilon_mixing": "none",
        "embed_dim": 7,
        "hypernet_dim": 6,
        "target_interval": 200,
        "alpha": Schedule(start=0.5, end=0.05, per="env_steps", duration=1000, factor=None),
        "alpha_rule": "shared",
        "uniform_share": 0.0,
        "attention_mean": "played",
        "plan": "together",
        "plans": configured("macpf")["plans"],
        "independent_target": "independent",
    }


@pytest.fixture(scope="session")
def make_macpf(sizes: Any, settings: dict[str, Any]) -> Callable[..., MACPF]:
    """A learner with random parameters; its target differs from its critic."""

    def make(seed: int = 0, **changes: Any) -> MACPF:
        if changes.get("conditional") is False:
            changes.setdefault("plans", configured("macpf_control")["plans"])
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            learner = MACPF(changes.pop("sizes", sizes), "cpu", seed, **(settings | changes))
            for p in learner.target.parameters():
                p.data.add_(0.1 * torch.randn_like(p))
        return learner

    return make


@pytest.fixture(scope="session")
def slow_row() -> Callable[..., Tensor]:
    """dep_i(. | tau_i, a_j for some j) of one agent in one row, from the weights: e_j, p_i, c_i one after the other."""

    def row(network: ConditionalNetwork, features: Tensor, i: int, others: dict[int, int]) -> Tensor:
        N, A = network.n_agents, network.n_actions
        pooled = torch.zeros(network.trunk.hidden_dim)
        for j, action in others.items():
            id_and_action = torch.zeros(N + A)
            id_and_action[j] = 1.0
            id_and_action[N + action] = 1.0
            pooled = pooled + F.elu(network.embedding(id_and_action)) / N
        correction = network.correction(torch.cat([features[i], pooled]))
        return network.independent(features[i]) + correction

    return row


@pytest.fixture(scope="session")
def slow_dependent(slow_row: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The dependent outputs of all agents in all rows, [R, N, A], by loops; `sees[r][i]` names whom agent i sees."""

    @torch.no_grad()
    def outputs(network: ConditionalNetwork, features: Tensor, actions: Tensor, sees: Any = None) -> Tensor:
        R, N, _ = features.shape
        result = torch.zeros(R, N, network.n_actions)
        for r in range(R):
            for i in range(N):
                others = range(i) if sees is None else [j for j in range(N) if sees[r][i][j]]
                result[r, i] = slow_row(network, features[r], i, {j: int(actions[r, j]) for j in others})
        return result

    return outputs


@pytest.fixture(scope="session")
def slow_choice(slow_row: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Agent after agent takes the best available of its outputs plus noise, by loops."""

    @torch.no_grad()
    def choose(
        network: ConditionalNetwork, features: Tensor, available: Tensor, noise: Tensor | None, sees: Any = None
    ) -> Tensor:
        R, N, _ = features.shape
        chosen = torch.zeros(R, N, dtype=torch.long)
        for r in range(R):
            before: dict[int, int] = {}
            for i in range(N):
                known = before if sees is None else {j: a for j, a in before.items() if sees[r][i][j]}
                scores = slow_row(network, features[r], i, known)
                if noise is not None:
                    scores = scores + noise[r, i]
                allowed = [a for a in range(len(scores)) if available[r, i, a]]
                before[i] = max(allowed, key=scores.tolist().__getitem__)
            chosen[r] = torch.tensor(list(before.values()))
        return chosen

    return choose
