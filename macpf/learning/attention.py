"""The mixer that FOP, QPLEX and MACPF_ATT share: attention weights, and advantage weights from the joint action."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from macpf.learning.algorithm import Number, Sizes
from macpf.learning.hypernetworks import two_layers
from macpf.learning.networks import one_hot
from macpf.learning.returns import masked_mean, padded_mean

if TYPE_CHECKING:
    from macpf.experience.batch import EpisodeBatch


class AgentAttention(nn.Module):
    """Qatten's weights w_i = sum over heads k of h_k softmax_i(query_k(s) . key_k(f_i)), f_i the agents' own features.

    h_k is 1. With `weighted_heads` it is the absolute value of a function of the state.
    """

    def __init__(
        self,
        state_dim: int,
        feature_dim: int,
        n_heads: int,
        embed_dim: int,
        hypernet_dim: int,
        weighted_heads: bool = False,
    ) -> None:
        super().__init__()
        self.n_heads, self.embed_dim = n_heads, embed_dim
        self.queries = nn.ModuleList(
            nn.Sequential(nn.Linear(state_dim, hypernet_dim), nn.ReLU(), nn.Linear(hypernet_dim, embed_dim, bias=False))
            for _ in range(n_heads)
        )
        self.keys = nn.Linear(feature_dim, n_heads * embed_dim, bias=False)
        self.heads = two_layers(state_dim, hypernet_dim, n_heads) if weighted_heads else None

    def forward(
        self, state: Float[Tensor, "R S"], features: Float[Tensor, "R N F"]
    ) -> tuple[Float[Tensor, "R N"], Float[Tensor, " R"]]:
        """The weights w_i, and the regulariser: squared attention logits, averaged over agents, summed over heads."""
        queries = torch.stack([query(state) for query in self.queries], dim=-2)
        keys = self.keys.weight.view(self.n_heads, self.embed_dim, -1)
        # query . (K f) = (K^T query) . f needs a product with each agent's features, but not the agents' keys.
        logits = torch.einsum("rhe,hef->rhf", queries, keys) @ features.transpose(-1, -2)
        by_head = (logits / math.sqrt(self.embed_dim)).softmax(dim=-1)
        if self.heads is not None:
            by_head = by_head * self.heads(state).abs().unsqueeze(-1)
        return by_head.sum(dim=-2) + 1e-10, logits.square().mean(dim=-1).sum(dim=-1)


class ActionKernels(nn.Module):
    """lambda_i(s, a) = sum over kernels of |key(s)| sigmoid(agent_i(s)) sigmoid(action_i(s, a)) (QPLEX, FOP)."""

    def __init__(self, state_dim: int, n_agents: int, n_actions: int, n_kernels: int) -> None:
        super().__init__()
        self.shape = (n_kernels, n_agents)
        self.key = nn.Linear(state_dim, n_kernels)
        self.agents = nn.Linear(state_dim, n_kernels * n_agents)
        self.actions = nn.Linear(state_dim + n_agents * n_actions, n_kernels * n_agents)

    def forward(self, state: Float[Tensor, "R S"], joint_actions: Float[Tensor, "R NA"]) -> Float[Tensor, "R N"]:
        """The positive weights lambda_i of the agents' advantages."""
        key = (self.key(state).abs() + 1e-10).unsqueeze(-1)
        agents = self.agents(state).sigmoid().unflatten(-1, self.shape)
        actions = self.actions(torch.cat([state, joint_actions], dim=-1)).sigmoid().unflatten(-1, self.shape)
        return (key * agents * actions).sum(dim=-2)


class DuplexMixer(nn.Module):
    """Q_jt = sum_i w_i Q_i + V(s) + sum_i (lambda_i(s, a) - 1) sg[w_i (Q_i - V_i)] (paper, eq. 2).

    V_i is the baseline of the agent's action: its best action's value in QPLEX, its soft value in FOP.
    The weights w_i come from attention (`n_heads` > 0). Without heads they are 1, as in the original liyheng/FOP, or
    with `state_weights` a positive function of the state, as in QPLEX without attention.

    Args:
        sizes: sizes of the environment.
        embed_dim, hypernet_dim, n_heads, n_kernels: sizes of the networks.
        state_weights: see above.
        weighted_heads: see `AgentAttention`.
        values_in_keys: whether the attention also reads the agents' values; no gradient flows through them there.
        value_per_agent: V(s) is the sum of one output per agent (QPLEX's code without attention). For the same
            gradient, RMSprop then changes the sum N times as much.
    """

    def __init__(
        self,
        sizes: Sizes,
        embed_dim: int,
        hypernet_dim: int,
        n_heads: int,
        n_kernels: int,
        state_weights: bool = False,
        weighted_heads: bool = False,
        values_in_keys: bool = False,
        value_per_agent: bool = False,
    ) -> None:
        super().__init__()
        self.feature_dim, self.n_agents, self.n_actions = sizes.agent_feature_dim, sizes.n_agents, sizes.n_actions
        self.values_in_keys = values_in_keys
        S, F_ = sizes.state_dim, (sizes.agent_feature_dim or sizes.obs_dim) + values_in_keys
        self.attention = AgentAttention(S, F_, n_heads, embed_dim, hypernet_dim, weighted_heads) if n_heads else None
        self.weights = two_layers(S, hypernet_dim, sizes.n_agents) if state_weights and not n_heads else None
        self.kernels = ActionKernels(S, sizes.n_agents, sizes.n_actions, n_kernels)
        self.value = two_layers(S, hypernet_dim, sizes.n_agents) if value_per_agent else two_layers(S, embed_dim, 1)

    def forward(
        self,
        values: Float[Tensor, "R N"],
        baselines: Float[Tensor, "R N"],
        actions: Int[Tensor, "R N"],
        state: Float[Tensor, "R S"],
        obs: Float[Tensor, "R N O"],
    ) -> tuple[Float[Tensor, " R"], Float[Tensor, " R"]]:
        """Joint values from the actions' `values` Q_i and the `baselines` V_i, and the attention regulariser."""
        weights, regulariser = self._weights(values, state, obs)
        joint_actions = one_hot(actions, self.n_actions).flatten(-2).to(state.dtype)
        advantages = (weights * (values - baselines)).detach()
        correction = ((self.kernels(state, joint_actions) - 1.0) * advantages).sum(dim=-1)
        return (weights * values).sum(dim=-1) + self.value(state).sum(dim=-1) + correction, regulariser

    def _weights(self, values: Tensor, state: Tensor, obs: Tensor) -> tuple[Tensor, Tensor]:
        """The weights w_i, and the attention regulariser."""
        if self.attention is None:
            ones = torch.ones_like(values)
            return ones if self.weights is None else self.weights(state).abs() + 1e-10, torch.zeros_like(values[:, 0])
        features = obs
        if self.feature_dim:
            features = state[..., : self.n_agents * self.feature_dim].unflatten(-1, (self.n_agents, -1))
        if self.values_in_keys:
            features = torch.cat([features, values.detach().unsqueeze(-1)], dim=-1)
        return self.attention(state, features)


def soft_values(q: Float[Tensor, "R N A"], alpha: Number) -> Float[Tensor, "R N"]:
    """V_i = alpha log sum exp(Q_i / alpha): eq. 4 with its logarithm, over all actions, as in the authors' code."""
    return alpha * torch.logsumexp(q.detach() / alpha, dim=-1)


def mean_regulariser(
    regulariser: Float[Tensor, " R"], batch: EpisodeBatch, over: Literal["played", "padded"]
) -> Float[Tensor, ""]:
    """Mean of a mixer's regulariser over the `played` steps, or over all `padded` ones, as in the authors' codes."""
    return padded_mean(regulariser, batch) if over == "padded" else masked_mean(regulariser, batch.filled)
