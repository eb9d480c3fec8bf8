"""Network parts that several algorithms share."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

#: Stands for minus infinity in logits and values of unavailable actions, but keeps 0 * x finite.
UNAVAILABLE = -1e10


def agent_inputs(
    obs: Float[Tensor, "B T N O"], last_actions: Int[Tensor, "B T N"], n_actions: int
) -> Float[Tensor, "B T N I"]:
    """Join observation, one-hot last action (zeros where it is -1) and one-hot agent id: I = O + A + N."""
    B, T, N, _ = obs.shape
    last = torch.zeros(B, T, N, n_actions + 1, device=obs.device).scatter_(-1, last_actions.unsqueeze(-1) + 1, 1.0)
    ids = torch.eye(N, device=obs.device).expand(B, T, N, N)
    return torch.cat([obs, last[..., 1:], ids], dim=-1)


def last_actions(actions: Int[Tensor, "B T N"], n_steps: int) -> Int[Tensor, "B n_steps N"]:
    """Shift the actions by one step, -1 before the first, and cut to `n_steps` (at most T + 1)."""
    return F.pad(actions, (0, 0, 1, 0), value=-1)[:, :n_steps]


class Trunk(nn.Module):
    """Linear and ReLU, then a GRU if recurrent; one network for all agents (paper, C.1 and C.2).

    The PyTorch defaults initialise it, as in PyMARL.
    """

    def __init__(self, input_dim: int, hidden_dim: int, recurrent: bool) -> None:
        super().__init__()
        self.hidden_dim = hidden_dim
        self.input = nn.Linear(input_dim, hidden_dim)
        self.gru = nn.GRU(hidden_dim, hidden_dim, batch_first=True) if recurrent else None

    def forward(
        self, inputs: Float[Tensor, "B T N I"], hidden: Float[Tensor, "1 BN H"] | None = None
    ) -> tuple[Float[Tensor, "B T N H"], Float[Tensor, "1 BN H"] | None]:
        """Features of every agent at every step, and the recurrent state after the last one."""
        x = F.relu(self.input(inputs))
        if self.gru is None:
            return x, None
        B, T, N, H = x.shape
        rows = x.transpose(1, 2).reshape(B * N, T, H)
        features, hidden = self.gru(rows, hidden)
        return features.view(B, N, T, H).transpose(1, 2), hidden


class AgentNetwork(nn.Module):
    """A trunk and a linear head with one output for each action: utilities, Q-values or logits."""

    def __init__(self, input_dim: int, n_actions: int, hidden_dim: int, recurrent: bool) -> None:
        super().__init__()
        self.trunk = Trunk(input_dim, hidden_dim, recurrent)
        self.head = nn.Linear(hidden_dim, n_actions)

    def forward(
        self, inputs: Float[Tensor, "B T N I"], hidden: Float[Tensor, "1 BN H"] | None = None
    ) -> tuple[Float[Tensor, "B T N A"], Float[Tensor, "1 BN H"] | None]:
        """Outputs of every agent at every step, and the recurrent state after the last one."""
        features, hidden = self.trunk(inputs, hidden)
        return self.head(features), hidden


def mask_unavailable(
    values: Float[Tensor, "*batch A"], available: Bool[Tensor, "*batch A"]
) -> Float[Tensor, "*batch A"]:
    """Replace the values of unavailable actions by a very low number."""
    return values.masked_fill(~available, UNAVAILABLE)


def pick(values: Float[Tensor, "*batch A"], actions: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Values of the given actions."""
    return values.gather(-1, actions.unsqueeze(-1)).squeeze(-1)


def gumbel(shape: torch.Size | tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Gumbel noise: the arg max of logits plus it is a sample of their softmax."""
    noise = torch.empty(shape, device=generator.device).exponential_(generator=generator)
    return noise.log_().neg_()
