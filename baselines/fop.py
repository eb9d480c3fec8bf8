"""FOP (Zhang et al., 2021), MACPF's base method, as in the authors' later release (PKU-RL/FOP-DMAC-MACPF, 67aacc4)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import torch
from jaxtyping import Float, Int
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from macpf.learning.algorithm import Memory, OffPolicyAlgorithm, Sizes, checked
from macpf.learning.hypernetworks import two_layers
from macpf.learning.networks import AgentNetwork, gumbel, mask_unavailable, pick
from macpf.learning.optimisation import Optimiser, TargetUpdates, target_of
from macpf.learning.returns import masked_mean, td_lambda
from macpf.learning.schedules import Clock, Schedule

if TYPE_CHECKING:
    from macpf.experience.batch import EpisodeBatch, Observation


class AgentAttention(nn.Module):
    """Qatten's weights w_i = sum over heads of softmax_i(query(s) . key(f_i)), f_i the agents' own features."""

    def __init__(self, state_dim: int, feature_dim: int, n_heads: int, embed_dim: int, hypernet_dim: int) -> None:
        super().__init__()
        self.n_heads, self.embed_dim = n_heads, embed_dim
        self.queries = nn.ModuleList(
            nn.Sequential(nn.Linear(state_dim, hypernet_dim), nn.ReLU(), nn.Linear(hypernet_dim, embed_dim, bias=False))
            for _ in range(n_heads)
        )
        self.keys = nn.Linear(feature_dim, n_heads * embed_dim, bias=False)

    def forward(
        self, state: Float[Tensor, "B T S"], features: Float[Tensor, "B T N F"]
    ) -> tuple[Float[Tensor, "B T N"], Float[Tensor, ""]]:
        """The weights, and the mean square of the attention logits (summed over heads) for the regulariser.

        As in the release the mean runs over padded steps too.
        """
        queries = torch.stack([query(state) for query in self.queries], dim=-2)
        keys = self.keys(features).unflatten(-1, (self.n_heads, self.embed_dim))
        logits = torch.einsum("bthe,btnhe->bthn", queries, keys)
        weights = (logits / math.sqrt(self.embed_dim)).softmax(dim=-1).sum(dim=-2) + 1e-10
        return weights, logits.square().mean(dim=(0, 1, 3)).sum()


class ActionKernels(nn.Module):
    """lambda_i(s, a) = sum over kernels of |key(s)| sigmoid(agent_i(s)) sigmoid(action_i(s, a)) (QPLEX, FOP)."""

    def __init__(self, state_dim: int, n_agents: int, n_actions: int, n_kernels: int) -> None:
        super().__init__()
        self.shape = (n_kernels, n_agents)
        self.key = nn.Linear(state_dim, n_kernels)
        self.agents = nn.Linear(state_dim, n_kernels * n_agents)
        self.actions = nn.Linear(state_dim + n_agents * n_actions, n_kernels * n_agents)

    def forward(self, state: Float[Tensor, "B T S"], joint_actions: Float[Tensor, "B T NA"]) -> Float[Tensor, "B T N"]:
        """The positive weights lambda of the agents' advantages."""
        key = (self.key(state).abs() + 1e-10).unsqueeze(-1)
        agents = self.agents(state).sigmoid().unflatten(-1, self.shape)
        actions = self.actions(torch.cat([state, joint_actions], dim=-1)).sigmoid().unflatten(-1, self.shape)
        return (key * agents * actions).sum(dim=-2)


class FOPMixer(nn.Module):
    """Q_jt = sum_i w_i Q_i + V(s) + sum_i (lambda_i(s, a) - 1) sg[w_i (Q_i - V_i)], the paper's eq. 2.

    The weights w_i come from attention (`n_heads` > 0) or are 1 (`n_heads` = 0, as in the original liyheng/FOP).
    """

    def __init__(self, sizes: Sizes, embed_dim: int, hypernet_dim: int, n_heads: int, n_kernels: int) -> None:
        super().__init__()
        self.feature_dim, self.n_agents = sizes.agent_feature_dim, sizes.n_agents
        S, F_ = sizes.state_dim, sizes.agent_feature_dim or sizes.obs_dim
        self.attention = AgentAttention(S, F_, n_heads, embed_dim, hypernet_dim) if n_heads else None
        self.kernels = ActionKernels(S, sizes.n_agents, sizes.n_actions, n_kernels)
        self.value = two_layers(S, embed_dim, 1)

    def forward(
        self,
        values: Float[Tensor, "B T N"],
        soft_values: Float[Tensor, "B T N"],
        actions: Int[Tensor, "B T N"],
        n_actions: int,
        state: Float[Tensor, "B T S"],
        obs: Float[Tensor, "B T N O"],
    ) -> tuple[Float[Tensor, "B T"], Float[Tensor, ""]]:
        """Joint values, and the attention's regulariser."""
        if self.attention is None:
            weights, regulariser = torch.ones_like(values), values.new_zeros(())
        else:
            own = state[..., : self.n_agents * self.feature_dim].unflatten(-1, (self.n_agents, -1))
            weights, regulariser = self.attention(state, own if self.feature_dim else obs)
        joint_actions = F.one_hot(actions, n_actions).flatten(-2).to(state.dtype)
        advantages = (weights * (values - soft_values)).detach()
        correction = ((self.kernels(state, joint_actions) - 1.0) * advantages).sum(dim=-1)
        return (weights * values).sum(dim=-1) + self.value(state).squeeze(-1) + correction, regulariser


class FOPCritic(nn.Module):
    """The agents' values and their mixer."""

    def __init__(self, agents: AgentNetwork, mixer: FOPMixer) -> None:
        super().__init__()
        self.agents, self.mixer = agents, mixer

    def forward(
        self,
        inputs: Float[Tensor, "B T N I"],
        actions: Int[Tensor, "B t N"],
        state: Float[Tensor, "B t S"],
        obs: Float[Tensor, "B t N O"],
        alpha: float,
    ) -> tuple[Float[Tensor, "B t N A"], Float[Tensor, "B t"], Float[Tensor, ""]]:
        """Values, joint values of the actions, and the attention's regulariser, at the last t of T steps."""
        q, _ = self.agents(inputs)
        q = q[:, -actions.shape[1] :]
        soft_values = alpha * torch.logsumexp(q.detach() / alpha, dim=-1)  # V_i, over all actions as in the release
        joint, regulariser = self.mixer(pick(q, actions), soft_values, actions, q.shape[-1], state, obs)
        return q, joint, regulariser


class FOP(OffPolicyAlgorithm):
    """Independent soft policies, two critics with their own mixers, the smaller joint value as target.

    Args:
        sizes: of the environment.
        device: where networks and batches live.
        seed: of the stream that samples actions.
        gamma: discount per env step.
        td_lambda: of the lambda-return (0.8 in both releases).
        lr: RMSprop's learning rate.
        clip: largest global gradient norm, for the actor and for each critic.
        hidden_dim: units of every hidden layer.
        recurrent: GRU in the trunks (SMAC, MPE) or not (matrix game).
        embed_dim, hypernet_dim, n_heads, n_kernels: the mixers' sizes; `n_heads` = 0 sets the weights w_i to 1.
        attention_cost: weight of the attention regulariser.
        target_interval: episodes between hard target updates.
        alpha: temperature in units of reward.
    """

    policies = ("independent",)

    @checked
    def __init__(
        self,
        sizes: Sizes,
        device: str,
        seed: int,
        *,
        gamma: Annotated[float, Field(ge=0, le=1)],
        td_lambda: Annotated[float, Field(ge=0, le=1)],
        lr: PositiveFloat,
        clip: PositiveFloat,
        hidden_dim: PositiveInt,
        recurrent: bool,
        embed_dim: PositiveInt,
        hypernet_dim: PositiveInt,
        n_heads: Annotated[int, Field(ge=0)],
        n_kernels: PositiveInt,
        attention_cost: Annotated[float, Field(ge=0)],
        target_interval: PositiveInt,
        alpha: Schedule,
    ) -> None:
        if min(alpha.start, alpha.end) <= 0:
            raise ValueError(
                f"alpha falls to {min(alpha.start, alpha.end)}, but FOP's soft values divide by it; keep it above 0"
            )
        super().__init__(sizes, device, seed)
        self.gamma, self.td_lambda, self.alpha, self.attention_cost = gamma, td_lambda, alpha, attention_cost
        A = sizes.n_actions
        input_dim = sizes.obs_dim + A + sizes.n_agents
        self.actor = AgentNetwork(input_dim, A, hidden_dim, recurrent)
        self.critics = nn.ModuleList(
            FOPCritic(
                AgentNetwork(input_dim, A, hidden_dim, recurrent),
                FOPMixer(sizes, embed_dim, hypernet_dim, n_heads, n_kernels),
            )
            for _ in range(2)
        )
        self.targets = target_of(self.critics)
        self.to(device)
        groups = {"actor": self.actor, "critic_1": self.critics[0], "critic_2": self.critics[1]}
        self.optimiser = Optimiser(groups, lr, clip)
        self.target_updates = TargetUpdates(target_interval)

    @torch.no_grad()
    def act(self, observation: Observation, memory: Memory, clock: Clock) -> tuple[Int[Tensor, "B N"], Memory]:
        """Sample every agent's policy."""
        logits, hidden = self._logits(observation, memory)
        actions = (logits + gumbel(logits.shape, self.generator)).argmax(dim=-1)
        return actions, Memory(actions, hidden)

    @torch.no_grad()
    def act_greedily(self, observation: Observation, memory: Memory, policy: str) -> tuple[Int[Tensor, "B N"], Memory]:
        """Every agent's most probable action."""
        logits, hidden = self._logits(observation, memory)
        actions = logits.argmax(dim=-1)
        return actions, Memory(actions, hidden)

    @torch.no_grad()
    def joint_policies(self, observation: Observation) -> dict[str, Float[Tensor, "B *A"]]:
        """The product of the agents' policies in the first state (eq. 1)."""
        logits, _ = self._logits(observation, self.start(len(observation.obs)))
        joint, *others = logits.softmax(dim=-1).unbind(dim=1)
        for policy in others:
            joint = joint.unsqueeze(-1) * policy.view(len(policy), *[1] * (joint.dim() - 1), -1)
        return {"independent": joint}

    def _logits(self, observation: Observation, memory: Memory) -> tuple[Float[Tensor, "B N A"], Tensor | None]:
        inputs = self.inputs_now(observation, memory)
        logits, hidden = self.actor(inputs, memory.hidden)
        return mask_unavailable(logits.squeeze(1), observation.available), hidden

    def learn(self, batch: EpisodeBatch, clock: Clock) -> dict[str, Tensor]:
        """One gradient step for the actor and both critics, then the target update if it is due."""
        alpha = self.alpha(clock)
        T, steps = batch.length, batch.valued_steps
        inputs = self.inputs_of(batch)
        logits, _ = self.actor(inputs)
        log_policy = mask_unavailable(logits, batch.available[:, :steps]).log_softmax(dim=-1)
        target = self._targets(batch, inputs, log_policy.detach(), alpha)

        critic_loss, regulariser = batch.reward.new_zeros(()), batch.reward.new_zeros(())
        qs = []
        for critic in self.critics:
            q, joint, attention = critic(inputs[:, :T], batch.actions, batch.state[:, :T], batch.obs[:, :T], alpha)
            critic_loss = critic_loss + masked_mean((joint - target) ** 2, batch.filled)
            regulariser = regulariser + attention
            qs.append(q.detach())

        log_now = log_policy[:, :T]
        per_agent = (log_now.exp() * (alpha * log_now - torch.minimum(*qs))).sum(dim=-1)
        actor_loss = masked_mean(per_agent.mean(dim=-1), batch.filled)
        norms = self.optimiser.step(actor_loss + critic_loss + self.attention_cost * regulariser)
        if self.target_updates.due(clock.episodes):
            self.targets.load_state_dict(self.critics.state_dict())
        return {
            "train/loss/critics": critic_loss.detach(),
            "train/loss/policy": actor_loss.detach(),
            "train/alpha": torch.tensor(alpha, device=self.device),
        } | norms

    @torch.no_grad()
    def _targets(
        self, batch: EpisodeBatch, inputs: Float[Tensor, "B T1 N I"], log_policy: Tensor, alpha: float
    ) -> Float[Tensor, "B T"]:
        """TD(lambda) of the smaller target value, then the entropy bonus: mean over agents, as both releases do."""
        next_value, bonus = torch.zeros_like(batch.reward), torch.zeros_like(batch.reward)
        n_next = inputs.shape[1] - 1
        if n_next > 0:
            sampled = (log_policy + gumbel(log_policy.shape, self.generator)).argmax(dim=-1)[:, 1:]
            state, obs = batch.state[:, 1 : n_next + 1], batch.obs[:, 1 : n_next + 1]
            joints = [target(inputs, sampled, state, obs, alpha)[1] for target in self.targets]
            next_value[:, :n_next] = torch.minimum(*joints)
            bonus[:, :n_next] = -alpha * pick(log_policy[:, 1:], sampled).mean(dim=-1)
        returns = td_lambda(batch.reward, next_value, batch.terminated, batch.filled, self.gamma, self.td_lambda)
        return returns + bonus * (1.0 - batch.terminated)
