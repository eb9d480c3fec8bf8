"""What a centralised critic reads for every agent: the team's state and the agent's own inputs, never joined in memory.

A state is as long as all observations together, so a copy of it for each agent would be most of a learner's memory
and work. LayerNorm and linear layer are linear up to a mean and a deviation, so both parts can be projected alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class CentralInputs:
    """The inputs of E entries, each one agent in one row.

    Attributes:
        state: [R, S] states.
        row: [E] the row of an entry.
        playing: [E] 0 where the entry does not see the state.
        own: [E, I] the agents' own inputs.
    """

    state: Float[Tensor, "R S"]
    row: Int[Tensor, "E"]
    playing: Float[Tensor, "E"]
    own: Float[Tensor, "E I"]

    def __getitem__(self, entries: Int[Tensor, "X"]) -> CentralInputs:
        """Some of the entries."""
        return CentralInputs(self.state, self.row[entries], self.playing[entries], self.own[entries])


class CentralLinear(nn.Module):
    """Linear(LayerNorm([playing * state, own])) for every entry."""

    def __init__(self, state_dim: int, own_dim: int, output_dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(state_dim + own_dim)
        self.linear = nn.Linear(state_dim + own_dim, output_dim)

    def forward(self, inputs: CentralInputs) -> Float[Tensor, "E H"]:
        """With w = W diag(g): (w x - mean(x) w 1) / deviation(x) + W b + c."""
        state, own, playing = inputs.state, inputs.own, inputs.playing
        S, D = state.shape[1], self.linear.in_features
        w = self.linear.weight * self.norm.weight
        sums = torch.stack([state.sum(dim=1), state.square().sum(dim=1)], dim=1)[inputs.row] * playing.unsqueeze(1)
        mean, square = ((sums + torch.stack([own.sum(dim=1), own.square().sum(dim=1)], dim=1)) / D).split(1, dim=1)
        scale = (square - mean**2).clamp(min=0.0).add(self.norm.eps).rsqrt()
        projected = F.linear(own, w[:, S:]) + F.linear(state, w[:, :S])[inputs.row] * playing.unsqueeze(1)
        bias = F.linear(self.norm.bias, self.linear.weight, self.linear.bias)
        return (projected - mean * w.sum(dim=1)) * scale + bias
