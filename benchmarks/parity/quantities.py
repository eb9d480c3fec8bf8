"""What every algorithm computes from a case's batch with the case's first weights, under the golden files' names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from macpf.experience.batch import EpisodeBatch
from macpf.learning.networks import mask_unavailable
from macpf.learning.schedules import Clock
from macpf.method.policy import choose, log_policy

#: By name; [R, ...] each.
Quantities = dict[str, Tensor]


def of_macpf(learner: Any, batch: EpisodeBatch, clock: Clock, noise: dict[str, Tensor]) -> Quantities:
    """Policies, values at the actor's samples, joint values of what was played, targets."""
    alpha, mixing, passes = learner.alpha(clock), learner.mixing(clock), learner.passes(batch)
    logits, values, targets = passes.logits(False), passes.values(False), passes.target_values()
    found = {}
    for policy in learner.policies:
        sampled = choose(policy, logits, batch.available, noise[policy], mixing=mixing)
        log_pi = log_policy(policy, logits, sampled, batch.available, mixing)
        q, mix = values
        found |= {
            f"{policy}_sampled_by_actor": sampled,
            f"{policy}_sampled_by_critic": sampled,
            f"{policy}_policy": log_pi.exp(),
            f"{policy}_q": q.of(policy, sampled),
            f"{policy}_joint": mix(q.of(policy, batch.actions), batch.actions, alpha)[0],
            f"{policy}_target": learner.goals(policy, batch, targets, sampled, log_pi, alpha),
        }
    return found


def of_fop(learner: Any, batch: EpisodeBatch, clock: Clock, noise: dict[str, Tensor]) -> Quantities:
    """Policy, its sample, both critics' values and joint values, target."""
    alpha, inputs = learner.alpha(clock), learner.inputs_of(batch)
    log_pi = mask_unavailable(learner.actor(inputs, batch.sizes)[0], batch.available).log_softmax(dim=-1)
    found = {"policy": log_pi.exp(), "sampled": (log_pi + noise["independent"]).argmax(dim=-1)}
    for k, critic in enumerate(learner.critics, start=1):
        found[f"q_{k}"], found[f"joint_{k}"], _ = critic(inputs, batch, batch.actions, alpha)
    return found | {"target": learner.goals(batch, inputs, log_pi, alpha)}


def of_value_based(learner: Any, batch: EpisodeBatch, clock: Clock, noise: dict[str, Tensor]) -> Quantities:
    """Utilities, joint values of what was played, targets."""
    inputs = learner.inputs_of(batch)
    q, _ = learner.live["agents"](inputs, batch.sizes)
    joint, _ = learner.joint_value(learner.live["mixer"], q, batch.actions, batch)
    return {"q": q, "joint": joint, "target": learner.goals(batch, inputs, q)}


def of_qtran(learner: Any, batch: EpisodeBatch, clock: Clock, noise: dict[str, Tensor]) -> Quantities:
    """The same; its joint value is the free one, not the transformed one that the agents' utilities make up."""
    features, _ = learner.live["agents"].trunk(learner.inputs_of(batch), batch.sizes)
    joint = learner.live["mixer"](features, batch.actions, batch.state)
    return of_value_based(learner, batch, clock, noise) | {"joint": joint}


def of_mappo(learner: Any, batch: EpisodeBatch, clock: Clock, noise: dict[str, Tensor]) -> Quantities:
    """Log-probabilities of what was played, values, returns, advantages; [R, N] each."""
    samples = learner.samples_of(batch)
    return {
        name: getattr(samples, name).view(batch.actions.shape)
        for name in ("log_probs", "values", "returns", "advantages")
    }


OF: dict[str, Callable[[Any, EpisodeBatch, Clock, dict[str, Tensor]], Quantities]] = {
    "macpf": of_macpf,
    "fop": of_fop,
    "qmix": of_value_based,
    "vdn": of_value_based,
    "qplex": of_value_based,
    "qtran": of_qtran,
    "mappo": of_mappo,
}


def mask(name: str, batch: EpisodeBatch, shape: tuple[int, ...]) -> np.ndarray:
    """Where a quantity is meaningful: in steps that were played, for policies also only for available actions.

    MAPPO's advantages are so only for agents that have a choice.
    """
    played = (batch.filled > 0).numpy().reshape(-1, *[1] * (len(shape) - 1))
    if name.endswith("policy"):
        return played & batch.available.numpy()
    if name == "advantages":
        return played & (batch.available.sum(dim=-1) > 1).numpy()
    return np.broadcast_to(played, shape)


def losses_of(learner: Any, batch: EpisodeBatch, clock: Clock) -> dict[str, Tensor]:
    """All losses that an update minimises, at the current weights."""
    if hasattr(learner, "mixing"):
        return dict(learner.losses(batch, learner.alpha(clock), learner.mixing(clock)))
    return dict(learner.losses(batch, learner.alpha(clock)) if hasattr(learner, "alpha") else learner.losses(batch))


def gradients_of(loss: Tensor, learner: Any) -> dict[str, Tensor]:
    """A loss's gradient, by the parameters' names; zeros where there is none."""
    named = {name: p for name, p in learner.named_parameters() if p.requires_grad}
    found = torch.autograd.grad(loss, list(named.values()), retain_graph=True, allow_unused=True)
    return {name: torch.zeros_like(p) if g is None else g for (name, p), g in zip(named.items(), found, strict=True)}
