"""Centralised control (Figure 1a): the team as a single agent that chooses joint actions by soft Q-learning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from macpf.learning.algorithm import Memory, Number, OffPolicyAlgorithm, Sizes, checked
from macpf.learning.networks import AgentNetwork, gumbel, mask_unavailable, pick
from macpf.learning.optimisation import Optimiser, TargetUpdates, target_of
from macpf.learning.returns import masked_mean, td_lambda
from macpf.learning.schedules import Clock, Schedule

if TYPE_CHECKING:
    from macpf.experience.batch import EpisodeBatch, Observation

#: Largest number of joint actions, which is the number of network outputs.
MOST_JOINT_ACTIONS = 4096


class Central(OffPolicyAlgorithm):
    """Discrete soft Q-learning (Haarnoja et al., 2017) on joint actions J = A^N; no agent can act on its own.

    V(s) = alpha log sum_a exp(Q(s, a) / alpha), pi(a | s) = exp((Q(s, a) - V(s)) / alpha) (their eq. 3 and 4). The
    tables do not include this method: it shows what a joint policy without any factorization can do.

    Args:
        sizes: sizes of the environment.
        device: device of networks and batches.
        seed: seed of the random stream that samples actions.
        gamma: discount per env step.
        lr: RMSprop's learning rate.
        clip: largest global gradient norm.
        hidden_dim: units of every hidden layer.
        recurrent: GRU in the trunk or not.
        target_interval: episodes between hard target updates.
        alpha: temperature in units of reward.

    Raises:
        ValueError: there are too many joint actions, or alpha falls to 0.
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
        lr: PositiveFloat,
        clip: PositiveFloat,
        hidden_dim: PositiveInt,
        recurrent: bool,
        target_interval: PositiveInt,
        alpha: Schedule,
    ) -> None:
        joint_actions = sizes.n_actions**sizes.n_agents
        if joint_actions > MOST_JOINT_ACTIONS:
            raise ValueError(
                f"{sizes.n_agents} agents with {sizes.n_actions} actions have more than {MOST_JOINT_ACTIONS:,} joint "
                "actions, too many for centralised control; use algo=macpf"
            )
        if min(alpha.start, alpha.end) <= 0:
            raise ValueError("alpha falls to 0, but soft Q-learning divides by it; keep it above 0")
        super().__init__(sizes, device, seed)
        self.gamma, self.alpha = gamma, alpha
        N = sizes.n_agents
        self.q = AgentNetwork(N * sizes.obs_dim, joint_actions, hidden_dim, recurrent, sizes.picture, pictures=N)
        self.target = target_of(self.q)
        self.to(device)
        self.optimiser = Optimiser({"q": self.q}, lr, clip)
        self.target_updates = TargetUpdates(target_interval)
        places = torch.arange(sizes.n_agents - 1, -1, -1, device=device)
        self.weights: Int[Tensor, " N"] = sizes.n_actions**places  # a joint action is a number of N digits in base A

    @torch.no_grad()
    def act(self, observation: Observation, memory: Memory, clock: Clock) -> tuple[Int[Tensor, "B N"], Memory]:
        """Sample a joint action from the soft policy."""
        q, hidden = self._values(observation, memory)
        chosen = (q / self.alpha(clock) + gumbel(q.shape, self.generator)).argmax(dim=-1)
        actions = self._actions(chosen)
        return actions, Memory(actions, hidden)

    @torch.no_grad()
    def act_greedily(self, observation: Observation, memory: Memory, policy: str) -> tuple[Int[Tensor, "B N"], Memory]:
        """The best joint action."""
        q, hidden = self._values(observation, memory)
        actions = self._actions(q.argmax(dim=-1))
        return actions, Memory(actions, hidden)

    def _values(
        self, observation: Observation, memory: Memory
    ) -> tuple[Float[Tensor, "B J"], Float[Tensor, "B H"] | None]:
        q, hidden = self.q(observation.obs.flatten(1).unsqueeze(1), (len(observation.obs),), memory.hidden)
        return mask_unavailable(q.squeeze(1), joint_availability(observation.available)), hidden

    def _actions(self, joint: Int[Tensor, " B"]) -> Int[Tensor, "B N"]:
        return joint.unsqueeze(-1) // self.weights % self.sizes.n_actions

    def numbers(self, clock: Clock) -> dict[str, float]:
        """The temperature."""
        return {"alpha": self.alpha(clock)}

    def update(self, batch: EpisodeBatch, numbers: Mapping[str, Number]) -> dict[str, Tensor]:
        """One gradient step on the squared soft Bellman error."""
        alpha = numbers["alpha"]
        inputs = batch.obs.flatten(1).unsqueeze(1)
        q, _ = self.q(inputs, batch.sizes)
        chosen = pick(q.squeeze(1), (batch.actions * self.weights).sum(dim=-1))
        with torch.no_grad():
            later, _ = self.target(inputs, batch.sizes)
            later = mask_unavailable(later.squeeze(1), joint_availability(batch.available))
            value = alpha * (later / alpha).logsumexp(dim=-1)
            target = td_lambda(batch, batch.next(value), self.gamma, lambda_=0.0)
        loss = masked_mean((chosen - target) ** 2, batch.filled)
        norms = self.optimiser.step(loss)
        return {"train/loss/td": loss.detach(), "train/alpha": self.logged(alpha)} | norms

    def after_update(self, clock: Clock) -> None:
        """Update the target network if it is due."""
        if self.target_updates.due(clock.episodes):
            self.target.load_state_dict(self.q.state_dict())


def joint_availability(available: Bool[Tensor, "R N A"]) -> Bool[Tensor, "R J"]:
    """Whether all agents' actions in a joint action are available; the last agent's action varies fastest."""
    joint = available[:, 0]
    for agent in available[:, 1:].unbind(dim=1):
        joint = (joint.unsqueeze(-1) & agent.unsqueeze(1)).flatten(1)
    return joint
