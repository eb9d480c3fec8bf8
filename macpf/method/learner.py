"""MACPF (paper, section 3.3): one update computes equations 16 to 19 from the same batch.

The independent and the dependent half share every pass: one through the actor, one through the critic, one through
the target critic. Gradients are isolated by construction (detached where the paper says so), so the four losses are
added, and one backward pass and one optimiser step serve them all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from macpf.learning.algorithm import Memory, OffPolicyAlgorithm, Sizes, checked
from macpf.learning.networks import gumbel, mask_unavailable, pick
from macpf.learning.optimisation import Optimiser, TargetUpdates, target_of
from macpf.learning.returns import masked_mean, td_lambda
from macpf.learning.schedules import Clock, Schedule
from macpf.method.conditional import DEPENDENT, INDEPENDENT, ConditionalNetwork, Factors
from macpf.method.losses import imitation_loss, policy_loss, soft_value, td_error
from macpf.method.mixer import MIXERS
from macpf.method.policy import choose, greedy_joint_action, joint_policy, log_policy

if TYPE_CHECKING:
    from macpf.experience.batch import EpisodeBatch, Observation


@dataclass(frozen=True)
class TeamMemory(Memory):
    """With the actor's table, which stays the same as long as nobody learns, so for a round of episodes.

    Attributes:
        table: see `ConditionalNetwork.table`.
    """

    table: Float[Tensor, "N A A"] | None = None


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
        mixer: `linear`; `nonlinear` and `attention` are the ablations of appendix E.
        embed_dim, hypernet_dim: the mixer's sizes.
        target_interval: episodes between hard target updates.
        conditional: False leaves out the dependent half (MACPF_CONTROL): the independent policy acts.
        dependency_set: `predecessors`: a_<i, as the paper writes. `visible`, as the authors' code has it: of these only
            agents in sight, and in the critic all agents in sight but none for the first agent.
        trunk_gradient: whether the dependent losses move the trunk too (the authors' code) or only the correction.
        entropy: what the target's entropy bonus is. `joint`: log pi_jt inside the bracket of eq. 16 and 17. `mean`: the
            agents' mean log-probability, added to the return undiscounted (the authors' code).
        epsilon: share of a uniform policy in each agent's, and then again of random actions, as in the authors' code;
            0 in the paper.
        alpha: temperature in units of reward.
        alpha_rule: `shared`: alpha_i = alpha, as the paper trains; `by_gain`: alpha_i = alpha / k_i(s) with the
            mixer's gain k_i, as eq. 6 implies.
        uniform_share: probability that all agents of a team act uniformly at an env step (0 in the paper).
        independent_target: what the independent policy follows. `independent`: its own critic (eq. 19);
            `dependent`: the greedy joint action of Q_dep, which is how the proof of Theorem 2 constructs it.

    Raises:
        ValueError: settings that contradict each other.
    """

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
        mixer: Literal["linear", "nonlinear", "attention"],
        embed_dim: PositiveInt,
        hypernet_dim: PositiveInt,
        target_interval: PositiveInt,
        conditional: bool,
        dependency_set: Literal["predecessors", "visible"],
        trunk_gradient: bool,
        entropy: Literal["joint", "mean"],
        epsilon: Schedule,
        alpha: Schedule,
        alpha_rule: Literal["shared", "by_gain"],
        uniform_share: Annotated[float, Field(ge=0, le=1)],
        independent_target: Literal["independent", "dependent"],
    ) -> None:
        _refuse_contradictions(mixer, conditional, dependency_set, alpha, alpha_rule, independent_target)
        super().__init__(sizes, device, seed)
        self.policies = (INDEPENDENT, DEPENDENT) if conditional else (INDEPENDENT,)
        self.reads_visibility = conditional and dependency_set == "visible"
        self.gamma, self.td_lambda, self.entropy = gamma, td_lambda, entropy
        self.alpha, self.alpha_rule, self.epsilon = alpha, alpha_rule, epsilon.as_probability("epsilon")
        self.uniform_share, self.independent_target = uniform_share, independent_target

        def network() -> ConditionalNetwork:
            N, A = sizes.n_agents, sizes.n_actions
            return ConditionalNetwork(sizes.obs_dim + A + N, N, A, hidden_dim, recurrent, trunk_gradient)

        self.actor = network()
        self.critic = nn.ModuleDict({"agents": network(), "mixer": MIXERS[mixer](sizes, embed_dim, hypernet_dim)})
        self.target = target_of(self.critic)
        self.to(device)
        self.optimiser = Optimiser({"actor": self.actor, "critic": self.critic}, lr, clip)
        self.target_updates = TargetUpdates(target_interval)

    # --- acting -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def start(self, batch_size: int) -> TeamMemory:
        """Memory before the first step of B episodes."""
        return TeamMemory(super().start(batch_size).last_actions, None, self.actor.table())

    @torch.no_grad()
    def act(self, observation: Observation, memory: Memory, clock: Clock) -> tuple[Int[Tensor, "B N"], Memory]:
        """Sample the dependent joint policy (the behaviour policy, section 3.3), or, for a share of it, uniformly."""
        logits, hidden = self._logits(observation, memory)
        noise = gumbel(observation.available.shape, self.generator)
        # The authors' code mixes epsilon into the policy, and then replaces actions with probability epsilon.
        forced = self._random_actions(observation.available, 1.0 - (1.0 - self.epsilon(clock)) ** 2, self.uniform_share)
        actions = choose(self.policies[-1], logits, observation.available, noise, forced)
        return actions, replace(memory, last_actions=actions, hidden=hidden)

    @torch.no_grad()
    def act_greedily(self, observation: Observation, memory: Memory, policy: str) -> tuple[Int[Tensor, "B N"], Memory]:
        """`independent`: every agent on its own (what the paper calls MACPF); `dependent`: in order (MACPF_DEP)."""
        logits, hidden = self._logits(observation, memory)
        actions = choose(policy, logits, observation.available, noise=None)
        return actions, replace(memory, last_actions=actions, hidden=hidden)

    @torch.no_grad()
    def joint_policies(self, observation: Observation) -> dict[str, Float[Tensor, "B *A"]]:
        """The joint policies in the first state (Figures 2 and 4c)."""
        logits, _ = self._logits(observation, self.start(len(observation.obs)))
        return {half: joint_policy(half, logits, observation.available) for half in self.policies}

    def _logits(self, observation: Observation, memory: Memory) -> tuple[Factors, Tensor | None]:
        inputs = self.inputs_now(observation, memory)
        earlier, _ = self._dependency_sets(observation.visible)
        table = memory.table if isinstance(memory, TeamMemory) else None
        logits, hidden = self.actor(inputs, (len(inputs),), memory.hidden, earlier, table)
        return logits, hidden

    def _random_actions(
        self, available: Bool[Tensor, "R N A"], each: float, team: float = 0.0
    ) -> Int[Tensor, "R N"] | None:
        """Uniform actions for a share of the agents and for a share of whole teams, -1 for the others."""
        if each == team == 0.0:
            return None
        uniform = mask_unavailable(gumbel(available.shape, self.generator), available).argmax(dim=-1)
        chance = torch.rand(len(available), available.shape[1] + 1, generator=self.generator, device=self.device)
        return torch.where((chance[:, 1:] < each) | (chance[:, :1] < team), uniform, -1)

    def _dependency_sets(self, visible: Bool[Tensor, "R N N"] | None) -> tuple[Tensor, Tensor] | tuple[None, None]:
        """On whom each agent depends in the actor and in the critic; None for all earlier agents (the paper's a_<i)."""
        if not self.reads_visibility or visible is None:
            return None, None
        sees = visible.float()
        sees[:, 0] = 0.0
        return sees.tril(-1), sees

    # --- learning -----------------------------------------------------------------------------------------------

    def learn(self, batch: EpisodeBatch, clock: Clock) -> dict[str, Tensor]:
        """One gradient step on the sum of equations 16 to 19, then the target update if it is due."""
        alpha = self.alpha(clock)
        losses = self.losses(batch, alpha, self.epsilon(clock))
        norms = self.optimiser.step(torch.stack(list(losses.values())).sum())
        if self.target_updates.due(clock.episodes):
            self.target.load_state_dict(self.critic.state_dict())
        logged = {f"train/loss/{name}": loss.detach() for name, loss in losses.items()}
        return logged | norms | {"train/alpha": torch.tensor(alpha, device=self.device)}

    def losses(self, batch: EpisodeBatch, alpha: float, floor: float = 0.0) -> dict[str, Float[Tensor, ""]]:
        """Equations 16 and 18 (dependent), 17 and 19 (independent) on one batch; each moves its own parameters only."""
        inputs, available, filled = self.inputs_of(batch), batch.available, batch.filled
        earlier, sees = self._dependency_sets(batch.visible)
        logits, _ = self.actor(inputs, batch.sizes, depends=earlier)
        q, _ = self.critic["agents"](inputs, batch.sizes, depends=sees)
        mix = self.critic["mixer"](batch.state, batch.obs)
        with torch.no_grad():
            target_q, _ = self.target["agents"](inputs, batch.sizes, depends=sees)
            target_mix = self.target["mixer"](batch.state, batch.obs)

        losses = {}
        for half in self.policies:
            # One sample of the joint policy in every row: predecessors for eq. 18, a' for eq. 16 and 17.
            noise = gumbel(available.shape, self.generator)
            sampled = choose(half, logits, available, noise, self._random_actions(available, floor))
            log_pi = log_policy(half, logits, sampled, available, floor)
            with torch.no_grad():
                value, _ = target_mix(target_q.half(half, sampled), sampled, alpha)
                target = self._target(batch, value, pick(log_pi, sampled), alpha)
            # The critic at the actions that were played (eq. 13 to 15).
            joint, extra = mix(q.half(half, batch.actions), batch.actions, alpha)
            critic = td_error(joint, target, filled)
            losses[f"{half}_critic"] = critic if extra is None else critic + masked_mean(extra, filled)
            if half == INDEPENDENT and self.independent_target == DEPENDENT:
                tie = alpha / mix.gains.detach().unsqueeze(-1).clamp_min(1e-6)
                best = greedy_joint_action(q, log_pi, available, tie)
                losses[f"{half}_policy"] = imitation_loss(log_pi, best, available, filled)
            else:
                # The policies follow the critics; with alpha_i = alpha / k_i both sides are multiplied by k_i.
                follow = q.half(half, sampled).detach()
                if self.alpha_rule == "by_gain":
                    follow = mix.gains.detach().unsqueeze(-1) * follow
                losses[f"{half}_policy"] = policy_loss(log_pi, follow, alpha, filled)
        return losses

    def _target(
        self,
        batch: EpisodeBatch,
        value: Float[Tensor, "R"],
        log_prob: Float[Tensor, "R N"],
        alpha: float,
    ) -> Float[Tensor, "R"]:
        """The target of eq. 16 or 17, given each row's target value and log-probabilities at a sampled a'."""
        if self.entropy == "joint":
            value = soft_value(value, log_prob.sum(dim=-1), alpha)
            return td_lambda(batch, batch.next(value), self.gamma, self.td_lambda)
        bonus = batch.next(-alpha * log_prob.mean(dim=-1)) * (1.0 - batch.terminated)
        return td_lambda(batch, batch.next(value), self.gamma, self.td_lambda) + bonus


def _refuse_contradictions(
    mixer: str, conditional: bool, dependency_set: str, alpha: Schedule, alpha_rule: str, independent_target: str
) -> None:
    if mixer != "linear" and (alpha_rule == "by_gain" or independent_target == DEPENDENT):
        raise ValueError(
            f"mixer={mixer} has no gains k_i(s), which alpha_rule=by_gain and independent_target=dependent need; "
            "use mixer=linear"
        )
    if mixer == "attention" and min(alpha.start, alpha.end) <= 0:
        raise ValueError("alpha falls to 0, but mixer=attention divides by it; keep it above 0")
    if independent_target == DEPENDENT and not (conditional and dependency_set == "predecessors"):
        raise ValueError("independent_target=dependent needs conditional=true and dependency_set=predecessors")
