"""MACPF (paper, section 3.3): one update computes equations 16 to 19 from the same batch.

The independent and the dependent half share every pass: one through the actor, one through the critic, one through
the target critic. Gradients are isolated by construction (detached where the paper says so), so the four losses are
added, and one backward pass and one optimiser step serve them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from macpf.learning.algorithm import Memory, OffPolicyAlgorithm, Sizes, checked
from macpf.learning.networks import gumbel, mask_unavailable, pick
from macpf.learning.optimisation import Optimiser, TargetUpdates, target_of
from macpf.learning.returns import td_lambda
from macpf.learning.schedules import Clock, Schedule
from macpf.method.conditional import ConditionalNetwork, Factors
from macpf.method.losses import imitation_loss, policy_loss, soft_value, td_error
from macpf.method.mixer import LinearMixer
from macpf.method.policy import (
    choose_in_order,
    dependent_joint_policy,
    dependent_log_policy,
    greedy_joint_action,
    independent_log_policy,
)

if TYPE_CHECKING:
    from macpf.experience.batch import EpisodeBatch, Observation

INDEPENDENT, DEPENDENT = "independent", "dependent"


@dataclass(frozen=True)
class Losses:
    """The losses of one batch, each a scalar: equations 16, 17, 18 and 19 in this order."""

    dependent_critic: Float[Tensor, ""]
    independent_critic: Float[Tensor, ""]
    dependent_policy: Float[Tensor, ""]
    independent_policy: Float[Tensor, ""]

    def total(self) -> Float[Tensor, ""]:
        """Their sum; each parameter group is moved by its own losses only."""
        return self.dependent_critic + self.independent_critic + self.dependent_policy + self.independent_policy

    def metrics(self) -> dict[str, Tensor]:
        """By the names under which they are logged."""
        return {f"train/loss/{name}": value.detach() for name, value in vars(self).items()}


class MACPF(OffPolicyAlgorithm):
    """Multi-agent conditional policy factorization.

    Args:
        sizes: of the environment.
        device: where networks and batches live.
        seed: of the stream that samples actions.
        gamma: discount per env step.
        td_lambda: 0 for the paper's one-step targets; the authors' code uses 0.8.
        lr: RMSprop's learning rate.
        clip: largest global gradient norm, for actor and critic each.
        hidden_dim: units of every hidden layer.
        recurrent: GRU in the trunk (SMAC, MPE) or not (matrix game).
        embed_dim, hypernet_dim: the mixer's sizes.
        target_interval: episodes between hard target updates.
        alpha: temperature in units of reward.
        alpha_rule: `shared`: alpha_i = alpha, as the paper trains; `by_gain`: alpha_i = alpha / k_i(s) with the
            mixer's gain k_i, as eq. 6 implies.
        uniform_share: probability that all agents of a team act uniformly at an env step (0 in the paper).
        independent_target: what the independent policy follows. `independent`: its own critic (eq. 19);
            `dependent`: the greedy joint action of Q_dep, which is how the proof of Theorem 2 constructs it.
    """

    policies = (INDEPENDENT, DEPENDENT)

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
        alpha: Schedule,
        alpha_rule: Literal["shared", "by_gain"],
        uniform_share: Annotated[float, Field(ge=0, le=1)],
        independent_target: Literal["independent", "dependent"],
    ) -> None:
        super().__init__(sizes, device, seed)
        self.gamma, self.td_lambda, self.alpha = gamma, td_lambda, alpha
        self.alpha_rule, self.uniform_share = alpha_rule, uniform_share
        self.independent_target = independent_target
        N, A = sizes.n_agents, sizes.n_actions
        input_dim = sizes.obs_dim + A + N
        self.actor = ConditionalNetwork(input_dim, N, A, hidden_dim, recurrent)
        self.critic = nn.ModuleDict(
            {
                "agents": ConditionalNetwork(input_dim, N, A, hidden_dim, recurrent),
                "mixer": LinearMixer(sizes.state_dim, N, embed_dim, hypernet_dim),
            }
        )
        self.target = target_of(self.critic)
        self.to(device)
        self.optimiser = Optimiser({"actor": self.actor, "critic": self.critic}, lr, clip)
        self.target_updates = TargetUpdates(target_interval)

    # --- acting -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def act(self, observation: Observation, memory: Memory, clock: Clock) -> tuple[Int[Tensor, "B N"], Memory]:
        """Sample the dependent joint policy (the behaviour policy, section 3.3), or, for a share of it, uniformly."""
        logits, hidden = self._logits(observation, memory)
        available = observation.available.unsqueeze(1)
        noise = gumbel(available.shape, self.generator)
        actions = choose_in_order(logits, available, noise).squeeze(1)
        if self.uniform_share > 0:
            uniform = mask_unavailable(noise, available).argmax(dim=-1).squeeze(1)
            chance = torch.rand(len(actions), 1, generator=self.generator, device=self.device)
            actions = torch.where(chance < self.uniform_share, uniform, actions)
        return actions, Memory(actions, hidden)

    @torch.no_grad()
    def act_greedily(self, observation: Observation, memory: Memory, policy: str) -> tuple[Int[Tensor, "B N"], Memory]:
        """`independent`: every agent on its own (what the paper calls MACPF); `dependent`: in order (MACPF_DEP)."""
        logits, hidden = self._logits(observation, memory)
        available = observation.available.unsqueeze(1)
        if policy == DEPENDENT:
            actions = choose_in_order(logits, available, noise=None).squeeze(1)
        else:
            actions = mask_unavailable(logits.independent, available).argmax(dim=-1).squeeze(1)
        return actions, Memory(actions, hidden)

    @torch.no_grad()
    def joint_policies(self, observation: Observation) -> dict[str, Float[Tensor, "B *A"]]:
        """Both joint policies in the first state (Figures 2 and 4c)."""
        logits, _ = self._logits(observation, self.start(len(observation.obs)))
        available = observation.available.unsqueeze(1)
        alone = Factors(logits.independent, torch.zeros_like(logits.own), torch.zeros_like(logits.table))
        return {
            INDEPENDENT: dependent_joint_policy(alone, available),
            DEPENDENT: dependent_joint_policy(logits, available),
        }

    def _logits(self, observation: Observation, memory: Memory) -> tuple[Factors, Tensor | None]:
        inputs = self.inputs_now(observation, memory)
        logits, hidden = self.actor(inputs, memory.hidden)
        return logits, hidden

    # --- learning -----------------------------------------------------------------------------------------------

    def learn(self, batch: EpisodeBatch, clock: Clock) -> dict[str, Tensor]:
        """One gradient step on the sum of equations 16 to 19, then the target update if it is due."""
        alpha = self.alpha(clock)
        losses = self.losses(batch, alpha)
        norms = self.optimiser.step(losses.total())
        if self.target_updates.due(clock.episodes):
            self.target.load_state_dict(self.critic.state_dict())
        return losses.metrics() | norms | {"train/alpha": torch.tensor(alpha, device=self.device)}

    def losses(self, batch: EpisodeBatch, alpha: float) -> Losses:
        """Equations 16 to 19 on one batch."""
        T, steps = batch.length, batch.valued_steps
        inputs = self.inputs_of(batch)
        available = batch.available[:, :steps]

        # The actor, and one sample of each joint policy at every step: predecessors for eq. 18, a' for eq. 16 and 17.
        logits, _ = self.actor(inputs)
        log_ind = independent_log_policy(logits, available)
        noise = gumbel((2, *available.shape), self.generator)
        sampled_ind = (log_ind.detach() + noise[0]).argmax(dim=-1)
        sampled_dep = choose_in_order(logits, available, noise[1])
        log_dep = dependent_log_policy(logits, sampled_dep, available)

        # The critic at the actions that were played (eq. 13 to 15).
        q, _ = self.critic["agents"](inputs[:, :T])
        mix = self.critic["mixer"](batch.state[:, :T])
        q_ind = mix(pick(q.independent, batch.actions))
        q_dep = mix(pick(q.dependent(batch.actions), batch.actions))

        target_ind, target_dep = self._targets(
            batch,
            inputs,
            actions=(sampled_ind, sampled_dep),
            log_probs=(pick(log_ind, sampled_ind).sum(dim=-1), pick(log_dep, sampled_dep).sum(dim=-1)),
            alpha=alpha,
        )

        # The policies follow the critics; with alpha_i = alpha / k_i both sides are multiplied by k_i.
        gains = mix.gains.detach().unsqueeze(-1)
        scale = gains if self.alpha_rule == "by_gain" else 1.0
        now, log_ind = available[:, :T], log_ind[:, :T]
        if self.independent_target == DEPENDENT:
            best = greedy_joint_action(q, log_ind, now, tie=alpha / gains.clamp_min(1e-6))
            independent_policy = imitation_loss(log_ind, best, now, batch.filled)
        else:
            independent_policy = policy_loss(log_ind, scale * q.independent, alpha, batch.filled)
        with torch.no_grad():
            follow = scale * q.dependent(sampled_dep[:, :T])
        return Losses(
            dependent_critic=td_error(q_dep, target_dep, batch.filled),
            independent_critic=td_error(q_ind, target_ind, batch.filled),
            dependent_policy=policy_loss(log_dep[:, :T], follow, alpha, batch.filled),
            independent_policy=independent_policy,
        )

    @torch.no_grad()
    def _targets(
        self,
        batch: EpisodeBatch,
        inputs: Float[Tensor, "B T1 N I"],
        actions: tuple[Int[Tensor, "B T1 N"], Int[Tensor, "B T1 N"]],
        log_probs: tuple[Float[Tensor, "B T1"], Float[Tensor, "B T1"]],
        alpha: float,
    ) -> list[Float[Tensor, "B T"]]:
        """Targets of eq. 17 and 16, at the actions a' that the current policies sampled."""
        next_values = [torch.zeros_like(batch.reward) for _ in actions]
        n_next = inputs.shape[1] - 1
        if n_next > 0:
            q, _ = self.target["agents"](inputs)
            mix = self.target["mixer"](batch.state[:, 1 : n_next + 1])
            of_agents = (pick(q.independent, actions[0]), pick(q.dependent(actions[1]), actions[1]))
            for next_value, values, log_prob in zip(next_values, of_agents, log_probs, strict=True):
                next_value[:, :n_next] = soft_value(mix(values[:, 1:]), log_prob[:, 1:], alpha)
        return [
            td_lambda(batch.reward, next_value, batch.terminated, batch.filled, self.gamma, self.td_lambda)
            for next_value in next_values
        ]
