"""Mixer(.; Theta), which makes one joint value from the agents' values (paper, appendix E), and its ablations.

A mixer first processes the states, once for both policies. The result (`Mix`) then mixes the values of joint actions.
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
    """A mixer applied to the states of R rows."""

    def __call__(
        self, q: Float[Tensor, "R N A"], actions: Int[Tensor, "R N"], alpha: Number
    ) -> tuple[Float[Tensor, " R"], Float[Tensor, " R"] | None]:
        """Joint values of the actions (eq. 14 and 15), and each row's regulariser, or None if the mixer has none."""


@dataclass(frozen=True)
class LinearMix:
    """Q_jt = sum_i k_i(s) Q_i + const(s), with k_i >= 0 (the slopes that eq. 6 calls alpha / alpha_i).

    Attributes:
        gains: [R, N] k_i(s).
        constant: [R] const(s).
    """

    gains: Float[Tensor, "R N"]
    constant: Float[Tensor, " R"]

    def __call__(
        self, q: Float[Tensor, "R N A"], actions: Int[Tensor, "R N"], alpha: Number
    ) -> tuple[Float[Tensor, " R"], None]:
        """See `Mix`."""
        return (self.gains * pick(q, actions)).sum(dim=-1) + self.constant, None


class LinearMixer(nn.Module):
    """QMIX's hypernetwork mixer without its ELU; the independent and the dependent values share it."""

    def __init__(self, sizes: Sizes, embed_dim: int, hypernet_dim: int) -> None:
        super().__init__()
        self.weights = MixingWeights(sizes.state_dim, sizes.n_agents, embed_dim, hypernet_dim)

    def forward(self, state: Float[Tensor, "R S"], obs: Float[Tensor, "R N O"]) -> LinearMix:
        """Collapse the two linear layers into one; both policies share a single pass through the hypernetworks."""
        w1, b1, w2, v = self.weights(state)
        return LinearMix(gains=(w1 @ w2.unsqueeze(-1)).squeeze(-1), constant=(b1 * w2).sum(dim=-1) + v)


class NonlinearMixer(nn.Module):
    """MACPF_NONLINEAR: QMIX's mixer, with an ELU between its layers."""

    def __init__(self, sizes: Sizes, embed_dim: int, hypernet_dim: int) -> None:
        super().__init__()
        self.weights = MixingWeights(sizes.state_dim, sizes.n_agents, embed_dim, hypernet_dim)

    def forward(self, state: Float[Tensor, "R S"], obs: Float[Tensor, "R N O"]) -> Mix:
        """One pass through the hypernetworks, however often the result is applied."""
        weights = self.weights(state)

        def mix(q: Tensor, actions: Tensor, alpha: Number) -> tuple[Tensor, None]:
            return mix_monotonically(pick(q, actions), weights), None

        return mix


class AttentionMixer(nn.Module):
    """MACPF_ATT: FOP's mixer, whose weights depend on states and joint actions; sizes as in the authors' code."""

    def __init__(self, sizes: Sizes, embed_dim: int, hypernet_dim: int) -> None:
        super().__init__()
        self.duplex = DuplexMixer(sizes, embed_dim, hypernet_dim, n_heads=4, n_kernels=4)

    def forward(self, state: Float[Tensor, "R S"], obs: Float[Tensor, "R N O"]) -> Mix:
        """Nothing is computed before the actions are known, because the weights depend on them."""

        def mix(q: Tensor, actions: Tensor, alpha: Number) -> tuple[Tensor, Tensor]:
            joint, regulariser = self.duplex(pick(q, actions), soft_values(q, alpha), actions, state, obs)
            return joint, 1e-3 * regulariser

        return mix


#: Values of the setting `mixer`.
MIXERS: dict[str, type[nn.Module]] = {"linear": LinearMixer, "nonlinear": NonlinearMixer, "attention": AttentionMixer}
