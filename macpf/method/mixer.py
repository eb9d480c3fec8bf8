"""Mixer(.; Theta): one joint value from the agents' values (paper, appendix E), or an ablation's.

Every mixer first reads the states, once for both halves, and then mixes values of joint actions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from jaxtyping import Float, Int
from torch import Tensor, nn

from macpf.learning.algorithm import Number, Sizes
from macpf.learning.attention import DuplexMixer, soft_values
from macpf.learning.hypernetworks import MixingWeights, mix_monotonically
from macpf.learning.networks import pick


class Mix(Protocol):
    """A mixer that has seen the states of R rows."""

    def __call__(
        self, q: Float[Tensor, "R N A"], actions: Int[Tensor, "R N"], alpha: Number
    ) -> tuple[Float[Tensor, "R"], Float[Tensor, "R"] | None]:
        """Joint values of the actions (eq. 14 and 15), and what a row adds to the loss, if anything."""


@dataclass(frozen=True)
class LinearMix:
    """Q_jt = sum_i k_i(s) Q_i + const(s), with k_i >= 0 (the slopes that eq. 6 calls alpha / alpha_i).

    Attributes:
        gains: [R, N] the k_i.
        constant: [R] the rest.
    """

    gains: Float[Tensor, "R N"]
    constant: Float[Tensor, "R"]

    def __call__(
        self, q: Float[Tensor, "R N A"], actions: Int[Tensor, "R N"], alpha: Number
    ) -> tuple[Float[Tensor, "R"], None]:
        """See `Mix`."""
        return (self.gains * pick(q, actions)).sum(dim=-1) + self.constant, None


class LinearMixer(nn.Module):
    """QMIX's hypernetwork mixer without its ELU; one and the same for the independent and the dependent values."""

    def __init__(self, sizes: Sizes, embed_dim: int, hypernet_dim: int) -> None:
        super().__init__()
        self.weights = MixingWeights(sizes.state_dim, sizes.n_agents, embed_dim, hypernet_dim)

    def forward(self, state: Float[Tensor, "R S"], obs: Float[Tensor, "R N O"]) -> LinearMix:
        """Collapse the two linear layers, so that mixing twice costs one pass through the hypernetworks."""
        w1, b1, w2, v = self.weights(state)
        return LinearMix(gains=(w1 @ w2.unsqueeze(-1)).squeeze(-1), constant=(b1 * w2).sum(dim=-1) + v)


class NonlinearMixer(nn.Module):
    """MACPF_NONLINEAR: QMIX's mixer, with an ELU between its layers."""

    def __init__(self, sizes: Sizes, embed_dim: int, hypernet_dim: int) -> None:
        super().__init__()
        self.weights = MixingWeights(sizes.state_dim, sizes.n_agents, embed_dim, hypernet_dim)

    def forward(self, state: Float[Tensor, "R S"], obs: Float[Tensor, "R N O"]) -> Mix:
        """One pass through the hypernetworks for however many mixes."""
        weights = self.weights(state)

        def mix(q: Tensor, actions: Tensor, alpha: Number) -> tuple[Tensor, None]:
            return mix_monotonically(pick(q, actions), weights), None

        return mix


class AttentionMixer(nn.Module):
    """MACPF_ATT: FOP's mixer, whose weights see states and joint actions; sizes as in the authors' code."""

    def __init__(self, sizes: Sizes, embed_dim: int, hypernet_dim: int) -> None:
        super().__init__()
        self.duplex = DuplexMixer(sizes, embed_dim, hypernet_dim, n_heads=4, n_kernels=4)

    def forward(self, state: Float[Tensor, "R S"], obs: Float[Tensor, "R N O"]) -> Mix:
        """Nothing can be shared between two mixes but the states."""

        def mix(q: Tensor, actions: Tensor, alpha: Number) -> tuple[Tensor, Tensor]:
            joint, regulariser = self.duplex(pick(q, actions), soft_values(q, alpha), actions, state, obs)
            return joint, 1e-3 * regulariser

        return mix


#: What `mixer=` may name.
MIXERS: dict[str, type[nn.Module]] = {"linear": LinearMixer, "nonlinear": NonlinearMixer, "attention": AttentionMixer}
