"""MACPF (paper, section 3.3): one update computes the losses of equations 16 to 19 from the same batch.

The independent and the dependent policy share one forward pass each through the actor, the critic and the target
critic. Gradients are detached where the paper says so. The four losses can therefore be added and minimised by one
backward pass and one optimiser step. The authors' code takes four steps in turn instead. Which losses change which
parameters, and in which order, is a setting (`plans` in conf/algo/macpf.yaml).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from macpf.learning.algorithm import Memory, Number, OffPolicyAlgorithm, Sizes, checked
from macpf.learning.attention import mean_regulariser
from macpf.learning.networks import gumbel, mask_unavailable, pick
from macpf.learning.optimisation import Optimiser, TargetUpdates, target_of
from macpf.learning.returns import entropy_bonus, td_lambda
from macpf.learning.schedules import Clock, Schedule
from macpf.learning.update_plan import UpdatePlan, UpdateStep, chosen_plan, follow, moved_by
from macpf.method.conditional import DEPENDENT, INDEPENDENT, ConditionalNetwork, Factors
from macpf.method.losses import imitation_loss, policy_loss, soft_value, td_error
from macpf.method.mixer import MIXERS, Mix
from macpf.method.passes import Passes
from macpf.method.policy import UNMIXED, Mixing, choose, greedy_joint_action, joint_policy, log_policy

if TYPE_CHECKING:
    from macpf.experience.batch import EpisodeBatch, Observation


#: Lower bound of the gains k_i where values within alpha / k_i of the best count as ties (`greedy_joint_action`).
LEAST_GAIN = 1e-6


@dataclass(frozen=True)
class TeamMemory(Memory):
    """A memory that also holds the actor's table, which does not change while episodes are played.

    Attributes:
        table: result of `ConditionalNetwork.table`.
    """

    table: Float[Tensor, "N A A"] | None = None


class MACPF(OffPolicyAlgorithm):
    """Multi-agent conditional policy factorization.

    Args:
        sizes: sizes of the environment.
        device: device of networks and batches.
        seed: seed of the random stream that samples actions.
        gamma: discount per env step.
        td_lambda: 0 for the paper's one-step targets; the authors' code uses 0.8.
        lr: RMSprop's learning rate.
        clip: largest global gradient norm of the actor, and of the critic with its mixer.
        hidden_dim: units of every hidden layer.
        recurrent: GRU in the trunk (SMAC, MPE) or not (matrix game).
        mixer: `linear`; `nonlinear` and `attention` are the ablations of appendix E.
        embed_dim, hypernet_dim: sizes of the mixer.
        target_interval: episodes between hard target updates.
        conditional: False leaves out the dependent policy (MACPF_CONTROL); the independent policy then acts.
        dependency_set: on whose actions an agent depends. `predecessors`: a_<i, as in the paper. `visible`, as in the
            authors' code: the visible predecessors in the actor. In the critic, all visible agents, and none for the
            first agent.
        trunk_gradient: whether the dependent losses change the trunk too (the authors' code) or only the correction.
        entropy: the entropy bonus in the TD target. `joint`: log pi_jt inside the bracket of eq. 16 and 17. `mean`: the
            agents' mean log-probability, added to the return undiscounted (the authors' code).
        terminal_entropy: whether the TD target of a terminal step also has the bonus, for the state after the end (the
            authors' code; every SMAC episode terminates). Only with `entropy=mean`.
        epsilon: probability that an agent's action is replaced by a uniform one while acting; 0 in the paper.
        epsilon_mixing: whether each agent's policy is also mixed with a uniform one of weight epsilon, in acting, in
            losses and in TD targets. `none`: no mixing. `available`, `all`: see `Mixing`. The authors' code uses `all`
            and so explores twice.
        alpha: temperature in units of reward.
        alpha_rule: `shared`: alpha_i = alpha, as the paper trains; `by_gain`: alpha_i = alpha / k_i(s) with the
            mixer's gain k_i, as eq. 6 implies.
        uniform_share: probability that all agents of a team act uniformly at an env step (0 in the paper).
        attention_mean: whether `mixer=attention` averages its regulariser over the `played` steps, or over all steps of
            a `padded` batch (the authors' code).
        plan: name of the plan to follow, one of `plans`.
        plans: by name, which losses change which parameters, and in which order (see `UpdateStep`). The losses are
            `<policy>_policy` and `<policy>_critic`, the groups of parameters `actor` and `critic`.
        independent_target: what the independent policy follows. `independent`: its own critic (eq. 19);
            `dependent`: the greedy joint action of Q_dep, as the proof of Theorem 2 constructs it.

    Raises:
        ValueError: the settings contradict each other.
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
        terminal_entropy: bool,
        epsilon: Schedule,
        epsilon_mixing: Literal["none", "available", "all"],
        alpha: Schedule,
        alpha_rule: Literal["shared", "by_gain"],
        uniform_share: Annotated[float, Field(ge=0, le=1)],
        attention_mean: Literal["played", "padded"],
        plan: str,
        plans: dict[str, UpdatePlan],
        independent_target: Literal["independent", "dependent"],
    ) -> None:
        _refuse_contradictions(mixer, conditional, dependency_set, alpha, alpha_rule, independent_target)
        if terminal_entropy and entropy == "joint":
            raise ValueError(
                "terminal_entropy=true needs entropy=mean: in eq. 16 and 17 nothing follows a terminal step"
            )
        super().__init__(sizes, device, seed)
        self.policies = (INDEPENDENT, DEPENDENT) if conditional else (INDEPENDENT,)
        self.reads_visibility = conditional and dependency_set == "visible"
        self.gamma, self.td_lambda, self.entropy = gamma, td_lambda, entropy
        self.alpha, self.alpha_rule, self.epsilon = alpha, alpha_rule, epsilon.as_probability("epsilon")
        self.uniform_share, self.independent_target = uniform_share, independent_target
        self.terminal_entropy, self.epsilon_mixing, self.attention_mean = (
            terminal_entropy,
            epsilon_mixing,
            attention_mean,
        )
        self.reads_after_end = terminal_entropy or (mixer == "attention" and attention_mean == "padded")
        self.loss_names = [f"{policy}_{what}" for policy in self.policies for what in ("critic", "policy")]
        self.plan = chosen_plan(plan, plans, self.loss_names)

        def network() -> ConditionalNetwork:
            N, A = sizes.n_agents, sizes.n_actions
            I = sizes.obs_dim + A + N
            return ConditionalNetwork(I, N, A, hidden_dim, recurrent, trunk_gradient, sizes.picture)

        self.actor = network()
        self.critic = nn.ModuleDict({"agents": network(), "mixer": MIXERS[mixer](sizes, embed_dim, hypernet_dim)})
        self.target = target_of(self.critic)
        self.to(device)
        groups = {"actor": self.actor, "critic": self.critic}
        self.optimiser = Optimiser(groups, lr, clip, moved_by(self.plan))
        self.target_updates = TargetUpdates(target_interval)

    # --- acting -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def start(self, batch_size: int) -> TeamMemory:
        """Memory before the first step of B episodes."""
        return TeamMemory(super().start(batch_size).last_actions, None, self.actor.table())

    @torch.no_grad()
    def act(self, observation: Observation, memory: Memory, clock: Clock) -> tuple[Int[Tensor, "B N"], Memory]:
        """Sample the behaviour policy: the dependent joint policy (section 3.3), with some actions made uniform.

        Without `conditional`, the independent joint policy takes its place.
        """
        logits, hidden = self._logits(observation, memory)
        noise = gumbel(observation.available.shape, self.generator)
        # The authors' code mixes epsilon into the policy, and also replaces actions with probability epsilon.
        forced = self._random_actions(observation.available, self.epsilon(clock))
        actions = choose(self.policies[-1], logits, observation.available, noise, forced, self.mixing(clock))
        return actions, replace(memory, last_actions=actions, hidden=hidden)

    @torch.no_grad()
    def act_greedily(self, observation: Observation, memory: Memory, policy: str) -> tuple[Int[Tensor, "B N"], Memory]:
        """Greedy actions: `independent` of each other (the paper's MACPF), or `dependent`, in order (MACPF_DEP)."""
        logits, hidden = self._logits(observation, memory)
        actions = choose(policy, logits, observation.available, noise=None)
        return actions, replace(memory, last_actions=actions, hidden=hidden)

    @torch.no_grad()
    def joint_policies(self, observation: Observation) -> dict[str, Float[Tensor, " B *A"]]:
        """The joint policies in the first state (Figures 2 and 4c)."""
        logits, _ = self._logits(observation, self.start(len(observation.obs)))
        return {policy: joint_policy(policy, logits, observation.available) for policy in self.policies}

    def _logits(self, observation: Observation, memory: Memory) -> tuple[Factors, Tensor | None]:
        inputs = self.inputs_now(observation, memory)
        earlier, _ = self._dependency_sets(observation.visible)
        table = memory.table if isinstance(memory, TeamMemory) else None
        logits, hidden = self.actor(inputs, (len(inputs),), memory.hidden, earlier, table)
        return logits, hidden

    def mixing(self, clock: Clock) -> Mixing:
        """The uniform policy that is mixed in at this point of training."""
        if self.epsilon_mixing == "none":
            return UNMIXED
        return Mixing(self.epsilon(clock), self.epsilon_mixing)

    def _random_actions(self, available: Bool[Tensor, "R N A"], each: float) -> Int[Tensor, "R N"] | None:
        """Uniform actions for each agent with probability `each`, for all with `uniform_share`; else -1."""
        if each == self.uniform_share == 0.0:
            return None
        uniform = mask_unavailable(gumbel(available.shape, self.generator), available).argmax(dim=-1)
        chance = torch.rand(len(available), available.shape[1] + 1, generator=self.generator, device=self.device)
        return torch.where((chance[:, 1:] < each) | (chance[:, :1] < self.uniform_share), uniform, -1)

    def _dependency_sets(self, visible: Bool[Tensor, "R N N"] | None) -> tuple[Tensor, Tensor] | tuple[None, None]:
        """On which agents each one depends in actor and critic; None: on all earlier ones (the paper's a_<i)."""
        if not self.reads_visibility or visible is None:
            return None, None
        sees = visible.to(torch.get_default_dtype())
        sees[:, 0] = 0.0
        return sees.tril(-1), sees

    # --- learning -----------------------------------------------------------------------------------------------

    def numbers(self, clock: Clock) -> dict[str, float]:
        """The temperature, and the weight of the uniform policy."""
        return {"alpha": self.alpha(clock), "uniform": 0.0 if self.epsilon_mixing == "none" else self.epsilon(clock)}

    def update(self, batch: EpisodeBatch, numbers: Mapping[str, Number]) -> dict[str, Tensor]:
        """Take the plan's optimiser steps on the losses of equations 16 to 19."""
        alpha, passes = numbers["alpha"], self.passes(batch)
        mixing = UNMIXED if self.epsilon_mixing == "none" else Mixing(numbers["uniform"], self.epsilon_mixing)

        def losses_of(step: UpdateStep) -> dict[str, Tensor]:
            losses = self.losses(batch, alpha, mixing, step.losses, passes)
            passes.will_move(step.moves)
            return losses

        return follow(self.plan, self.optimiser, losses_of) | {"train/alpha": self.logged(alpha)}

    def after_update(self, clock: Clock) -> None:
        """Update the target critic if it is due."""
        if self.target_updates.due(clock.episodes):
            self.target.load_state_dict(self.critic.state_dict())

    def passes(self, batch: EpisodeBatch) -> Passes:
        """The forward passes that the losses on this batch share."""
        earlier, sees = self._dependency_sets(batch.visible)
        return Passes(batch, self.inputs_of(batch), earlier, sees, self.actor, self.critic, self.target)

    def losses(
        self,
        batch: EpisodeBatch,
        alpha: Number,
        mixing: Mixing = UNMIXED,
        wanted: Sequence[str] | None = None,
        passes: Passes | None = None,
    ) -> dict[str, Float[Tensor, ""]]:
        """Losses of eq. 16 and 18 (dependent), 17 and 19 (independent) on one batch, detached as in the paper.

        Only the mixer and, with `trunk_gradient`, the trunks get gradients from the losses of both policies.

        Args:
            batch: the batch of episodes.
            alpha: temperature.
            mixing: uniform policy that is mixed into each agent's.
            wanted: names of the losses to compute; None: all.
            passes: forward passes to reuse, completed as needed; None: none were made before.
        """
        wanted = self.loss_names if wanted is None else wanted
        passes = self.passes(batch) if passes is None else passes
        logits = passes.logits(gradient=any(name.endswith("_policy") for name in wanted))
        evaluates = any(name.endswith("_critic") for name in wanted)
        values = passes.values(gradient=evaluates)
        targets = passes.target_values() if evaluates else None
        losses = {}
        for policy in self.policies:
            of_critic, of_policy = f"{policy}_critic", f"{policy}_policy"
            if not {of_critic, of_policy} & set(wanted):
                continue
            # One sampled joint action in every row: the predecessors' actions in eq. 18, and a' in eq. 16 and 17.
            noise = gumbel(batch.available.shape, self.generator)
            sampled = choose(policy, logits, batch.available, noise, mixing=mixing)
            log_pi = log_policy(policy, logits, sampled, batch.available, mixing)
            if targets is not None and of_critic in wanted:
                goal = self.goals(policy, batch, targets, sampled, log_pi, alpha)
                losses[of_critic] = self._critic_loss(policy, batch, values, goal, alpha)
            if of_policy in wanted:
                losses[of_policy] = self._policy_loss(policy, batch, values, sampled, log_pi, alpha)
        return losses

    @torch.no_grad()
    def goals(
        self,
        policy: str,
        batch: EpisodeBatch,
        targets: tuple[Factors, Mix],
        sampled: Int[Tensor, "R N"],
        log_pi: Float[Tensor, "R N A"],
        alpha: Number,
    ) -> Float[Tensor, " R"]:
        """TD targets of eq. 16 or 17, from the target critic's values and sampled a' with their log-probabilities."""
        q, mix = targets
        value, _ = mix(q.of(policy, sampled), sampled, alpha)
        log_prob = pick(log_pi, sampled)
        if self.entropy == "joint":
            value = soft_value(value, log_prob.sum(dim=-1), alpha)
            return td_lambda(batch, batch.next(value), self.gamma, self.td_lambda)
        bonus = entropy_bonus(batch, log_prob, alpha, self.terminal_entropy)
        return td_lambda(batch, batch.next(value), self.gamma, self.td_lambda) + bonus

    def _critic_loss(
        self, policy: str, batch: EpisodeBatch, values: tuple[Factors, Mix], goal: Float[Tensor, " R"], alpha: Number
    ) -> Float[Tensor, ""]:
        """TD error of the critic at the actions taken (eq. 13 to 15), plus the mixer's regulariser if it has one."""
        q, mix = values
        joint, regulariser = mix(q.of(policy, batch.actions), batch.actions, alpha)
        loss = td_error(joint, goal, batch.filled)
        return loss if regulariser is None else loss + mean_regulariser(regulariser, batch, self.attention_mean)

    def _policy_loss(
        self,
        policy: str,
        batch: EpisodeBatch,
        values: tuple[Factors, Any],
        sampled: Int[Tensor, "R N"],
        log_pi: Float[Tensor, "R N A"],
        alpha: Number,
    ) -> Float[Tensor, ""]:
        """The loss of one policy (eq. 18 or 19), or imitation with `independent_target=dependent`.

        With alpha_i = alpha / k_i, the loss is multiplied by k_i.
        """
        q, mix = values
        if policy == INDEPENDENT and self.independent_target == DEPENDENT:
            tie = alpha / mix.gains.detach().unsqueeze(-1).clamp_min(LEAST_GAIN)
            best = greedy_joint_action(q, log_pi, batch.available, tie)
            return imitation_loss(log_pi, best, batch.available, batch.filled)
        followed = q.of(policy, sampled).detach()
        if self.alpha_rule == "by_gain":
            followed = mix.gains.detach().unsqueeze(-1) * followed
        return policy_loss(log_pi, followed, alpha, batch.filled)


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
