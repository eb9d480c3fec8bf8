"""Which losses step which parameters, in which order: an update as data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeAlias

import torch
from jaxtyping import Float
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as checked
from torch import Tensor

from macpf.learning.optimisation import Optimiser


@checked(frozen=True, config=ConfigDict(extra="forbid"))
class UpdateStep:
    """One optimiser step.

    The losses are computed with the weights of the moment, so a step sees what the steps before it have moved.

    Attributes:
        losses: names of the losses whose sum is minimised.
        moves: groups of parameters that are stepped, or parts of them by their path (`actor.trunk`). What is not named
            stays as it is; what is named and has no gradient still decays its averages (see `Optimiser`).
    """

    losses: tuple[str, ...]
    moves: tuple[str, ...]


UpdatePlan: TypeAlias = tuple[UpdateStep, ...]


def chosen_plan(plan: str, plans: Mapping[str, UpdatePlan], losses: Collection[str]) -> UpdatePlan:
    """The plan of that name.

    Args:
        plan: which.
        plans: those that the configuration knows.
        losses: all that the algorithm has; each must be minimised by some step.

    Raises:
        ValueError: there is no such plan, or its losses are not the algorithm's.
    """
    if plan not in plans:
        raise ValueError(f"plan={plan} is not among plans; use {' or '.join(sorted(plans))}")
    named = {name for step in plans[plan] for name in step.losses}
    if named != set(losses):
        wrong = sorted(named - set(losses)), sorted(set(losses) - named)
        raise ValueError(
            f"plans.{plan} must name the losses {', '.join(sorted(losses))}; "
            + " and ".join(
                f"{what} {', '.join(names)}" for what, names in zip(("drop", "add"), wrong, strict=True) if names
            )
        )
    return plans[plan]


def follow(
    plan: UpdatePlan,
    optimiser: Optimiser,
    losses_of: Callable[[UpdateStep], Mapping[str, Float[Tensor, ""]]],
) -> dict[str, Float[Tensor, ""]]:
    """Take the steps of a plan.

    Args:
        plan: the steps, in their order.
        optimiser: takes them.
        losses_of: the losses that a step names, with the weights of the moment.

    Returns:
        The losses, each as it was when it was stepped, and every group's gradient norm before clipping, the mean over
        the steps that moved it; all under the names by which they are logged.
    """
    losses: dict[str, Tensor] = {}
    norms: dict[str, list[Tensor]] = {}
    for step in plan:
        now = losses_of(step)
        for name, norm in optimiser.step(torch.stack(list(now.values())).sum(), step.moves).items():
            norms.setdefault(name, []).append(norm)
        losses |= {f"train/loss/{name}": loss.detach() for name, loss in now.items()}
    return losses | {name: torch.stack(of_steps).mean() for name, of_steps in norms.items()}


def moved_by(plan: UpdatePlan) -> Sequence[str]:
    """All groups and parts that the plan names."""
    return [name for step in plan for name in step.moves]
