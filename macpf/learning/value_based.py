"""The common part of value decomposition methods: epsilon-greedy agents and double Q-learning on a joint value."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import torch
from jaxtyping import Float, Int
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from macpf.learning.algorithm import Memory, Number, OffPolicyAlgorithm, Sizes, checked
from macpf.learning.exploration import epsilon_greedy
from macpf.learning.networks import AgentNetwork, mask_unavailable
from macpf.learning.optimisation import Optimiser, TargetUpdates, target_of
from macpf.learning.returns import masked_mean, td_lambda
from macpf.learning.schedules import Clock, Schedule

if TYPE_CHECKING:
    from macpf.experience.batch import EpisodeBatch, Observation


class ValueBased(OffPolicyAlgorithm):
    """One utility network for all agents and a mixer, trained together; subclasses define the joint value.

    Args:
        sizes: sizes of the environment.
        device: device of networks and batches.
        seed: seed of the random stream for exploration.
        mixer: module that the joint value needs besides the agents' utilities.
        gamma: discount per env step.
        td_lambda: 0 for one-step targets, as in PyMARL.
        lr: RMSprop's learning rate.
        clip: largest global gradient norm.
        hidden_dim: units of every hidden layer of the agents.
        recurrent: GRU in the trunk (SMAC, MPE) or not (matrix game).
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
        mixer: nn.Module,
        gamma: Annotated[float, Field(ge=0, le=1)],
        td_lambda: Annotated[float, Field(ge=0, le=1)],
        lr: PositiveFloat,
        clip: PositiveFloat,
        hidden_dim: PositiveInt,
        recurrent: bool,
        target_interval: PositiveInt,
        epsilon: Schedule,
    ) -> None:
        super().__init__(sizes, device, seed)
        self.gamma, self.td_lambda, self.epsilon = gamma, td_lambda, epsilon.as_probability("epsilon")
        A = sizes.n_actions
        agents = AgentNetwork(sizes.obs_dim + A + sizes.n_agents, A, hidden_dim, recurrent, sizes.picture)
        self.live = nn.ModuleDict({"agents": agents, "mixer": mixer})
        self.target = target_of(self.live)
        self.to(device)
        self.optimiser = Optimiser({"agents_and_mixer": self.live}, lr, clip)
        self.target_updates = TargetUpdates(target_interval)

    @abstractmethod
    def joint_value(
        self, mixer: nn.Module, q: Float[Tensor, "R N A"], actions: Int[Tensor, "R N"], batch: EpisodeBatch
    ) -> tuple[Float[Tensor, " R"], Float[Tensor, " R"] | None]:
        """Joint values of the actions, and each row's additional loss, or None if there is none.

        Args:
            mixer: the live or the target mixer.
            q: utilities of all actions.
            actions: joint action of each row whose value is wanted.
            batch: the batch, with states, observations and availability of the rows.
        """

    @torch.no_grad()
    def act(self, observation: Observation, memory: Memory, clock: Clock) -> tuple[Int[Tensor, "B N"], Memory]:
        """For each agent separately: greedy with probability 1 - epsilon, else uniform over the available actions."""
        greedy, memory = self.act_greedily(observation, memory, "independent")
        actions = epsilon_greedy(greedy, observation.available, self.epsilon(clock), self.generator)
        return actions, Memory(actions, memory.hidden)

    @torch.no_grad()
    def act_greedily(self, observation: Observation, memory: Memory, policy: str) -> tuple[Int[Tensor, "B N"], Memory]:
        """Every agent's best available action."""
        inputs = self.inputs_now(observation, memory)
        q, hidden = self.live["agents"](inputs, (len(inputs),), memory.hidden)
        actions = mask_unavailable(q, observation.available).argmax(dim=-1)
        return actions, Memory(actions, hidden)

    def numbers(self, clock: Clock) -> dict[str, float]:
        """Epsilon, which the update only logs."""
        return {"epsilon": self.epsilon(clock)}

    def update(self, batch: EpisodeBatch, numbers: Mapping[str, Number]) -> dict[str, Tensor]:
        """One gradient step on the sum of the losses."""
        losses = self.losses(batch)
        norms = self.optimiser.step(torch.stack(list(losses.values())).sum())
        logged = {f"train/loss/{name}": loss.detach() for name, loss in losses.items()}
        return logged | norms | {"train/epsilon": self.logged(numbers["epsilon"])}

    def after_update(self, clock: Clock) -> None:
        """Update the target networks if it is due."""
        if self.target_updates.due(clock.episodes):
            self.target.load_state_dict(self.live.state_dict())

    def losses(self, batch: EpisodeBatch) -> dict[str, Float[Tensor, ""]]:
        """The squared TD error, and the mixer's additional loss if it has one."""
        inputs = self.inputs_of(batch)
        q, _ = self.live["agents"](inputs, batch.sizes)
        joint, extra = self.joint_value(self.live["mixer"], q, batch.actions, batch)
        losses = {"td": masked_mean((joint - self.goals(batch, inputs, q)) ** 2, batch.filled)}
        return losses if extra is None else losses | {"mixer": self.mean_extra(extra, batch)}

    def mean_extra(self, extra: Float[Tensor, " R"], batch: EpisodeBatch) -> Float[Tensor, ""]:
        """The mean of the rows' additional loss over the steps that were played."""
        return masked_mean(extra, batch.filled)

    @torch.no_grad()
    def goals(
        self, batch: EpisodeBatch, inputs: Float[Tensor, "R N I"], live_q: Float[Tensor, "R N A"]
    ) -> Float[Tensor, " R"]:
        """TD targets of double Q-learning: the live network chooses actions, the target network values them.

        Source: PyMARL `q_learner.py`.
        """
        best = mask_unavailable(live_q, batch.available).argmax(dim=-1)
        q, _ = self.target["agents"](inputs, batch.sizes)
        value, _ = self.joint_value(self.target["mixer"], q, best, batch)
        return td_lambda(batch, batch.next(value), self.gamma, self.td_lambda)
