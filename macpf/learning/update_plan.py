"""Update plans: which losses change which parameters, and in which order."""

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

    The losses are computed with the current weights, so a step sees the changes of earlier steps.

    Attributes:
        losses: names of the losses whose sum is minimised.
        moves: names of the groups of parameters to change, or of parts of them by their path (`actor.trunk`). Parts
            that are not named do not change. Averages of named parameters without a gradient decay (see `Optimiser`).
    """

    losses: tuple[str, ...]
    moves: tuple[str, ...]


UpdatePlan: TypeAlias = tuple[UpdateStep, ...]


def chosen_plan(plan: str, plans: Mapping[str, UpdatePlan], losses: Collection[str]) -> UpdatePlan:
    """The plan with this name.

    Args:
        plan: its name.
        plans: all plans in the configuration, by name.
        losses: names of all losses of the algorithm; each must occur in some step.

    Raises:
        ValueError: there is no such plan, or its losses are not those of the algorithm.
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
        plan: the steps, in order.
        optimiser: the optimiser of all groups.
        losses_of: computes the losses of a step with the current weights.

    Returns:
        Metrics by the names under which they are logged: each loss before its (last) step, and each group's gradient
        norm before clipping, averaged over the steps that changed it.
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
