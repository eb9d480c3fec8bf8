"""FOP (Zhang et al., 2021), MACPF's base method, as in the authors' later release (PKU-RL/FOP-DMAC-MACPF, 67aacc4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch
from jaxtyping import Float, Int
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from macpf.learning.algorithm import Memory, OffPolicyAlgorithm, Sizes, checked
from macpf.learning.attention import DuplexMixer, soft_values
from macpf.learning.networks import AgentNetwork, gumbel, joint_of, mask_unavailable, pick
from macpf.learning.optimisation import Optimiser, TargetUpdates, target_of
from macpf.learning.returns import masked_mean, td_lambda
from macpf.learning.schedules import Clock, Schedule

if TYPE_CHECKING:
    from macpf.experience.batch import EpisodeBatch, Observation


class FOPCritic(nn.Module):
    """The agents' values and their mixer."""

    def __init__(self, agents: AgentNetwork, mixer: DuplexMixer) -> None:
        super().__init__()
        self.agents, self.mixer = agents, mixer

    def forward(
        self, inputs: Float[Tensor, "R N I"], batch: EpisodeBatch, actions: Int[Tensor, "R N"], alpha: float
    ) -> tuple[Float[Tensor, "R N A"], Float[Tensor, "R"], Float[Tensor, "R"]]:
        """Values, joint values of the actions, and the attention's regulariser."""
        q, _ = self.agents(inputs, batch.sizes)
        joint, regulariser = self.mixer(pick(q, actions), soft_values(q, alpha), actions, batch.state, batch.obs)
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
                DuplexMixer(sizes, embed_dim, hypernet_dim, n_heads, n_kernels),
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
        return {"independent": joint_of(logits.softmax(dim=-1))}

    def _logits(self, observation: Observation, memory: Memory) -> tuple[Float[Tensor, "B N A"], Tensor | None]:
        inputs = self.inputs_now(observation, memory)
        logits, hidden = self.actor(inputs, (len(inputs),), memory.hidden)
        return mask_unavailable(logits, observation.available), hidden

    def learn(self, batch: EpisodeBatch, clock: Clock) -> dict[str, Tensor]:
        """One gradient step for the actor and both critics, then the target update if it is due."""
        alpha = self.alpha(clock)
        inputs = self.inputs_of(batch)
        logits, _ = self.actor(inputs, batch.sizes)
        log_policy = mask_unavailable(logits, batch.available).log_softmax(dim=-1)
        target = self._targets(batch, inputs, log_policy.detach(), alpha)

        critic_loss, regulariser = batch.reward.new_zeros(()), batch.reward.new_zeros(())
        qs = []
        for critic in self.critics:
            q, joint, attention = critic(inputs, batch, batch.actions, alpha)
            critic_loss = critic_loss + masked_mean((joint - target) ** 2, batch.filled)
            regulariser = regulariser + masked_mean(attention, batch.filled)
            qs.append(q.detach())

        per_agent = (log_policy.exp() * (alpha * log_policy - torch.minimum(*qs))).sum(dim=-1)
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
        self, batch: EpisodeBatch, inputs: Float[Tensor, "R N I"], log_policy: Float[Tensor, "R N A"], alpha: float
    ) -> Float[Tensor, "R"]:
        """TD(lambda) of the smaller target value, then the entropy bonus: mean over agents, as both releases do."""
        sampled = (log_policy + gumbel(log_policy.shape, self.generator)).argmax(dim=-1)
        joints = [target(inputs, batch, sampled, alpha)[1] for target in self.targets]
        bonus = -alpha * pick(log_policy, sampled).mean(dim=-1)
        returns = td_lambda(batch, batch.next(torch.minimum(*joints)), self.gamma, self.td_lambda)
        return returns + batch.next(bonus) * (1.0 - batch.terminated)
