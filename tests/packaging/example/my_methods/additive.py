"""A sum of utilities, and what one can get wrong about it."""

from typing import Any

import torch
from torch import nn

from macpf.learning.algorithm import Memory
from macpf.learning.networks import pick
from macpf.learning.value_based import ValueBased


class Additive(ValueBased):
    """The joint value is the sum of the utilities."""

    def __init__(self, sizes: Any, device: str, seed: int, **settings: Any) -> None:
        super().__init__(sizes, device, seed, mixer=nn.Identity(), **settings)

    def joint_value(self, mixer: Any, q: Any, actions: Any, batch: Any) -> Any:
        """Q_tot = sum_i Q_i."""
        return pick(q, actions).sum(dim=-1), None


class Blind(Additive):
    """Takes the best action, available or not."""

    def act_greedily(self, observation: Any, memory: Any, policy: str) -> Any:
        """The best of all."""
        inputs = self.inputs_now(observation, memory)
        q, hidden = self.live["agents"](inputs, (len(inputs),), memory.hidden)
        actions = q.argmax(dim=-1)
        return actions, Memory(actions, hidden)


class Forgetful(Additive):
    """Leaves its optimiser out of its state."""

    def get_extra_state(self) -> dict[str, Any]:
        """Without the optimiser's."""
        return {key: value for key, value in super().get_extra_state().items() if key != "optimiser"}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """With a fresh optimiser's."""
        super().set_extra_state(state | {"optimiser": self.optimiser.rule.state_dict()})


class Shared(Additive):
    """Explores by the random stream that everybody shares."""

    def act(self, observation: Any, memory: Any, clock: Any) -> Any:
        """Uniform over the available actions."""
        weights = observation.available.float().flatten(0, 1)
        actions = torch.multinomial(weights, 1).reshape(observation.available.shape[:2])
        return actions, Memory(actions, self.act_greedily(observation, memory, "independent")[1].hidden)


class Flat(Additive):
    """Returns its actions in one row."""

    def act(self, observation: Any, memory: Any, clock: Any) -> Any:
        """One number for each agent of each team."""
        actions, memory = super().act(observation, memory, clock)
        return actions.flatten(), memory
