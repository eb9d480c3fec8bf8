"""Network parts that several algorithms share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from macpf.learning.pictures import first_layer
from macpf.learning.recurrence import by_agent, recur

if TYPE_CHECKING:
    from macpf.experience.packing import Packing

#: Replaces minus infinity in logits and values of unavailable actions, so that 0 * x stays finite.
UNAVAILABLE = -1e10


def agent_inputs(
    obs: Float[Tensor, "R N O"], last_actions: Int[Tensor, "R N"], n_actions: int
) -> Float[Tensor, "R N I"]:
    """Concatenate observation, one-hot last action (zeros where it is -1) and one-hot agent id: I = O + A + N."""
    R, N, _ = obs.shape
    last = torch.zeros(R, N, n_actions + 1, device=obs.device).scatter_(-1, last_actions.unsqueeze(-1) + 1, 1.0)
    ids = torch.eye(N, device=obs.device).expand(R, N, N)
    return torch.cat([obs, last[..., 1:], ids], dim=-1)


class Trunk(nn.Module):
    """Linear and ReLU, then a GRU if recurrent; one network for all agents (paper, C.1 and C.2).

    It has PyTorch's default initialisation, as in PyMARL. If inputs begin with `pictures` pictures of the shape
    `picture`, a small convolutional network processes these first.
    """

    def __init__(
        self,
        input_dim: int,
        hidden_dim: int,
        recurrent: bool,
        picture: tuple[int, int, int] | None = None,
        pictures: int = 1,
    ) -> None:
        super().__init__()
        self.hidden_dim = hidden_dim
        self.input = first_layer(input_dim, hidden_dim, picture, pictures)
        self.gru = nn.GRU(hidden_dim, hidden_dim) if recurrent else None

    def forward(
        self,
        inputs: Float[Tensor, "R N I"],
        sizes: Sequence[int] | Packing,
        hidden: Float[Tensor, "BN H"] | None = None,
    ) -> tuple[Float[Tensor, "R N H"], Float[Tensor, "BN H"] | None]:
        """Features of every agent in every row, and the recurrent states after each episode's last row.

        Args:
            inputs: rows ordered as in an `EpisodeBatch`.
            sizes: number of rows at each time, so (B,) for a single env step of B episodes; or the batch's packing.
            hidden: recurrent states before the first row; None: zeros.
        """
        x = F.relu(self.input(inputs))
        if self.gru is None:
            return x, None
        N = x.shape[1]
        features, hidden = recur(self.gru, x.flatten(0, 1), by_agent(sizes, N), hidden)
        return features.view_as(x), hidden


class AgentNetwork(nn.Module):
    """A trunk and a linear head with one output for each action: utilities, Q-values or logits."""

    def __init__(
        self,
        input_dim: int,
        n_actions: int,
        hidden_dim: int,
        recurrent: bool,
        picture: tuple[int, int, int] | None = None,
        pictures: int = 1,
    ) -> None:
        super().__init__()
        self.trunk = Trunk(input_dim, hidden_dim, recurrent, picture, pictures)
        self.head = nn.Linear(hidden_dim, n_actions)

    def forward(
        self,
        inputs: Float[Tensor, "R N I"],
        sizes: Sequence[int] | Packing,
        hidden: Float[Tensor, "BN H"] | None = None,
    ) -> tuple[Float[Tensor, "R N A"], Float[Tensor, "BN H"] | None]:
        """Outputs of every agent in every row, and the recurrent states after each episode's last row (see `Trunk`)."""
        features, hidden = self.trunk(inputs, sizes, hidden)
        return self.head(features), hidden


def mask_unavailable(
    values: Float[Tensor, "*batch A"], available: Bool[Tensor, "*batch A"]
) -> Float[Tensor, "*batch A"]:
    """Replace the values of unavailable actions by `UNAVAILABLE`."""
    return values.masked_fill(~available, UNAVAILABLE)


def pick(values: Float[Tensor, "*batch A"], actions: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Values of the given actions."""
    return values.gather(-1, actions.unsqueeze(-1)).squeeze(-1)


def one_hot(actions: Int[Tensor, "*batch"], n_actions: int) -> Bool[Tensor, "*batch A"]:
    """Boolean one-hot vectors. PyTorch's `one_hot` reads the actions first, for which the CPU waits for the device."""
    return actions.unsqueeze(-1) == torch.arange(n_actions, device=actions.device)


def gumbel(shape: torch.Size | tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Gumbel noise. The arg max of logits plus this noise is a sample of their softmax."""
    noise = torch.empty(shape, device=generator.device).exponential_(generator=generator)
    return noise.log_().neg_()


def joint_of(policies: Float[Tensor, "B N A"]) -> Float[Tensor, " B *A"]:
    """Joint action probabilities of agents that choose independently, one axis per agent."""
    joint, *others = policies.unbind(dim=1)
    for policy in others:
        joint = joint.unsqueeze(-1) * policy.view(len(policy), *[1] * (joint.dim() - 1), -1)
    return joint
