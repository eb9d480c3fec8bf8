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
#: One number: a Python float, or a scalar tensor on a device.
Number: TypeAlias = float | Float[Tensor, ""]


def checked(constructor: Constructor) -> Constructor:
    """Check a constructor's arguments against their annotations (types and ranges) before it runs.

    Raises:
        pydantic.ValidationError: names the argument, the value and the rule.
    """
    return validate_call(config={"arbitrary_types_allowed": True})(constructor)


@runtime_checkable
class Sizes(Protocol):
    """The sizes of an environment, which are all that an algorithm knows of it (see `macpf.envs.base.EnvSpec`)."""

    n_agents: int
    n_actions: int
    obs_dim: int
    state_dim: int
    agent_feature_dim: int
    picture: tuple[int, int, int] | None


@dataclass(frozen=True)
class Memory:
    """The state that B teams carry from one env step to the next.

    Attributes:
        last_actions: [B, N] previous actions, -1 before the first env step.
        hidden: [B * N, H] recurrent states, None before the first env step and in feed-forward networks.
    """

    last_actions: Int[Tensor, "B N"]
    hidden: Float[Tensor, "BN H"] | None = None


class Algorithm(nn.Module, ABC):
    """Acts and learns. It owns its networks, target networks, optimiser and random stream, and nothing else.

    Its `state_dict` is its complete checkpoint: parameters, target networks and, as extra state, everything else.
    """

    #: Whether `learn` needs episodes of the current policy.
    on_policy: ClassVar[bool]
    #: Names of the greedy policies that are evaluated; their scores are logged under these names.
    policies: tuple[str, ...]
    #: Whether observations and batches must include which agents see each other.
    reads_visibility = False
    #: Whether batches must include the row after the end of every episode, even if it terminated.
    reads_after_end = False

    def __init__(self, sizes: Sizes, device: str, seed: int) -> None:
        super().__init__()
        self.sizes, self.device = sizes, device
        self.generator = torch.Generator(device).manual_seed(seed)
        torch.backends.cudnn.allow_tf32 = False  # so that a GPU is as precise as the CPU

    def start(self, batch_size: int) -> Memory:
        """Memory before the first env step of B episodes."""
        return Memory(torch.full((batch_size, self.sizes.n_agents), -1, device=self.device))

    def inputs_now(self, observation: Observation, memory: Memory) -> Float[Tensor, "B N I"]:
        """Network inputs of all agents at one env step of a rollout."""
        return agent_inputs(observation.obs, memory.last_actions, self.sizes.n_actions)

    def inputs_of(self, batch: EpisodeBatch) -> Float[Tensor, "R N I"]:
        """Network inputs of all agents in the rows of a batch."""
        return agent_inputs(batch.obs, batch.last_actions, self.sizes.n_actions)

    @abstractmethod
    def act(self, observation: Observation, memory: Memory, clock: Clock) -> tuple[Int[Tensor, "B N"], Memory]:
        """Choose actions by the behaviour policy, with the exploration of this point in training."""

    @abstractmethod
    def act_greedily(self, observation: Observation, memory: Memory, policy: str) -> tuple[Int[Tensor, "B N"], Memory]:
        """Choose the greedy actions of one of `policies`; must not draw random numbers."""

    def learn(self, batch: EpisodeBatch, clock: Clock) -> dict[str, Tensor]:
        """Make one update from a batch of episodes, then call `after_update`; returns scalar metrics on the device."""
        metrics = self.update(self.prepared(batch), self.numbers(clock))
        self.after_update(clock)
        return metrics

    def numbers(self, clock: Clock) -> dict[str, float]:
        """The scheduled numbers, such as the temperature, that an update needs at this point in training."""
        return {}

    def prepared(self, batch: EpisodeBatch) -> Any:
        """The batch as `update` takes it, after the part of the work that the CPU must do first."""
        return batch

    def update(self, batch: Any, numbers: Mapping[str, Number]) -> dict[str, Tensor]:
        """Make one update, which depends only on the arguments and on this object's state; returns scalar metrics.

        It must not wait for the device: it reads no tensor's value, and no tensor's shape depends on one. Its
        operations can then be recorded once and replayed with other data in the same memory (`capture.py`).

        Args:
            batch: result of `prepared`.
            numbers: result of `numbers`, each a Python number or a scalar tensor on the device.
        """
        raise NotImplementedError(f"{type(self).__name__} has no update")

    def after_update(self, clock: Clock) -> None:
        """Called after every update, for work that is not done each time, such as target updates."""

    def logged(self, number: Number) -> Float[Tensor, ""]:
        """A number as a scalar metric, made without waiting for the device."""
        return number.clone() if isinstance(number, Tensor) else torch.full((), number, device=self.device)

    def joint_policies(self, observation: Observation) -> dict[str, Float[Tensor, " B *A"]]:
        """Joint action probabilities at the first env step of an episode, one axis per agent, by policy name.

        Empty for algorithms without stochastic policies. Only called if the joint action space is small.
        """
        return {}

    def parameter_counts(self) -> dict[str, int]:
        """Number of trainable parameters of each module that has some, by its path; target networks have none."""
        counts: dict[str, int] = {}
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                module = name.rpartition(".")[0]
                counts[module] = counts.get(module, 0) + parameter.numel()
        return counts

    def get_extra_state(self) -> dict[str, Any]:
        """The part of the state that PyTorch does not save itself."""
        return {"generator": self.generator.get_state()}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_extra_state` returned."""
        self.generator.set_state(state["generator"].cpu())


class OffPolicyAlgorithm(Algorithm):
    """An algorithm with one optimiser and hard target updates; subclasses set both of these attributes."""

    on_policy = False
    optimiser: Optimiser
    target_updates: TargetUpdates

    def get_extra_state(self) -> dict[str, Any]:
        """The random stream, the optimiser's state, and the number of episodes at the last target update."""
        return super().get_extra_state() | {
            "optimiser": self.optimiser.rule.state_dict(),
            "last_target_update": self.target_updates.last,
        }

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_extra_state` returned."""
        super().set_extra_state(state)
        self.optimiser.rule.load_state_dict(state["optimiser"])
        self.target_updates.last = state["last_target_update"]
