"""Observations and batches of episodes (without padding), the form in which algorithms get their data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, ClassVar

from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from macpf.experience.packing import LEAST_ROWS, LEAST_TIMES, Neighbours, Packing, bucket, neighbours


class _Tensors:
    """A dataclass with fields that are tensors."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Names and tensors of the fields that are tensors, in the order of the class."""
        named = ((f.name, getattr(self, f.name)) for f in fields(self))
        return ((name, value) for name, value in named if isinstance(value, Tensor))


@dataclass(frozen=True)
class Observation(_Tensors):
    """What B teams observe at one env step.

    Attributes:
        obs: [B, N, O] local observations.
        state: [B, S] global states (no policy reads them; on-policy critics may).
        available: [B, N, A] available actions.
        visible: [B, N, N] whether agent i sees agent j (no agent sees itself), for algorithms that read it.
    """

    obs: Float[Tensor, "B N O"]
    state: Float[Tensor, "B S"]
    available: Bool[Tensor, "B N A"]
    visible: Bool[Tensor, "B N N"] | None = None


@dataclass(frozen=True)
class EpisodeBatch(_Tensors):
    """The env steps of B episodes as R rows, ordered by time first and by episode second.

    Episodes go from the longest to the shortest, so the rows of time t are those of the first `sizes[t]` episodes, and
    a learner's work is proportional to the steps played. (PyTorch's PackedSequence orders its data in the same way.)
    An episode whose end may be bootstrapped (it was truncated, not terminated) has one row more than it has steps: the
    observation after its last action, with `filled` 0. With `reads_after_end`, every other episode has this row too.

    Attributes:
        sizes: how many episodes have a row at time 0, 1, ...; their sum is R. A padded batch has a `Packing` instead,
            with the same information on its device (see `padded`); learners pass it on to functions that accept both.
        obs: [R, N, O] observations.
        state: [R, S] global states.
        available: [R, N, A] available actions.
        actions: [R, N] actions taken.
        reward: [R] shared rewards.
        terminated: [R] whether a value must not be bootstrapped after this step.
        filled: [R] whether the step was played.
        visible: [R, N, N] whether agent i sees agent j, for algorithms that read it.
    """

    sizes: tuple[int, ...] | Packing
    obs: Float[Tensor, "R N O"]
    state: Float[Tensor, "R S"]
    available: Bool[Tensor, "R N A"]
    actions: Int[Tensor, "R N"]
    reward: Float[Tensor, " R"]
    terminated: Float[Tensor, " R"]
    filled: Float[Tensor, " R"]
    visible: Bool[Tensor, "R N N"] | None = None

    @property
    def size(self) -> int:
        """Number of episodes B."""
        return self.sizes.size if isinstance(self.sizes, Packing) else self.sizes[0]

    @cached_property
    def last_actions(self) -> Int[Tensor, "R N"]:
        """The actions of the previous step, -1 at the first."""
        return F.pad(self.actions, (0, 0, 0, 1), value=-1)[self.previous]

    def next(self, values: Float[Tensor, " R *N"]) -> Float[Tensor, " R *N"]:
        """Each row's value at the next env step of its episode, 0 if the batch has none."""
        return F.pad(values, (0, 0) * (values.dim() - 1) + (0, 1))[self.later]

    @cached_property
    def _neighbours(self) -> Neighbours:
        return neighbours(self.sizes, len(self.reward))

    @property
    def time(self) -> Int[Tensor, " R"]:
        """Each row's env step within its episode; on the CPU if the batch is not padded."""
        return self._neighbours.time

    @property
    def episode(self) -> Int[Tensor, " R"]:
        """Each row's episode; on the CPU if the batch is not padded."""
        return self._neighbours.episode

    @cached_property
    def previous(self) -> Int[Tensor, " R"]:
        """The row one env step earlier, R if there is none."""
        return self._neighbours.previous.to(self.actions.device)

    @cached_property
    def later(self) -> Int[Tensor, " R"]:
        """The row one env step later, R if there is none."""
        return self._neighbours.later.to(self.actions.device)

    def to(self, device: str) -> EpisodeBatch:
        """The same episodes on another device."""
        return self.each(lambda tensor: tensor.to(device))

    def each(self, change: Callable[[Tensor], Tensor]) -> EpisodeBatch:
        """The same batch with every tensor changed, including those of its packing."""
        changed: dict[str, Any] = {name: change(tensor) for name, tensor in self.tensors()}
        if isinstance(self.sizes, Packing):
            changed["sizes"] = replace(self.sizes, starts=change(self.sizes.starts))
        return replace(self, **changed)

    def padded(self) -> EpisodeBatch:
        """The same episodes, padded to one of a few numbers of rows and packed on their device.

        The added rows belong to no episode: no step was played in them and none follows, every action is available, and
        all else is 0. Like the row after an episode's end, they contribute nothing to a loss.
        """
        assert not isinstance(self.sizes, Packing)
        extra = bucket(len(self.reward), LEAST_ROWS) - len(self.reward)
        longer: dict[str, Any] = {
            name: F.pad(x, (0, 0) * (x.dim() - 1) + (0, extra), value=float(name in ("available", "terminated")))
            for name, x in self.tensors()
        }
        times = max(1 << (len(self.sizes) - 1).bit_length(), LEAST_TIMES)
        packing = Packing.of(self.sizes, times)
        if self.reward.is_cuda:  # copy without waiting for the device
            packing = replace(packing, starts=packing.starts.pin_memory().to(self.reward.device, non_blocking=True))
        return replace(self, **longer, sizes=packing)
