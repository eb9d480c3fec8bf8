"""Gradient steps and target networks."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeVar

import torch
from torch import Tensor, nn

from macpf.learning.rules import Adam, RMSprop, Rule

Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True)
class Part:
    """A slice of a group's flat parameter that an optimiser step may change on its own.

    Attributes:
        group: name of the group.
        parameter: the slice, a view of the group's flat parameter.
        gradient: its gradient, a view that backward passes write to.
    """

    group: str
    parameter: nn.Parameter
    gradient: Tensor


class Optimiser:
    """RMSprop over groups of modules, each clipped to its own global gradient norm.

    RMSprop works element by element, so this equals one optimiser for each group (PyMARL's settings: smoothing
    0.99, eps 1e-5). The parameters of a group become views of one flat tensor, and so do their gradients. A step then
    takes a handful of operations, regardless of the number of layers, which matters with networks this small.

    In a step that moves a group, parameters that get no gradient from the loss count as having gradient zero. They keep
    their values, but RMSprop's average of their squared gradients decays (as in PyTorch before 2.0, and so in the
    authors' code). In a step that names only parts of a group, the other parts do not change, and neither do their
    averages (as since PyTorch 2.0).

    Args:
        groups: the modules to optimise, by the name of their group.
        lr: RMSprop's learning rate.
        clip: largest global gradient norm of a group.
        moves: names that steps will use, of a group or of a module in it (`actor.trunk`); empty: the groups.

    Raises:
        ValueError: a name is not known, or the named parts of a group overlap or leave something out.
    """

    rules: type[Rule] = RMSprop

    def __init__(self, groups: Mapping[str, nn.Module], lr: float, clip: float, moves: Sequence[str] = ()) -> None:
        self.clip = clip
        self.groups = {name: flatten(module) for name, module in groups.items()}
        self.gradients: dict[str, Tensor] = {}
        for name, flat in self.groups.items():
            assert flat.grad is not None  # `flatten` made it
            self.gradients[name] = flat.grad
        self.parts: dict[str, Part] = {}
        for group, module in groups.items():
            own = list(dict.fromkeys(name for name in moves if name.startswith(f"{group}.")))
            self.parts |= self._parts(group, module, own)
        if unknown := [name for name in moves if name not in self.parts and name not in self.groups]:
            raise ValueError(f"moves={unknown[0]} is not known; use {', '.join(self.groups)}, or a module of one")
        self.rule = self.rules([part.parameter for part in self.parts.values()], lr)

    def _parts(self, group: str, module: nn.Module, names: Sequence[str]) -> dict[str, Part]:
        flat, gradient = self.groups[group], self.gradients[group]
        if not names:
            return {group: Part(group, flat, gradient)}
        own = list(module.parameters())
        starts = dict(zip(map(id, own), accumulate((p.numel() for p in own), initial=0), strict=False))
        parts = {}
        for name in names:
            try:
                members = list(module.get_submodule(name.removeprefix(f"{group}.")).parameters())
            except AttributeError as error:
                raise ValueError(f"moves={name}: {group} has no such module") from error
            first = starts[id(members[0])]
            here = slice(first, first + sum(p.numel() for p in members))
            parts[name] = Part(group, nn.Parameter(flat.data[here]), gradient[here])
        if sum(part.gradient.numel() for part in parts.values()) != flat.numel():
            raise ValueError(f"moves={', '.join(names)} must be all of {group}, and each part of it once")
        return parts

    def step(self, loss: Tensor, moves: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Take one gradient step on the loss; returns the gradient norms before clipping, for logging.

        Args:
            loss: a scalar.
            moves: names of the groups or parts to change, each group clipped as a whole; None: all.
        """
        named = list(self.groups) if moves is None else moves
        moving = {name: part for name, part in self.parts.items() if name in named or part.group in named}
        for gradient in self.gradients.values():
            gradient.zero_()
        loss.backward()
        norms = {}
        for group in dict.fromkeys(part.group for part in moving.values()):
            self.groups[group].grad = self.gradients[group]
            norms[f"train/gradient_norm/{group}"] = nn.utils.clip_grad_norm_(self.groups[group], self.clip)
        for name, part in self.parts.items():
            part.parameter.grad = part.gradient if name in moving else None
        self.rule.step()
        return norms


class AdamOptimiser(Optimiser):
    """The same with Adam, which also works element by element."""

    rules = Adam


def flatten(module: nn.Module) -> nn.Parameter:
    """Join a module's parameters and gradients in one flat parameter; the module's own become views of it."""
    parameters = list(module.parameters())
    flat = nn.Parameter(torch.cat([p.detach().flatten() for p in parameters]))
    flat.grad = torch.zeros_like(flat)
    start = 0
    for p in parameters:
        here = slice(start, start + p.numel())
        p.data, p.grad = flat.data[here].view_as(p), flat.grad[here].view_as(p)
        start += p.numel()
    return flat


def target_of(module: Module) -> Module:
    """A target network: a copy that takes no gradient."""
    return copy.deepcopy(module).requires_grad_(False)


class TargetUpdates:
    """Decides when a hard target update is due: `interval` episodes after the last one (PyMARL's rule)."""

    def __init__(self, interval: int) -> None:
        self.interval, self.last = interval, 0

    def due(self, episodes: int) -> bool:
        """Whether to update the target now, after this many episodes; if so, it counts as updated."""
        if episodes - self.last < self.interval:
            return False
        self.last = episodes
        return True
