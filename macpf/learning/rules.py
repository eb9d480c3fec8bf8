"""RMSprop and Adam, in PyTorch's functional form.

The classes of `torch.optim` import PyTorch's compiler when they are first used. That takes two seconds of CPU time,
which is 40 % of a short command, and nothing here is compiled.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.rmsprop import rmsprop

Tensors = list[Tensor]


class Rule(ABC):
    """A rule by which gradients change parameters. It is used, and saved, like a `torch.optim.Optimizer`.

    Attributes:
        param_groups: one group, with its parameters (`params`) and its learning rate (`lr`).
        state: for each parameter that was changed before, the number of its steps (`step`, a scalar) and its moving
            averages, of the parameter's shape.

    Args:
        parameters: the parameters to optimise.
        lr: learning rate.
    """

    #: Names of the moving averages, as PyTorch saves them.
    averages: tuple[str, ...]

    def __init__(self, parameters: Sequence[nn.Parameter], lr: float) -> None:
        self.param_groups: list[dict[str, Any]] = [{"params": list(parameters), "lr": lr}]
        self.state: dict[Tensor, dict[str, Tensor]] = {}
        #: Whether a step may be recorded (`capture.py`) and so must not read a tensor's value.
        self.capturable = any(parameter.is_cuda for parameter in parameters)

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient."""
        (group,) = self.param_groups
        moving = [p for p in group["params"] if p.grad is not None]
        for p in moving:
            if p not in self.state:
                device = p.device if self.capturable else "cpu"
                self.state[p] = {"step": torch.zeros((), device=device)}
                self.state[p] |= {name: torch.zeros_like(p) for name in self.averages}
        averages = [[self.state[p][name] for p in moving] for name in self.averages]
        steps = [self.state[p]["step"] for p in moving]
        self._move(moving, [p.grad for p in moving], averages, steps, group["lr"])

    @abstractmethod
    def _move(
        self, moving: Tensors, gradients: Tensors, averages: list[Tensors], steps: Tensors, lr: float
    ) -> None: ...

    def state_dict(self) -> dict[str, Any]:
        """Everything on which later steps depend, in the format of `torch.optim`."""
        (group,) = self.param_groups
        state = {i: dict(self.state[p]) for i, p in enumerate(group["params"]) if p in self.state}
        return {"state": state, "param_groups": [group | {"params": list(range(len(group["params"])))}]}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: it has another number of parameters.
        """
        (group,), (other,) = self.param_groups, saved["param_groups"]
        own = group["params"]
        if len(own) != len(other["params"]):
            raise ValueError(f"the optimiser's state is of {len(other['params'])} parameters instead of {len(own)}")
        group["lr"] = other["lr"]
        self.state = {
            own[i]: {name: kept.to(own[i].device, copy=True) for name, kept in state.items()}
            for i, state in saved["state"].items()
        }


class RMSprop(Rule):
    """RMSprop with PyMARL's settings: smoothing 0.99, eps 1e-5."""

    averages = ("square_avg",)

    def _move(self, moving: Tensors, gradients: Tensors, averages: list[Tensors], steps: Tensors, lr: float) -> None:
        (square,) = averages
        how: dict[str, Any] = {"foreach": False, "capturable": self.capturable}
        how |= {"weight_decay": 0.0, "momentum": 0.0, "centered": False}
        rmsprop(moving, gradients, square, [], [], steps, lr=lr, alpha=0.99, eps=1e-5, **how)


class Adam(Rule):
    """Adam with the eps of marlbenchmark/on-policy, 1e-5."""

    averages = ("exp_avg", "exp_avg_sq")

    def _move(self, moving: Tensors, gradients: Tensors, averages: list[Tensors], steps: Tensors, lr: float) -> None:
        mean, square = averages
        how: dict[str, Any] = {"foreach": False, "capturable": self.capturable}
        how |= {"weight_decay": 0.0, "amsgrad": False, "maximize": False}
        adam(moving, gradients, mean, square, [], steps, lr=lr, beta1=0.9, beta2=0.999, eps=1e-5, **how)
