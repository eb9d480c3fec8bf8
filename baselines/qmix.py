"""QMIX (Rashid et al., 2018), as in PyMARL (oxwhirl/pymarl, c971afd): the paper's value decomposition baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch
from jaxtyping import Float, Int
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from macpf.learning.algorithm import Memory, OffPolicyAlgorithm, Sizes, checked
from macpf.learning.exploration import epsilon_greedy
from macpf.learning.hypernetworks import MixingWeights
from macpf.learning.networks import AgentNetwork, mask_unavailable, pick
from macpf.learning.optimisation import Optimiser, TargetUpdates, target_of
from macpf.learning.returns import masked_mean, td_lambda
from macpf.learning.schedules import Clock, Schedule

if TYPE_CHECKING:
    from macpf.experience.batch import EpisodeBatch, Observation


class MonotonicMixer(nn.Module):
    """Q_tot = ELU(q w1 + b1) w2 + v with non-negative w1, w2: monotonic in every agent's value."""

    def __init__(self, state_dim: int, n_agents: int, embed_dim: int, hypernet_dim: int) -> None:
        super().__init__()
        self.weights = MixingWeights(state_dim, n_agents, embed_dim, hypernet_dim)

    def forward(self, values: Float[Tensor, "B T N"], state: Float[Tensor, "B T S"]) -> Float[Tensor, "B T"]:
        """Joint values of the agents' values."""
        w1, b1, w2, v = self.weights(state)
        hidden = F.elu((values.unsqueeze(-2) @ w1).squeeze(-2) + b1)
        return (hidden * w2).sum(dim=-1) + v


class QMIX(OffPolicyAlgorithm):
    """Utilities mixed monotonically, trained by double Q-learning, explored epsilon-greedily.

    Args:
        sizes: of the environment.
        device: where networks and batches live.
        seed: of the stream that explores.
        gamma: discount per env step.
        td_lambda: 0 for one-step targets, as in PyMARL.
        lr: RMSprop's learning rate.
        clip: largest global gradient norm.
        hidden_dim: units of every hidden layer of the agents.
        recurrent: GRU in the trunk (SMAC, MPE) or not (matrix game).
        embed_dim, hypernet_dim: the mixer's sizes.
        target_interval: episodes between hard target updates.
        epsilon: probability of a uniform random action.
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
        target_interval: PositiveInt,
        epsilon: Schedule,
    ) -> None:
        if max(epsilon.start, epsilon.end) > 1:
            raise ValueError(f"epsilon is a probability, but reaches {max(epsilon.start, epsilon.end)}; use at most 1")
        super().__init__(sizes, device, seed)
        self.gamma, self.td_lambda, self.epsilon = gamma, td_lambda, epsilon
        N, A = sizes.n_agents, sizes.n_actions
        self.live = nn.ModuleDict(
            {
                "agents": AgentNetwork(sizes.obs_dim + A + N, A, hidden_dim, recurrent),
                "mixer": MonotonicMixer(sizes.state_dim, N, embed_dim, hypernet_dim),
            }
        )
        self.target = target_of(self.live)
        self.to(device)
        self.optimiser = Optimiser({"agents_and_mixer": self.live}, lr, clip)
        self.target_updates = TargetUpdates(target_interval)

    @torch.no_grad()
    def act(self, observation: Observation, memory: Memory, clock: Clock) -> tuple[Int[Tensor, "B N"], Memory]:
        """Greedy with probability 1 - epsilon, else uniform over the available actions, for each agent alone."""
        greedy, memory = self.act_greedily(observation, memory, "independent")
        actions = epsilon_greedy(greedy, observation.available, self.epsilon(clock), self.generator)
        return actions, Memory(actions, memory.hidden)

    @torch.no_grad()
    def act_greedily(self, observation: Observation, memory: Memory, policy: str) -> tuple[Int[Tensor, "B N"], Memory]:
        """Every agent's best available action."""
        inputs = self.inputs_now(observation, memory)
        q, hidden = self.live["agents"](inputs, memory.hidden)
        actions = mask_unavailable(q.squeeze(1), observation.available).argmax(dim=-1)
        return actions, Memory(actions, hidden)

    def learn(self, batch: EpisodeBatch, clock: Clock) -> dict[str, Tensor]:
        """One gradient step on the squared TD error, then the target update if it is due."""
        T = batch.length
        inputs = self.inputs_of(batch)
        q, _ = self.live["agents"](inputs)
        joint = self.live["mixer"](pick(q[:, :T], batch.actions), batch.state[:, :T])
        target = self._targets(batch, inputs, q.detach())
        loss = masked_mean((joint - target) ** 2, batch.filled)
        norms = self.optimiser.step(loss)
        if self.target_updates.due(clock.episodes):
            self.target.load_state_dict(self.live.state_dict())
        return {
            "train/loss/td": loss.detach(),
            "train/epsilon": torch.tensor(self.epsilon(clock), device=self.device),
        } | norms

    @torch.no_grad()
    def _targets(
        self, batch: EpisodeBatch, inputs: Float[Tensor, "B T1 N I"], live_q: Float[Tensor, "B T1 N A"]
    ) -> Float[Tensor, "B T"]:
        """Double Q-learning: the live network chooses, the target network values (PyMARL `q_learner.py`)."""
        next_value = torch.zeros_like(batch.reward)
        n_next = inputs.shape[1] - 1
        if n_next > 0:
            best = mask_unavailable(live_q[:, 1:], batch.available[:, 1 : n_next + 1]).argmax(dim=-1)
            q, _ = self.target["agents"](inputs)
            next_value[:, :n_next] = self.target["mixer"](pick(q[:, 1:], best), batch.state[:, 1 : n_next + 1])
        return td_lambda(batch.reward, next_value, batch.terminated, batch.filled, self.gamma, self.td_lambda)
