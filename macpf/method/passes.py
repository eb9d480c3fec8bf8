"""What the networks say of one batch, each pass made once as long as its weights stay."""

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
    """The passes of one update through actor, critic and target critic.

    Attributes:
        batch: the rows.
        inputs: [R, N, I] of the agents' networks.
        earlier, sees: on whom agents depend in the actor and in the critics (see `Factors`).
        actor: the policy's network.
        critic, target: each with the values' network (`agents`) and a `mixer`.
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
        """The actor's, in every row; with a graph for its gradient or without one."""
        return self._once("actor", gradient, lambda: self._network(self.actor, self.earlier))

    def values(self, gradient: bool) -> tuple[Factors, Mix]:
        """The critic's, and its mixer at the rows' states."""
        return self._once("critic", gradient, lambda: self._critic(self.critic))

    def target_values(self) -> tuple[Factors, Mix]:
        """The target critic's, without a graph."""
        return self._once("target", False, lambda: self._critic(self.target))

    def will_move(self, names: Sequence[str]) -> None:
        """Forget what a step over these groups, or parts of them, makes old."""
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
