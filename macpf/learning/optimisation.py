"""Gradient steps and target networks."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)


class Optimiser:
    """RMSprop over groups of modules, each clipped to its own global gradient norm.

    RMSprop works element by element, so this equals one optimiser for each group (PyMARL's settings: smoothing
    0.99, eps 1e-5). The parameters of a group become views of one flat tensor, and so do their gradients: a step is
    a handful of operations however many layers there are, which matters with networks this small.
    """

    def __init__(self, groups: Mapping[str, nn.Module], lr: float, clip: float) -> None:
        self.clip = clip
        self.groups = {name: flatten(module) for name, module in groups.items()}
        self.rule = self._rule(list(self.groups.values()), lr)

    def _rule(self, parameters: list[nn.Parameter], lr: float) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(parameters, lr=lr, alpha=0.99, eps=1e-5, foreach=False)

    def step(self, loss: Tensor) -> dict[str, Tensor]:
        """Minimise the loss by one step; returns each group's gradient norm before clipping."""
        self.rule.zero_grad(set_to_none=False)
        loss.backward()
        norms = {
            f"train/gradient_norm/{name}": nn.utils.clip_grad_norm_(flat, self.clip)
            for name, flat in self.groups.items()
        }
        self.rule.step()
        return norms


class AdamOptimiser(Optimiser):
    """The same with Adam, which works element by element too (eps 1e-5, as in marlbenchmark/on-policy)."""

    def _rule(self, parameters: list[nn.Parameter], lr: float) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, lr=lr, eps=1e-5, foreach=False)


def flatten(module: nn.Module) -> nn.Parameter:
    """Move a module's parameters and their gradients into one flat parameter, of which they become views."""
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
    """A copy that takes no gradient."""
    return copy.deepcopy(module).requires_grad_(False)


class TargetUpdates:
    """Says when `interval` episodes have passed since the last hard copy (PyMARL's rule)."""

    def __init__(self, interval: int) -> None:
        self.interval, self.last = interval, 0

    def due(self, episodes: int) -> bool:
        """Whether to copy now; if so, the count starts again."""
        if episodes - self.last < self.interval:
            return False
        self.last = episodes
        return True
