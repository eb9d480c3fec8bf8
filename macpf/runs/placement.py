"""On which devices a run acts and learns.

Networks this small choose the actions of an env step faster on a CPU, and learn from a batch much faster on a GPU. With
`device=cuda` there are therefore two copies of an algorithm. One acts and is evaluated on the CPU, and the other learns
on the GPU. Parameters are copied once for each round of episodes.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from macpf.experience.batch import EpisodeBatch
from macpf.learning.algorithm import Algorithm
from macpf.learning.capture import Recorder, can_be_recorded
from macpf.learning.schedules import Clock
from macpf.runs.errors import ConfigError

log = logging.getLogger(__name__)

#: `auto`: updates are recorded if possible, so never on the CPU. `eager`: never. `graph`: an error if not possible.
Acceleration = Literal["auto", "eager", "graph"]


class Place(NamedTuple):
    """On which devices an algorithm acts and learns, and whether there are two copies of it."""

    plays_on: str
    learns_on: str
    twice: bool


#: Values of the setting `device`.
PLACES = {
    "cpu": Place("cpu", "cpu", twice=False),
    "cuda": Place("cpu", "cuda", twice=True),
    "cuda-only": Place("cuda", "cuda", twice=False),
}


class Placement:
    """An algorithm, and the devices on which it acts and learns.

    Args:
        device: one of `PLACES`.
        make: makes the algorithm on a device, always with the same parameters.
        accelerate: whether updates are recorded (`macpf.learning.capture`).

    Raises:
        ConfigError: `accelerate=graph`, but updates cannot be recorded.
    """

    def __init__(self, device: str, make: Callable[[str], Algorithm], accelerate: Acceleration) -> None:
        self.device, self.place = device, PLACES[device]
        on_gpu = self.place.learns_on == "cuda"
        self.learner = make(self.place.learns_on)
        self._player = make(self.place.plays_on) if self.place.twice else self.learner
        self._stale = False
        self._sending: torch.cuda.Stream | None = None
        self.recorder: Recorder | None = None
        if accelerate == "graph" and not (on_gpu and can_be_recorded(self.learner)):
            where = "this algorithm's updates have no fixed shape" if on_gpu else "it needs device=cuda"
            raise ConfigError(f"accelerate=graph is impossible: {where}; type accelerate=auto")
        if accelerate != "eager" and on_gpu and can_be_recorded(self.learner):
            self.recorder = Recorder(self.learner, log.warning)

    @property
    def player(self) -> Algorithm:
        """The copy that acts, with the latest parameters."""
        if self.place.twice and self._stale:
            copy_tensors(self.learner, self._player)
            self._stale = False
        return self._player

    def learn(self, batch: EpisodeBatch, clock: Clock) -> Mapping[str, Tensor]:
        """One update from a batch on the CPU; the metrics stay on the learner's device until the next one."""
        self._stale = True
        learner = self.recorder or self.learner
        return learner.learn(self._sent(batch), clock)

    def _sent(self, batch: EpisodeBatch) -> EpisodeBatch:
        """The batch on the learner's device; it is transferred while the previous update is still running."""
        if self.place.learns_on == "cpu":
            return batch
        self._sending = self._sending or torch.cuda.Stream()
        with torch.cuda.stream(self._sending):
            sent = batch.each(lambda tensor: tensor.pin_memory().to("cuda", non_blocking=True))
        here = torch.cuda.current_stream()
        here.wait_stream(self._sending)
        for _, tensor in sent.tensors():
            tensor.record_stream(here)  # its memory is not reused before `here` has read it
        return sent

    @property
    def zeros(self) -> Callable[..., np.ndarray]:
        """Makes arrays for `_sent`: in memory that the GPU reads by itself, if the learner is on one."""
        return np.zeros if self.place.learns_on == "cpu" else page_locked

    def state_dict(self) -> dict[str, Any]:
        """The complete state of the learner, and the random stream of a separate player."""
        state: dict[str, Any] = {"algorithm": self.learner.state_dict()}
        return state | {"player": self._player.generator.get_state()} if self.place.twice else state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.learner.load_state_dict(state["algorithm"])
        if self.place.twice:
            self._player.generator.set_state(state["player"])
        self._stale = True


def page_locked(shape: tuple[int, ...], dtype: type[np.generic]) -> np.ndarray:
    """Zeros in memory that is never moved, so that a GPU can copy from it while the CPU goes on."""
    kind = torch.from_numpy(np.empty(0, dtype=dtype)).dtype
    return torch.zeros(shape, dtype=kind, pin_memory=True).numpy()


@torch.no_grad()
def copy_tensors(source: nn.Module, to: nn.Module) -> None:
    """Copy parameters and buffers between equal modules, all of one type at once."""
    kinds: dict[torch.dtype, list[tuple[Tensor, Tensor]]] = defaultdict(list)
    for theirs, ours in zip(_tensors(source), _tensors(to), strict=True):
        kinds[theirs.dtype].append((theirs, ours))
    for pairs in kinds.values():
        joined = torch.cat([theirs.flatten() for theirs, _ in pairs]).to(pairs[0][1].device)
        for (_, ours), part in zip(pairs, joined.split([ours.numel() for _, ours in pairs]), strict=True):
            ours.copy_(part.view_as(ours))


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]
