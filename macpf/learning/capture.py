"""Updates recorded once for each shape of batch and played again: one launch instead of a thousand (CUDA graphs).

`Algorithm.update` is a plain function of a batch and some numbers; nothing in it knows of this. The first update of a
shape is made twice from the same state, as PyTorch makes it and as the recording does, and only if both agree is the
recording played again. Else updates go on one operation at a time, and one line says why.
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

#: Makes an update of what is in certain places, and returns scalars, always in the same places.
Update: TypeAlias = Callable[[], dict[str, Tensor]]
#: How far apart the two first updates may be: metrics relatively, what has moved as a share of its movement. Kernels
#: round differently, which turns a sampled action over now and then; a broken one is further off by far.
METRICS, MOVEMENT = 2e-3, 0.05
WARM_UPS = 3


class Unlike(Exception):
    """A recording does not do what it should; says by which number."""


@dataclass(frozen=True, eq=False)
class Recording:
    """An update on rows and numbers in places of its own."""

    batch: EpisodeBatch
    numbers: Mapping[str, Number]
    play: Update

    def __call__(self, batch: EpisodeBatch, numbers: Mapping[str, float]) -> dict[str, Tensor]:
        """The update on these rows and numbers; its metrics stay until the next one."""
        for place, value in zip(_tensors(self.batch), _tensors(batch), strict=True):
            place.copy_(value)
        for name, number in self.numbers.items():
            if isinstance(number, Tensor):
                number.fill_(numbers[name])
        return self.play()


class Recorder:
    """Learns as an algorithm does, from recordings of its update.

    Args:
        algorithm: learns.
        say: is told in one line if recordings do not work here.
        record: makes an update into one that is played again.
        kernels: whether what goes step by step is done by kernels (see `Packing`).
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
        """The one of this shape, made if there is none; None if that fails."""
        # A number that is 0 may switch something off, so it belongs to the shape.
        zeros = tuple(name for name, value in numbers.items() if value == 0)
        key = tuple(tensor.shape for tensor in _tensors(batch)), batch.size, zeros
        if self._kept is not _rule(self.algorithm).state:  # a checkpoint was loaded, into other places
            self.recordings, self._kept = {}, _rule(self.algorithm).state
        if key not in self.recordings:
            before = State(self.algorithm)
            try:
                self.recordings[key] = self._recorded(batch, numbers, before)
            except Exception as error:  # whatever a driver, a compiler or a library may come up with
                self.given_up, self.recordings = True, {}
                reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
                self.say(f"updates cannot be recorded here ({reason}); they go on one operation at a time")
                return None
            finally:
                before.put_back()
        return self.recordings[key]

    def _recorded(self, batch: EpisodeBatch, numbers: Mapping[str, float], before: State) -> Recording:
        """A recording that has proved itself on this batch, beginning where `before` was taken.

        Raises:
            Unlike: it has not.
        """
        algorithm = self.algorithm
        sizes: Any = batch.sizes
        places = replace(batch, sizes=replace(sizes, kernels=self.kernels)).each(torch.clone)
        scalars = {name: algorithm.logged(number) if number else 0.0 for name, number in numbers.items()}
        expected = {name: value.clone() for name, value in algorithm.update(batch, numbers).items()}
        after = State(algorithm)
        before.put_back()
        # What a batch works out of its rows it keeps, so every update has to begin with a new one.
        play = self.record(lambda: algorithm.update(replace(places), scalars), algorithm.generator)
        before.put_back()
        recording = Recording(places, scalars, play)
        _compare(expected, recording(batch, numbers), before, after, State(algorithm))
        return recording


class State:
    """All that an update changes: parameters, what the optimiser keeps, the random stream."""

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
        """In the same places; what an optimiser has begun to keep since then begins with zeros."""
        for tensor in self._now():
            if id(tensor) in self.tensors:
                tensor.copy_(self.tensors[id(tensor)][1])
            else:
                tensor.zero_()
        self.algorithm.generator.set_state(self.stream)

    def apart(self, other: State) -> float:
        """Euclidean distance of the parameters."""
        pairs = ((self.tensors[key][1], other.tensors[key][1]) for key in map(id, self.algorithm.parameters()))
        return sum(float((one - two).double().square().sum()) for one, two in pairs) ** 0.5


class CudaGraphs:
    """Records updates as CUDA graphs, which share their memory: only one is played at a time."""

    def __init__(self) -> None:
        self.pool = torch.cuda.graph_pool_handle()

    def __call__(self, update: Update, generator: torch.Generator) -> Update:
        """Record an update after some that warm up; plays draw from the generator, each where the last one ended."""
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
    """Whether its updates have a fixed shape: not those of MAPPO, which cuts episodes into pieces and deals them."""
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
