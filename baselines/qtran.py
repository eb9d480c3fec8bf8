"""QTRAN-base (Son et al., 2019), as in PyMARL (oxwhirl/pymarl, c971afd); the paper runs it on the matrix game."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import torch
from jaxtyping import Float, Int
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from macpf.learning.algorithm import Sizes, checked
from macpf.learning.hypernetworks import two_layers
from macpf.learning.networks import mask_unavailable, one_hot, pick
from macpf.learning.returns import masked_mean, td_lambda
from macpf.learning.value_based import ValueBased

if TYPE_CHECKING:
    from macpf.experience.batch import EpisodeBatch


class JointValue(nn.Module):
    """Q(s, a) from the state and the sum of the agents' encoded features and actions, and V(s)."""

    def __init__(self, sizes: Sizes, hidden_dim: int, embed_dim: int) -> None:
        super().__init__()
        encoded = hidden_dim + sizes.n_actions
        self.n_actions = sizes.n_actions
        self.encode = two_layers(encoded, encoded, encoded)
        self.q = nn.Sequential(
            nn.Linear(sizes.state_dim + encoded, embed_dim), nn.ReLU(), two_layers(embed_dim, embed_dim, 1)
        )
        self.v = nn.Sequential(nn.Linear(sizes.state_dim, embed_dim), nn.ReLU(), two_layers(embed_dim, embed_dim, 1))

    def forward(
        self, features: Float[Tensor, "R N H"], actions: Int[Tensor, "R N"], state: Float[Tensor, "R S"]
    ) -> Float[Tensor, " R"]:
        """Q(s, a) of the joint actions."""
        encoded = self.encode(torch.cat([features, one_hot(actions, self.n_actions).to(features.dtype)], dim=-1))
        return self.q(torch.cat([state, encoded.sum(dim=-2)], dim=-1)).squeeze(-1)


class QTRAN(ValueBased):
    """An unrestricted joint value, and utilities whose sum plus V(s) must match it.

    The sum must equal the joint value at the greedy joint action, and must not be smaller elsewhere.

    Args:
        sizes: sizes of the environment.
        device: device of networks and batches.
        seed: seed of the random stream for exploration.
        hidden_dim: units of every hidden layer of the agents.
        embed_dim: units of the hidden layers of Q and V.
        opt_cost, nopt_cost: weights of the losses L_opt and L_nopt for these two constraints.
        settings: further arguments of `ValueBased`.
    """

    @checked
    def __init__(
        self,
        sizes: Sizes,
        device: str,
        seed: int,
        *,
        hidden_dim: PositiveInt,
        embed_dim: PositiveInt,
        opt_cost: Annotated[float, Field(ge=0)],
        nopt_cost: Annotated[float, Field(ge=0)],
        **settings: Any,
    ) -> None:
        mixer = JointValue(sizes, hidden_dim, embed_dim)
        super().__init__(sizes, device, seed, mixer=mixer, hidden_dim=hidden_dim, **settings)
        self.opt_cost, self.nopt_cost = opt_cost, nopt_cost

    def joint_value(
        self, mixer: nn.Module, q: Float[Tensor, "R N A"], actions: Int[Tensor, "R N"], batch: EpisodeBatch
    ) -> tuple[Float[Tensor, " R"], None]:
        """The transformed joint value sum_i Q_i + V(s), which the agents' greedy actions maximise."""
        assert isinstance(mixer, JointValue)
        return pick(q, actions).sum(dim=-1) + mixer.v(batch.state).squeeze(-1), None

    def losses(self, batch: EpisodeBatch) -> dict[str, Float[Tensor, ""]]:
        """L_td of the joint value, L_opt at the greedy joint action, and L_nopt at the joint action taken."""
        inputs, mixer = self.inputs_of(batch), self.live["mixer"]
        agents: Any = self.live["agents"]
        features, _ = agents.trunk(inputs, batch.sizes)
        q = agents.head(features)
        greedy = mask_unavailable(q.detach(), batch.available).argmax(dim=-1)
        played = mixer(features, batch.actions, batch.state)
        goals = self.goals(batch, inputs, q.detach())
        with torch.no_grad():
            at_greedy = mixer(features, greedy, batch.state)
        opt = self.joint_value(mixer, q, greedy, batch)[0] - at_greedy
        nopt = (self.joint_value(mixer, q, batch.actions, batch)[0] - played.detach()).clamp(max=0.0)
        return {
            "td": masked_mean((played - goals) ** 2, batch.filled),
            "opt": self.opt_cost * masked_mean(opt**2, batch.filled),
            "nopt": self.nopt_cost * masked_mean(nopt**2, batch.filled),
        }

    @torch.no_grad()
    def goals(
        self, batch: EpisodeBatch, inputs: Float[Tensor, "R N I"], live_q: Float[Tensor, "R N A"]
    ) -> Float[Tensor, " R"]:
        """TD targets of double Q-learning: live agents choose actions, the target network's joint value rates them."""
        greedy = mask_unavailable(live_q, batch.available).argmax(dim=-1)
        agents: Any = self.target["agents"]
        features, _ = agents.trunk(inputs, batch.sizes)
        value = self.target["mixer"](features, greedy, batch.state)
        return td_lambda(batch, batch.next(value), self.gamma, self.td_lambda)
