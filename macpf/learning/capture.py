"""Records an update once for each batch shape and replays it: one launch instead of a thousand (CUDA graphs).

`Algorithm.update` depends only on a batch, some numbers and its own state, and needs no change for this. The first
update of each shape is made twice from the same state, once by PyTorch and once by the recording. Only if both agree
are recordings used. Otherwise updates continue one operation at a time, and one line tells why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

from macpf.learning.algorithm import Algorithm, Number, OffPolicyAlgorithm
from macpf.learning.rules import Rule
from macpf.learning.schedules import Clock

if TYPE_CHECKING:
    from macpf.experience.batch import EpisodeBatch

#: Makes one update from data in fixed memory, and returns scalar metrics, also in fixed memory.
Update: TypeAlias = Callable[[], dict[str, Tensor]]
#: By how much the two first updates may differ: metrics relatively, parameters as a share of how far they moved.
#: Kernels round differently, so a sampled action changes now and then; a broken kernel deviates far more.
METRICS, MOVEMENT = 2e-3, 0.05
WARM_UPS = 3


class Unlike(Exception):
    """A recording gives other results than PyTorch; the message names the number that differs."""


@dataclass(frozen=True, eq=False)
class Recording:
    """A recorded update, with the memory of the batch and numbers that it reads."""

    batch: EpisodeBatch
    numbers: Mapping[str, Number]
    play: Update

    def __call__(self, batch: EpisodeBatch, numbers: Mapping[str, float]) -> dict[str, Tensor]:
        """Make the update with this batch and these numbers; the metrics are overwritten by the next update."""
        for place, value in zip(_tensors(self.batch), _tensors(batch), strict=True):
            place.copy_(value)
        for name, number in self.numbers.items():
            if isinstance(number, Tensor):
                number.fill_(numbers[name])
        return self.play()


class Recorder:
    """Trains an algorithm like `Algorithm.learn`, but by recordings of its update.

    Args:
        algorithm: the algorithm to train.
        say: called with one line if recordings do not work here.
        record: turns an update into its recording; None: CUDA graphs.
        kernels: whether sequential computations use one kernel each (see `Packing`).
    """

    def __init__(
        self,
        algorithm: Algorithm,
        say: Callable[[str], None],
        record: Callable[[Update, torch.Generator], Update] | None = None,
        kernels: bool = True,
    ) -> None:
        self.algorithm, self.say, self.kernels = algorithm, say, kernels
        self.record = CudaGraphs() if record is None else record
        self.recordings: dict[Any, Recording] = {}
        self.played, self.given_up = 0, False
        self._kept: Any = None

    def learn(self, batch: EpisodeBatch, clock: Clock) -> dict[str, Tensor]:
        """See `Algorithm.learn`."""
        padded, numbers = batch.padded(), self.algorithm.numbers(clock)
        recording = None if self.given_up else self._recording_for(padded, numbers)
        if recording is None:
            return self.algorithm.learn(batch, clock)
        metrics = recording(padded, numbers)
        self.played += 1
        self.algorithm.after_update(clock)
        return metrics

    def _recording_for(self, batch: EpisodeBatch, numbers: Mapping[str, float]) -> Recording | None:
        """The recording for this shape, made if there is none yet; None if that fails."""
        # A number that is 0 may turn a computation off, so zeros count as part of the shape.
        zeros = tuple(name for name, value in numbers.items() if value == 0)
        key = tuple(tensor.shape for tensor in _tensors(batch)), batch.size, zeros
        if self._kept is not _rule(self.algorithm).state:  # a checkpoint was loaded, into other memory
            self.recordings, self._kept = {}, _rule(self.algorithm).state
        if key not in self.recordings:
            before = State(self.algorithm)
            try:
                self.recordings[key] = self._recorded(batch, numbers, before)
            except Exception as error:  # drivers, compilers and libraries raise many kinds
                self.given_up, self.recordings = True, {}
                reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
                self.say(f"updates cannot be recorded here ({reason}); they go on one operation at a time")
                return None
            finally:
                before.put_back()
        return self.recordings[key]

    def _recorded(self, batch: EpisodeBatch, numbers: Mapping[str, float], before: State) -> Recording:
        """A recording that gave the same results as PyTorch on this batch, both starting from the state `before`.

        Raises:
            Unlike: the results differ.
        """
        algorithm = self.algorithm
        sizes: Any = batch.sizes
        places = replace(batch, sizes=replace(sizes, kernels=self.kernels)).each(torch.clone)
        scalars = {name: algorithm.logged(number) if number else 0.0 for name, number in numbers.items()}
        expected = {name: value.clone() for name, value in algorithm.update(batch, numbers).items()}
        after = State(algorithm)
        before.put_back()
        # A batch caches what it derives from its rows, so every update needs a new batch object.
        play = self.record(lambda: algorithm.update(replace(places), scalars), algorithm.generator)
        before.put_back()
        recording = Recording(places, scalars, play)
        _compare(expected, recording(batch, numbers), before, after, State(algorithm))
        return recording


class State:
    """A copy of all that an update changes: parameters, buffers, the optimiser's state, the random stream."""

    def __init__(self, algorithm: Algorithm) -> None:
        self.algorithm = algorithm
        self.tensors = {id(t): (t, t.detach().clone()) for t in self._now()}
        self.stream = algorithm.generator.get_state()

    def _now(self) -> Iterator[Tensor]:
        yield from self.algorithm.parameters()
        yield from self.algorithm.buffers()
        for kept in _rule(self.algorithm).state.values():
            yield from (value for value in kept.values() if isinstance(value, Tensor))

    @torch.no_grad()
    def put_back(self) -> None:
        """Restore the state in the same memory; averages that the optimiser has added since are set to zero."""
        for tensor in self._now():
            if id(tensor) in self.tensors:
                tensor.copy_(self.tensors[id(tensor)][1])
            else:
                tensor.zero_()
        self.algorithm.generator.set_state(self.stream)

    def apart(self, other: State) -> float:
        """Euclidean distance between the parameters of both states."""
        pairs = ((self.tensors[key][1], other.tensors[key][1]) for key in map(id, self.algorithm.parameters()))
        return sum(float((one - two).double().square().sum()) for one, two in pairs) ** 0.5


class CudaGraphs:
    """Records updates as CUDA graphs that share their memory, as only one is replayed at a time."""

    def __init__(self) -> None:
        self.pool = torch.cuda.graph_pool_handle()

    def __call__(self, update: Update, generator: torch.Generator) -> Update:
        """Record an update after some warm-up updates; each replay continues the generator's random stream."""
        graph, here, aside = torch.cuda.CUDAGraph(), torch.cuda.current_stream(), torch.cuda.Stream()
        graph.register_generator_state(generator)
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                update()
        here.wait_stream(aside)
        with torch.cuda.graph(graph, pool=self.pool):
            metrics = update()

        def play() -> dict[str, Tensor]:
            graph.replay()
            return metrics

        return play


def can_be_recorded(algorithm: Algorithm) -> bool:
    """Whether its updates have a fixed shape. Those of MAPPO do not: it cuts episodes into random minibatches."""
    return isinstance(algorithm, OffPolicyAlgorithm) and type(algorithm).learn is Algorithm.learn


def _rule(algorithm: Algorithm) -> Rule:
    assert isinstance(algorithm, OffPolicyAlgorithm)
    return algorithm.optimiser.rule


def _tensors(batch: EpisodeBatch) -> list[Tensor]:
    assert not isinstance(batch.sizes, tuple)
    return [*(tensor for _, tensor in batch.tensors()), batch.sizes.starts]


def _compare(expected: dict[str, Tensor], found: dict[str, Tensor], before: State, after: State, now: State) -> None:
    for name, value in expected.items():
        one, other = float(value), float(found[name])
        if not abs(one - other) <= METRICS * abs(one) + 1e-4:
            raise Unlike(f"{name} is {other:.6g} instead of {one:.6g}")
    moved, apart = before.apart(after), now.apart(after)
    if not apart <= MOVEMENT * moved:
        raise Unlike(f"parameters are {apart:.2g} from where they should be, after a movement of {moved:.2g}")
