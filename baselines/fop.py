"""FOP (Zhang et al., 2021), MACPF's base method, as in the authors' later release (PKU-RL/FOP-DMAC-MACPF, 67aacc4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from macpf.learning.algorithm import Memory, Number, OffPolicyAlgorithm, Sizes, checked
from macpf.learning.attention import DuplexMixer, mean_regulariser, soft_values
from macpf.learning.networks import AgentNetwork, gumbel, joint_of, mask_unavailable, pick
from macpf.learning.optimisation import Optimiser, TargetUpdates, target_of
from macpf.learning.returns import entropy_bonus, masked_mean, td_lambda
from macpf.learning.schedules import Clock, Schedule
from macpf.learning.update_plan import UpdatePlan, chosen_plan, follow, moved_by

if TYPE_CHECKING:
    from macpf.experience.batch import EpisodeBatch, Observation


#: Names of the losses that an update minimises.
LOSSES = ("policy", "critics", "attention")


class FOPCritic(nn.Module):
    """The network of the agents' values, and their mixer."""

    def __init__(self, agents: AgentNetwork, mixer: DuplexMixer) -> None:
        super().__init__()
        self.agents, self.mixer = agents, mixer

    def forward(
        self, inputs: Float[Tensor, "R N I"], batch: EpisodeBatch, actions: Int[Tensor, "R N"], alpha: Number
    ) -> tuple[Float[Tensor, "R N A"], Float[Tensor, " R"], Float[Tensor, " R"]]:
        """The agents' values, the joint values of the actions, and the attention regulariser."""
        q, _ = self.agents(inputs, batch.sizes)
        joint, regulariser = self.mixer(pick(q, actions), soft_values(q, alpha), actions, batch.state, batch.obs)
        return q, joint, regulariser


class FOP(OffPolicyAlgorithm):
    """Independent soft policies and two critics with their own mixers; targets use the smaller joint value.

    "Both releases" are the original liyheng/FOP and the authors' later one.

    Args:
        sizes: sizes of the environment.
        device: device of networks and batches.
        seed: seed of the random stream that samples actions.
        gamma: discount per env step.
        td_lambda: lambda of the TD targets (0.8 in both releases).
        lr: RMSprop's learning rate.
        clip: largest global gradient norm of the actor, and of each critic.
        hidden_dim: units of every hidden layer.
        recurrent: GRU in the trunks (SMAC, MPE) or not (matrix game).
        embed_dim, hypernet_dim, n_heads, n_kernels: sizes of the mixers; `n_heads` = 0 sets the weights w_i to 1.
        attention_cost: weight of the attention regulariser.
        attention_mean: whether the regulariser is averaged over the `played` steps, or over all steps of a `padded`
            batch (the later release).
        terminal_entropy: whether the TD target of a terminal step also has the entropy bonus, for the state after the
            end (both releases).
        plan: name of the plan to follow, one of `plans`.
        plans: by name, which losses change which parameters, and in which order (see `UpdateStep`). The losses are
            `policy`, `critics` and `attention` (the regulariser), the groups of parameters `actor`, `critic_1` and
            `critic_2`.
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
        attention_mean: Literal["played", "padded"],
        terminal_entropy: bool,
        plan: str,
        plans: dict[str, UpdatePlan],
        target_interval: PositiveInt,
        alpha: Schedule,
    ) -> None:
        if min(alpha.start, alpha.end) <= 0:
            raise ValueError(
                f"alpha falls to {min(alpha.start, alpha.end)}, but FOP's soft values divide by it; keep it above 0"
            )
        super().__init__(sizes, device, seed)
        self.gamma, self.td_lambda, self.alpha, self.attention_cost = gamma, td_lambda, alpha, attention_cost
        self.attention_mean, self.terminal_entropy = attention_mean, terminal_entropy
        self.reads_after_end = terminal_entropy or attention_mean == "padded"
        self.plan = chosen_plan(plan, plans, LOSSES)
        A = sizes.n_actions
        input_dim = sizes.obs_dim + A + sizes.n_agents
        self.actor = AgentNetwork(input_dim, A, hidden_dim, recurrent, sizes.picture)
        self.critics = nn.ModuleList(
            FOPCritic(
                AgentNetwork(input_dim, A, hidden_dim, recurrent, sizes.picture),
                DuplexMixer(sizes, embed_dim, hypernet_dim, n_heads, n_kernels),
            )
            for _ in range(2)
        )
        self.targets = target_of(self.critics)
        self.to(device)
        groups = {"actor": self.actor, "critic_1": self.critics[0], "critic_2": self.critics[1]}
        self.optimiser = Optimiser(groups, lr, clip, moved_by(self.plan))
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
    def joint_policies(self, observation: Observation) -> dict[str, Float[Tensor, " B *A"]]:
        """The product of the agents' policies at the first env step (eq. 1)."""
        logits, _ = self._logits(observation, self.start(len(observation.obs)))
        return {"independent": joint_of(logits.softmax(dim=-1))}

    def _logits(self, observation: Observation, memory: Memory) -> tuple[Float[Tensor, "B N A"], Tensor | None]:
        inputs = self.inputs_now(observation, memory)
        logits, hidden = self.actor(inputs, (len(inputs),), memory.hidden)
        return mask_unavailable(logits, observation.available), hidden

    def numbers(self, clock: Clock) -> dict[str, float]:
        """The temperature."""
        return {"alpha": self.alpha(clock)}

    def update(self, batch: EpisodeBatch, numbers: Mapping[str, Number]) -> dict[str, Tensor]:
        """Take the plan's optimiser steps on the losses of the actor and of both critics."""
        alpha, inputs = numbers["alpha"], self.inputs_of(batch)
        logged = follow(self.plan, self.optimiser, lambda step: self.losses(batch, alpha, step.losses, inputs))
        return logged | {"train/alpha": self.logged(alpha)}

    def after_update(self, clock: Clock) -> None:
        """Update both target critics if it is due."""
        if self.target_updates.due(clock.episodes):
            self.targets.load_state_dict(self.critics.state_dict())

    def losses(
        self,
        batch: EpisodeBatch,
        alpha: Number,
        wanted: Sequence[str] = LOSSES,
        inputs: Float[Tensor, "R N I"] | None = None,
    ) -> dict[str, Float[Tensor, ""]]:
        """The actor's loss, the squared TD errors of both critics, and their weighted regularisers.

        Args:
            batch: the batch of episodes.
            alpha: temperature.
            wanted: names of the losses to compute.
            inputs: inputs of the agents' networks, if they were computed before.
        """
        inputs = self.inputs_of(batch) if inputs is None else inputs
        critics: Any = self.critics
        evaluates = "critics" in wanted or "attention" in wanted
        with torch.set_grad_enabled("policy" in wanted):
            logits, _ = self.actor(inputs, batch.sizes)
            log_policy = mask_unavailable(logits, batch.available).log_softmax(dim=-1)
        goals = self.goals(batch, inputs, log_policy.detach(), alpha) if evaluates else None
        losses, qs = {}, []
        errors, regularisers = batch.reward.new_zeros(()), batch.reward.new_zeros(())
        with torch.set_grad_enabled(evaluates):
            for critic in critics:
                if goals is None:
                    qs.append(critic.agents(inputs, batch.sizes)[0])
                    continue
                q, joint, regulariser = critic(inputs, batch, batch.actions, alpha)
                qs.append(q)
                errors = errors + masked_mean((joint - goals) ** 2, batch.filled)
                regularisers = regularisers + mean_regulariser(regulariser, batch, self.attention_mean)
        if "policy" in wanted:
            q = torch.minimum(*(q.detach() for q in qs))
            per_agent = (log_policy.exp() * (alpha * log_policy - q)).sum(dim=-1)
            losses["policy"] = masked_mean(per_agent.mean(dim=-1), batch.filled)
        losses |= {"critics": errors, "attention": self.attention_cost * regularisers}
        return {name: loss for name, loss in losses.items() if name in wanted}

    @torch.no_grad()
    def goals(
        self, batch: EpisodeBatch, inputs: Float[Tensor, "R N I"], log_policy: Float[Tensor, "R N A"], alpha: Number
    ) -> Float[Tensor, " R"]:
        """TD(lambda) targets from the smaller target value, plus the agents' mean entropy bonus (both releases)."""
        sampled = (log_policy + gumbel(log_policy.shape, self.generator)).argmax(dim=-1)
        joints = [target(inputs, batch, sampled, alpha)[1] for target in self.targets]
        returns = td_lambda(batch, batch.next(torch.minimum(*joints)), self.gamma, self.td_lambda)
        return returns + entropy_bonus(batch, pick(log_policy, sampled), alpha, self.terminal_entropy)
