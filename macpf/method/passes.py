"""Forward passes of one batch, cached until the weights change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from macpf.method.conditional import ConditionalNetwork, Factors
from macpf.method.mixer import Mix

if TYPE_CHECKING:
    from macpf.experience.batch import EpisodeBatch


@dataclass
class Passes:
    """The forward passes of one update through actor, critic and target critic.

    Attributes:
        batch: the batch of episodes.
        inputs: [R, N, I] inputs of the agents' networks.
        earlier, sees: on which agents each one depends in the actor and in the critics (`Factors.depends`).
        actor: the policy's network.
        critic, target: each contains the network of the values (`agents`) and a `mixer`.
    """

    batch: EpisodeBatch
    inputs: Float[Tensor, "R N I"]
    earlier: Float[Tensor, "R N N"] | None
    sees: Float[Tensor, "R N N"] | None
    actor: ConditionalNetwork
    critic: nn.ModuleDict
    target: nn.ModuleDict
    _made: dict[str, tuple[bool, Any]] = field(default_factory=dict)

    def logits(self, gradient: bool) -> Factors:
        """The actor's outputs in every row; `gradient` says whether they need a gradient."""
        return self._once("actor", gradient, lambda: self._network(self.actor, self.earlier))

    def values(self, gradient: bool) -> tuple[Factors, Mix]:
        """The critic's outputs in every row, and its mixer applied to the states."""
        return self._once("critic", gradient, lambda: self._critic(self.critic))

    def target_values(self) -> tuple[Factors, Mix]:
        """The target critic's outputs, and its mixer applied to the states; without a gradient."""
        return self._once("target", False, lambda: self._critic(self.target))

    def will_move(self, names: Sequence[str]) -> None:
        """Discard the passes that an optimiser step on these groups, or on parts of them, makes out of date."""
        for name in names:
            self._made.pop(name.split(".")[0], None)

    def _once(self, name: str, gradient: bool, make: Any) -> Any:
        has_graph, result = self._made.get(name, (False, None))
        if result is None or (gradient and not has_graph):
            with torch.set_grad_enabled(gradient):
                result = make()
            self._made[name] = gradient, result
        return result

    def _network(self, network: Any, depends: Tensor | None) -> Factors:
        factors, _ = network(self.inputs, self.batch.sizes, depends=depends)
        return factors

    def _critic(self, critic: nn.ModuleDict) -> tuple[Factors, Mix]:
        return self._network(critic["agents"], self.sees), critic["mixer"](self.batch.state, self.batch.obs)
