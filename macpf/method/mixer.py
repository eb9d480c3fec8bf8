"""Mixer(.; Theta): one joint value from the agents' values, linear in them (paper, appendix E)."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from macpf.learning.hypernetworks import MixingWeights


@dataclass(frozen=True)
class LinearMix:
    """Q_jt = sum_i k_i(s) Q_i + const(s), with k_i >= 0 (the slopes that eq. 6 calls alpha / alpha_i).

    Attributes:
        gains: [B, T, N] the k_i.
        constant: [B, T] the rest.
    """

    gains: Float[Tensor, "B T N"]
    constant: Float[Tensor, "B T"]

    def __call__(self, values: Float[Tensor, "B T N"]) -> Float[Tensor, "B T"]:
        """Joint values of the agents' values (eq. 14 and 15)."""
        return (self.gains * values).sum(dim=-1) + self.constant


class LinearMixer(nn.Module):
    """QMIX's hypernetwork mixer without its ELU; one and the same for the independent and the dependent values."""

    def __init__(self, state_dim: int, n_agents: int, embed_dim: int, hypernet_dim: int) -> None:
        super().__init__()
        self.weights = MixingWeights(state_dim, n_agents, embed_dim, hypernet_dim)

    def forward(self, state: Float[Tensor, "B T S"]) -> LinearMix:
        """Collapse the two linear layers, so that mixing twice costs one pass through the hypernetworks."""
        w1, b1, w2, v = self.weights(state)
        return LinearMix(gains=(w1 @ w2.unsqueeze(-1)).squeeze(-1), constant=(b1 * w2).sum(dim=-1) + v)
