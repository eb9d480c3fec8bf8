"""Mixers whose weights are functions of the global state."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class MixingWeights(nn.Module):
    """A two-layer mixer's weights and biases from the state, weights non-negative (QMIX's hypernetworks).

    w1 = |H1(s)|, b1 = Linear(s), w2 = |H2(s)|, v = V(s); H1, H2 and V have one hidden ReLU layer. The authors' code
    has the same in `modules/mixers/dfop.py`.
    """

    def __init__(self, state_dim: int, n_agents: int, embed_dim: int, hypernet_dim: int) -> None:
        super().__init__()
        self.n_agents, self.embed_dim = n_agents, embed_dim
        self.first = two_layers(state_dim, hypernet_dim, n_agents * embed_dim)
        self.first_bias = nn.Linear(state_dim, embed_dim)
        self.second = two_layers(state_dim, hypernet_dim, embed_dim)
        self.value = two_layers(state_dim, embed_dim, 1)

    def forward(
        self, state: Float[Tensor, "*batch S"]
    ) -> tuple[
        Float[Tensor, "*batch N E"], Float[Tensor, "*batch E"], Float[Tensor, "*batch E"], Float[Tensor, "*batch"]
    ]:
        """The mixer's w1, b1, w2 and v at each state."""
        w1 = self.first(state).abs().unflatten(-1, (self.n_agents, self.embed_dim))
        return w1, self.first_bias(state), self.second(state).abs(), self.value(state).squeeze(-1)


def mix_monotonically(
    values: Float[Tensor, "*batch N"],
    weights: tuple[
        Float[Tensor, "*batch N E"], Float[Tensor, "*batch E"], Float[Tensor, "*batch E"], Float[Tensor, "*batch"]
    ],
) -> Float[Tensor, "*batch"]:
    """QMIX's ELU(q w1 + b1) w2 + v, with the `weights` that `MixingWeights` returns."""
    w1, b1, w2, v = weights
    hidden = F.elu((values.unsqueeze(-2) @ w1).squeeze(-2) + b1)
    return (hidden * w2).sum(dim=-1) + v


def two_layers(input_dim: int, hidden_dim: int, output_dim: int) -> nn.Sequential:
    """Linear, ReLU, Linear."""
    return nn.Sequential(nn.Linear(input_dim, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, output_dim))
