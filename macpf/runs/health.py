"""Stops a run at the first NaN or infinite number, and says which one, where, and at which update."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from macpf import names
from macpf.runs.errors import Diverged

#: How columns begin that a run itself logs.
_OWN = ("eval/", "sampled/", "clock/", names.TIME_PREFIX)


def no_metric(metrics: Iterable[object], score: str) -> str:
    """What is wrong with the names of an update's metrics, in words; empty if nothing is.

    Args:
        metrics: the names.
        score: name of the environment's score, of which a run logs the mean in training.
    """
    for name in metrics:
        if not isinstance(name, str) or not name or name.startswith("_"):
            return f"{name!r}, which is no name; name it like train/loss"
        if name.startswith(_OWN) or name in (names.ENV_STEP, f"train/{score}"):
            return f"{name}, which is a column of the run's own; give it another name, like train/loss"
    return ""


class Health:
    """Checks the metrics of updates.

    Args:
        deferred: keep metrics on their device until `check` reads all of them at once, because reading them makes the
            CPU wait for the device. Otherwise every update is checked immediately.
    """

    def __init__(self, deferred: bool) -> None:
        self.deferred = deferred
        self._unseen: list[tuple[int, list[str], Tensor]] = []

    def watch(self, metrics: Iterable[str], values: Tensor, update: int) -> None:
        """Record the metrics of an update.

        Args:
            metrics: names of the metrics.
            values: [M] values of the metrics.
            update: number of the update, counted from 1.

        Raises:
            Diverged: one of them is not finite.
        """
        if self.deferred:
            self._unseen.append((update, list(metrics), values))
        elif not all(map(math.isfinite, numbers := values.tolist())):
            _refuse_broken(metrics, numbers, update)

    def check(self) -> None:
        """Check the metrics that were only recorded.

        Raises:
            Diverged: one of them is not finite; the message is about the first such update.
        """
        unseen, self._unseen = self._unseen, []
        if unseen:
            finite = torch.isfinite(torch.stack([values.sum() for *_, values in unseen])).tolist()
            for (update, metrics, values), fine in zip(unseen, finite, strict=True):
                if not fine:
                    _refuse_broken(metrics, values.tolist(), update)


def check_parameters(algorithm: nn.Module, updates: int) -> None:
    """Reject an algorithm with a parameter that is not finite.

    Raises:
        Diverged: names the parameter.
    """
    named = list(algorithm.named_parameters())
    finite = torch.stack([torch.isfinite(parameter).all() for _, parameter in named]).tolist()
    for (name, parameter), fine in zip(named, finite, strict=True):
        if not fine:
            worst = parameter[~torch.isfinite(parameter)][0].item()
            raise Diverged(f"the parameter {name} is {worst} after update {updates}")


def _refuse_broken(metrics: Iterable[str], values: list[float], update: int) -> None:
    """Raise Diverged for the first value that is not finite, if there is one."""
    for name, value in zip(metrics, values, strict=True):
        if not math.isfinite(value):
            raise Diverged(f"{name} is {value} at update {update}")
