"""The interface every algorithm fulfils."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias, TypeVar, runtime_checkable

import torch
from jaxtyping import Float, Int
from pydantic import validate_call
from torch import Tensor, nn

from macpf.learning.networks import agent_inputs
from macpf.learning.optimisation import Optimiser, TargetUpdates
from macpf.learning.schedules import Clock

if TYPE_CHECKING:
    from macpf.experience.batch import EpisodeBatch, Observation

Constructor = TypeVar("Constructor", bound=Callable[..., None])
#: One number: known to the processor, or on a device.
Number: TypeAlias = float | Float[Tensor, ""]


def checked(constructor: Constructor) -> Constructor:
    """Check a constructor's arguments against their annotations (types and ranges) before it runs.

    Raises:
        pydantic.ValidationError: names the argument, the value and the rule.
    """
    return validate_call(config={"arbitrary_types_allowed": True})(constructor)


@runtime_checkable
class Sizes(Protocol):
    """What an algorithm must know of an environment: its sizes (`macpf.envs.base.EnvSpec` has them)."""

    n_agents: int
    n_actions: int
    obs_dim: int
    state_dim: int
    agent_feature_dim: int
    picture: tuple[int, int, int] | None


@dataclass(frozen=True)
class Memory:
    """What B teams carry from one env step to the next.

    Attributes:
        last_actions: [B, N] previous actions, -1 before the first.
        hidden: [B * N, H] recurrent states, None before the first step and in feed-forward networks.
    """

    last_actions: Int[Tensor, "B N"]
    hidden: Float[Tensor, "BN H"] | None = None


class Algorithm(nn.Module, ABC):
    """Acts and learns; knows its networks, targets, optimiser and random stream, and nothing else.

    Its `state_dict` is its whole checkpoint: parameters, targets and, as extra state, all the rest.
    """

    #: Whether `learn` takes freshly played episodes only.
    on_policy: ClassVar[bool]
    #: The greedy policies that are evaluated: names under which their scores are logged.
    policies: tuple[str, ...]
    #: Whether observations and batches must say who sees whom.
    reads_visibility = False
    #: Whether batches must have the row after the end of every episode, also of terminated ones.
    reads_after_end = False

    def __init__(self, sizes: Sizes, device: str, seed: int) -> None:
        super().__init__()
        self.sizes, self.device = sizes, device
        self.generator = torch.Generator(device).manual_seed(seed)
        torch.backends.cudnn.allow_tf32 = False  # a GPU is to be as exact as the CPU

    def start(self, batch_size: int) -> Memory:
        """Memory before the first step of B episodes."""
        return Memory(torch.full((batch_size, self.sizes.n_agents), -1, device=self.device))

    def inputs_now(self, observation: Observation, memory: Memory) -> Float[Tensor, "B N I"]:
        """Network inputs of all agents at one env step of play."""
        return agent_inputs(observation.obs, memory.last_actions, self.sizes.n_actions)

    def inputs_of(self, batch: EpisodeBatch) -> Float[Tensor, "R N I"]:
        """Network inputs of all agents in the rows of a batch."""
        return agent_inputs(batch.obs, batch.last_actions, self.sizes.n_actions)

    @abstractmethod
    def act(self, observation: Observation, memory: Memory, clock: Clock) -> tuple[Int[Tensor, "B N"], Memory]:
        """Choose exploring actions, as the behaviour policy does at this time."""

    @abstractmethod
    def act_greedily(self, observation: Observation, memory: Memory, policy: str) -> tuple[Int[Tensor, "B N"], Memory]:
        """Choose the greedy actions of one of `policies`; draws no random number."""

    def learn(self, batch: EpisodeBatch, clock: Clock) -> dict[str, Tensor]:
        """One update from a batch of episodes, and what follows it; returns scalar metrics, still on the device."""
        metrics = self.update(self.prepared(batch), self.numbers(clock))
        self.after_update(clock)
        return metrics

    def numbers(self, clock: Clock) -> dict[str, float]:
        """What an update at this time needs to know beside its batch."""
        return {}

    def prepared(self, batch: EpisodeBatch) -> Any:
        """What of a batch the processor has to work out before an update."""
        return batch

    def update(self, batch: Any, numbers: Mapping[str, Number]) -> dict[str, Tensor]:
        """One update, a plain function of a batch, some numbers and what is in this object; returns scalar metrics.

        It never waits for the device: it asks for no tensor's value and makes no tensor's shape depend on one. So what
        it does can be recorded once and played again, on other rows and numbers in the same places (`capture.py`).

        Args:
            batch: what `prepared` returned.
            numbers: what `numbers` returned, each a number or, on the device, a scalar.
        """
        raise NotImplementedError(f"{type(self).__name__} has no update")

    def after_update(self, clock: Clock) -> None:
        """What happens now and then between two updates."""

    def logged(self, number: Number) -> Float[Tensor, ""]:
        """A number among metrics, without a wait for the device."""
        return number.clone() if isinstance(number, Tensor) else torch.full((), number, device=self.device)

    def joint_policies(self, observation: Observation) -> dict[str, Float[Tensor, "B *A"]]:
        """Joint action probabilities at the first step of an episode, one axis per agent, by policy name.

        Only stochastic algorithms have any, and it is only asked for where the joint action space is small.
        """
        return {}

    def parameter_counts(self) -> dict[str, int]:
        """Trainable numbers of each module that has some, by its path; targets are not trained."""
        counts: dict[str, int] = {}
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                module = name.rpartition(".")[0]
                counts[module] = counts.get(module, 0) + parameter.numel()
        return counts

    def get_extra_state(self) -> dict[str, Any]:
        """What PyTorch does not count as parameters."""
        return {"generator": self.generator.get_state()}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Put back what `get_extra_state` returned."""
        self.generator.set_state(state["generator"].cpu())


class OffPolicyAlgorithm(Algorithm):
    """An algorithm with one optimiser and hard target updates; subclasses set both attributes."""

    on_policy = False
    optimiser: Optimiser
    target_updates: TargetUpdates

    def get_extra_state(self) -> dict[str, Any]:
        """Random stream, optimiser and the time of the last target update."""
        return super().get_extra_state() | {
            "optimiser": self.optimiser.rule.state_dict(),
            "last_target_update": self.target_updates.last,
        }

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Put back what `get_extra_state` returned."""
        super().set_extra_state(state)
        self.optimiser.rule.load_state_dict(state["optimiser"])
        self.target_updates.last = state["last_target_update"]
