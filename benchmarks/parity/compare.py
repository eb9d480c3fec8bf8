"""How far this suite is from an author's code in one golden case: values, losses, gradients and ten updates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor

import macpf.method.learner as macpf
from benchmarks.parity.cases import Case, precision
from benchmarks.parity.quantities import OF, gradients_of, losses_of, mask

#: Largest differences that rounding explains (tests/parity/README.md says why).
VALUES, GRADIENTS, WEIGHTS, LOSSES_LATER = 2e-5, 1e-4, 1e-3, 1e-3
#: In float64, at the start and in the updates; NEARLY for those whose authors give unavailable actions a probability.
EXACT, EXACT_LATER, NEARLY, NEARLY_LATER = 1e-9, 1e-9, 1e-6, 1e-5
LEAKY = ("macpf", "fop")


@dataclass(frozen=True)
class Difference:
    """One row of the table: how far apart the two are, in units of the largest number compared."""

    case: str
    quantity: str
    worst: float
    tolerance: float

    @property
    def equal(self) -> bool:
        """Whether rounding explains it."""
        return self.worst <= self.tolerance


def differences(case: Case) -> list[Difference]:
    """All rows of a case."""
    return list(one_by_one(case))


def one_by_one(case: Case) -> Iterator[Difference]:
    """The same rows, each computed when it is asked for: ten updates take longer than what is known before them."""
    for row in _at_the_start(case):
        yield Difference(case.name, *row)
    for dtype, bits in ((torch.float32, 32), (torch.float64, 64)):
        for row in _updates(case, dtype, bits):
            yield Difference(case.name, *row)


def _at_the_start(case: Case) -> Iterator[tuple[str, float, float]]:
    learner = case.learner()
    batch, clock, rows = case.batch(learner), case.clocks()[0], case.rows(learner)
    with case.same_noise(learner), torch.no_grad():
        found = OF[case.algorithm](learner, batch, clock, case.noise(learner))
    worst = sampled = 0.0
    for name, ours in found.items():
        theirs, here = case.arrays[f"start/{name}"][rows], mask(name, batch, tuple(ours.shape))
        if "sampled" in name:
            sampled += int((ours.numpy() != theirs).sum())
        else:
            worst = max(worst, _apart(ours.numpy()[here], theirs[here]))
    yield "values", worst, VALUES
    if any("sampled" in name for name in found):
        yield "sampled actions that differ", sampled, 0
    if case.algorithm == "mappo":
        return
    exact = NEARLY if case.algorithm in LEAKY else EXACT
    for dtype, bits, tolerance in ((torch.float32, 32, VALUES), (torch.float64, 64, exact)):
        with precision(dtype):
            learner = case.learner()
            with case.same_noise(learner):
                losses = losses_of(learner, case.batch(learner), clock)
        yield f"losses, float{bits}", _losses_apart(case, losses, f"start/loss{bits}"), tolerance
        if bits == 32:
            wanted = losses | {"sum": torch.stack(list(losses.values())).sum()}
            found = {n: gradients_of(v, learner) for n, v in wanted.items() if f"gradient/{n}" in case.arrays}
            yield "gradients", _gradients_apart(case, found), GRADIENTS


def _updates(case: Case, dtype: torch.dtype, bits: int) -> Iterator[tuple[str, float, float]]:
    with precision(dtype):
        learner = case.learner()
        batch, record, weights = case.batch(learner), Record(learner), {}
        with case.same_noise(learner):
            for k, clock in enumerate(case.clocks(), start=1):
                record.learn(batch, clock)
                weights[k] = {name: p.detach().clone() for name, p in learner.named_parameters()}
    tolerance = LOSSES_LATER
    if bits == 64:
        tolerance = NEARLY_LATER if case.algorithm in LEAKY else EXACT_LATER
    names = {name.rpartition("/")[2] for name in case.arrays if name.startswith(f"steps/loss{bits}/")}
    theirs = {name: case.recorded(f"steps/loss{bits}/{name}") for name in names}
    later = max(_apart(np.array(record.losses[name]).reshape(theirs[name].shape), theirs[name]) for name in names)
    yield f"losses of ten updates, float{bits}", later, tolerance
    if case.algorithm == "mappo":
        theirs = np.stack([case.arrays[f"steps/value_{moment}{bits}"] for moment in ("mean", "deviation")], axis=-1)
        apart = _apart(np.array(record.moments), theirs)
        yield f"value normalisation, float{bits}", apart, tolerance
    if bits == 64:
        return
    if record.gradients:
        yield "gradients", _gradients_apart(case, {"sum": record.gradients}), GRADIENTS
    if record.sampled:
        yield "sampled actions that differ, ten updates", _wrong_samples(case, learner, record.sampled), 0
    before = case.parameters(case.arrays["before"])
    for k in case.about["snapshots"]:
        after = case.parameters(case.recorded(f"after{k}"))
        movement = max((after[name] - before[name]).abs().max().item() for name in after)
        apart = max((_narrow(weights[k][name], after[name]) - after[name]).abs().max().item() for name in after)
        yield f"weights after {k}, of their movement", apart / movement, WEIGHTS


class Record:
    """Makes a learner's updates and records what happens in them.

    Attributes:
        losses: by name, in the order of the gradient steps.
        sampled: [R, N] actions that were sampled, in their order.
        gradients: of MAPPO's first gradient step.
        moments: mean and deviation of MAPPO's value normalisation after each update.
    """

    def __init__(self, learner: Any) -> None:
        self.learner = learner
        self.losses: dict[str, list[float]] = {}
        self.sampled: list[np.ndarray] = []
        self.gradients: dict[str, Tensor] = {}
        self.moments: list[tuple[float, float]] = []

    def learn(self, batch: Any, clock: Any) -> None:
        """One update."""
        if hasattr(self.learner, "value_norm"):
            self._learn_on_policy(batch, clock)
            return
        hooks = []
        if hasattr(self.learner, "targets"):  # FOP: the target critics are asked about the sample

            def note(_: Any, arguments: tuple[Any, ...]) -> None:
                self._note(arguments[2])

            hooks = [self.learner.targets[0].register_forward_pre_hook(note)]
        chosen = macpf.choose

        def noting(*args: Any, **named: Any) -> Tensor:
            return self._note(chosen(*args, **named))

        with mock.patch.object(macpf, "choose", noting):
            self._note_losses(self.learner.learn(batch, clock))
        for hook in hooks:
            hook.remove()

    def _learn_on_policy(self, batch: Any, clock: Any) -> None:
        step, optimise = self.learner._step, self.learner.optimiser.step

        def noting_loss(loss: Tensor) -> Any:
            self.gradients = self.gradients or gradients_of(loss, self.learner)
            return optimise(loss)

        def noting_step(*args: Any) -> Any:
            metrics = step(*args)
            self._note_losses(metrics)
            return metrics

        with (
            mock.patch.object(self.learner.optimiser, "step", noting_loss),
            mock.patch.object(self.learner, "_step", noting_step),
        ):
            self.learner.learn(batch, clock)
        mean, deviation = self.learner.value_norm.moments
        self.moments.append((mean.item(), deviation.item()))

    def _note(self, sampled: Tensor) -> Tensor:
        self.sampled.append(sampled.numpy().copy())
        return sampled

    def _note_losses(self, metrics: dict[str, Tensor]) -> None:
        for name, value in metrics.items():
            self.losses.setdefault(name.removeprefix("train/loss/").removeprefix("train/"), []).append(value.item())


def _wrong_samples(case: Case, learner: Any, sampled: list[np.ndarray]) -> int:
    """How many sampled actions differ.

    MACPF's author samples for both actors and then for both critics; FOP's samples once an update.
    """
    order = [f"{policy}_sampled_by_{who}" for who in ("actor", "critic") for policy in ("independent", "dependent")]
    names = ["sampled"] if case.algorithm == "fop" else order
    theirs = np.stack([case.recorded(f"steps/{name}")[:, case.rows(learner)] for name in names], axis=1)
    ours = np.stack(sampled).reshape(-1, *theirs.shape[2:])
    return (
        int((ours != theirs.reshape(-1, *theirs.shape[2:])).sum())
        if len(ours) == theirs[:, :, 0, 0].size
        else ours.size
    )


def _apart(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference, in units of the authors' largest number, or absolute if all of theirs are 0."""
    return float(np.abs(ours - theirs).max() / (np.abs(theirs).max() or 1.0))


def _losses_apart(case: Case, losses: dict[str, Tensor], where: str) -> float:
    """The largest difference of a loss; one that the author does not have must be 0."""
    theirs = {name: case.arrays.get(f"{where}/{name}") for name in losses}
    ours = {name: np.array(loss.item()) for name, loss in losses.items()}
    return max(abs(ours[n].item()) if them is None else _apart(ours[n], them) for n, them in theirs.items())


def _gradients_apart(case: Case, found: dict[str, dict[str, Tensor]]) -> float:
    """The largest difference, in units of each parameter's largest, but at least a thousandth of the largest of all."""
    worst = 0.0
    for loss, ours in found.items():
        theirs = case.parameters(case.arrays[f"gradient/{loss}"])
        largest = max(g.abs().max().item() for g in theirs.values())
        for name, gradient in theirs.items():
            scale = max(gradient.abs().max().item(), 1e-3 * largest)
            mine = ours[name].mean(dim=0, keepdim=True) if ours[name].shape != gradient.shape else ours[name]
            worst = max(worst, (mine - gradient).abs().max().item() / scale)
    return worst


def _narrow(ours: Tensor, theirs: Tensor) -> Tensor:
    """The sum of QPLEX's V over agents, if it has an output for each: the file has only that."""
    return ours if ours.shape == theirs.shape else ours.sum(dim=0, keepdim=True)
