"""Inputs of a centralised critic for every agent: the global state and the agent's own inputs, never concatenated.

A state is as long as all observations together, so a copy for each agent would take most of a learner's memory and
time. LayerNorm and a linear layer are linear except for a mean and a standard deviation. Both parts can therefore be
projected separately.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class CentralInputs:
    """The inputs of E entries, each of which is one agent in one row.

    Attributes:
        state: [R, S] global states.
        row: [E] row of each entry.
        playing: [E] factor of the state: 0 for entries that do not see it, else 1.
        own: [E, I] the agents' own inputs.
    """

    state: Float[Tensor, "R S"]
    row: Int[Tensor, " E"]
    playing: Float[Tensor, " E"]
    own: Float[Tensor, "E I"]

    def __getitem__(self, entries: Int[Tensor, " X"]) -> CentralInputs:
        """The inputs of some of the entries."""
        return CentralInputs(self.state, self.row[entries], self.playing[entries], self.own[entries])


class CentralLinear(nn.Module):
    """Linear(LayerNorm([playing * state, own])) for every entry."""

    def __init__(self, state_dim: int, own_dim: int, output_dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(state_dim + own_dim)
        self.linear = nn.Linear(state_dim + own_dim, output_dim)

    def forward(self, inputs: CentralInputs) -> Float[Tensor, "E H"]:
        """Outputs w (x - mean(x)) / deviation(x) + W b + c with w = W diag(g).

        g and b are LayerNorm's weight and bias, W and c the linear layer's. Each part is centred by its own mean, and
        the parts' squares are joined as in Chan et al., 1979. Differences of large numbers would lose float32's
        precision if inputs lie far from 0.
        """
        playing = inputs.playing.unsqueeze(1)
        own_mean, own_square, own = _centred(inputs.own)
        state_mean, state_square, state = _centred(inputs.state)
        state_mean = state_mean[inputs.row] * playing
        S, D = state.shape[1], self.linear.in_features
        share = S / D
        between = state_mean - own_mean
        variance = (state_square[inputs.row] * playing + own_square + share * (D - S) * between**2) / D
        w = self.linear.weight * self.norm.weight
        of_state, of_own = w[:, :S], w[:, S:]
        centred = F.linear(own, of_own) + F.linear(state, of_state)[inputs.row] * playing
        # Correct for the difference between each part's mean and the mean of the whole input.
        shifted = between * ((1.0 - share) * of_state.sum(dim=1) - share * of_own.sum(dim=1))
        bias = F.linear(self.norm.bias, self.linear.weight, self.linear.bias)
        return (centred + shifted) * (variance + self.norm.eps).rsqrt() + bias


def _centred(x: Float[Tensor, "X I"]) -> tuple[Float[Tensor, "X 1"], Float[Tensor, "X 1"], Float[Tensor, "X I"]]:
    """The mean, the sum of squared differences from it, and the differences."""
    mean = x.mean(dim=1, keepdim=True)
    apart = x - mean
    return mean, apart.square().sum(dim=1, keepdim=True), apart
