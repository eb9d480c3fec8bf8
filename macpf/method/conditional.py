"""The network behind both the policy and the critic: an independent part and a dependency correction.

Agent i's dependent output is

    dep_i(. | tau_i, a_<i) = sg[ind_i(. | tau_i)] + correction_i(. | tau_i, a_<i)            (eq. 10 and 13)

with correction_i = W4 [h_i ; p_i] + b4 and p_i = (1/N) sum over j < i of e_j, e_j = ELU(W3 [id_j, onehot(a_j)] + b3).
W4 is linear, so what the predecessors contribute is a sum of vectors, one for each predecessor and its action. These
N x A vectors do not depend on the state. They are computed once (`table`), and each agent's correction then needs a
table look-up and a running sum instead of a network pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from macpf.learning.networks import Trunk

if TYPE_CHECKING:
    from macpf.experience.packing import Packing

#: Names of the two policies, also of their parts of the actor and the critic.
INDEPENDENT, DEPENDENT = "independent", "dependent"


@dataclass(frozen=True)
class Factors:
    """The part of a conditional network's outputs that needs no actions yet.

    Attributes:
        independent: [R, N, A] outputs of the independent part.
        own: [R, N, A] the part of the correction that depends on the agent's own trajectory.
        table: [N, A, A] entry [j, a] is what action a of agent j adds to the corrections of agents that depend on j.
        depends: [R, N, N] entry [i, j] is 1 if the correction of agent i depends on the action of agent j, else 0.
            None: every agent depends on all earlier ones.
        kernels: see `macpf.experience.packing.Packing`.
    """

    independent: Float[Tensor, "R N A"]
    own: Float[Tensor, "R N A"]
    table: Float[Tensor, "N A A"]
    depends: Float[Tensor, "R N N"] | None = None
    kernels: bool = False

    @property
    def base(self) -> Float[Tensor, "R N A"]:
        """Dependent outputs without any predecessor's contribution; no gradient flows into the independent part."""
        return self.independent.detach() + self.own

    def shares(self, actions: Int[Tensor, "R N"]) -> Float[Tensor, "R N A"]:
        """What each agent's action adds to the corrections of the agents that depend on it."""
        return self.table[torch.arange(len(self.table), device=actions.device), actions]

    def others(self, actions: Int[Tensor, "R N"]) -> Float[Tensor, "R N A"]:
        """The part of each agent's correction that comes from the actions of other agents."""
        shares = self.shares(actions)
        if self.depends is not None:
            return self.depends @ shares
        return F.pad(shares.cumsum(dim=-2)[..., :-1, :], (0, 0, 1, 0))

    def dependent(self, actions: Int[Tensor, "R N"]) -> Float[Tensor, "R N A"]:
        """Dependent outputs dep_i(. | tau_i, a_<i) given the joint actions."""
        return self.base + self.others(actions)

    def of(self, policy: str, actions: Int[Tensor, "R N"]) -> Float[Tensor, "R N A"]:
        """The outputs for the policy with this name; only the dependent one uses `actions`."""
        return self.dependent(actions) if policy == DEPENDENT else self.independent


class ConditionalNetwork(nn.Module):
    """Trunk, independent head, predecessor embedding and correction head, shared by all agents (paper, C.2).

    The correction reads the trunk's features detached, so the losses of the dependent part change only the correction
    (the paper's remarks below eq. 17 and 19). With `trunk_gradient` they change the trunk too, as in the authors' code.
    """

    def __init__(
        self,
        input_dim: int,
        n_agents: int,
        n_actions: int,
        hidden_dim: int,
        recurrent: bool,
        trunk_gradient: bool,
        picture: tuple[int, int, int] | None = None,
    ) -> None:
        super().__init__()
        self.trunk = Trunk(input_dim, hidden_dim, recurrent, picture)
        self.independent = nn.Linear(hidden_dim, n_actions)
        self.embedding = nn.Linear(n_agents + n_actions, hidden_dim)
        self.correction = nn.Linear(2 * hidden_dim, n_actions)
        self.n_agents, self.n_actions, self.trunk_gradient = n_agents, n_actions, trunk_gradient

    def forward(
        self,
        inputs: Float[Tensor, "R N I"],
        sizes: Sequence[int] | Packing,
        hidden: Float[Tensor, "BN H"] | None = None,
        depends: Float[Tensor, "R N N"] | None = None,
        table: Float[Tensor, "N A A"] | None = None,
    ) -> tuple[Factors, Float[Tensor, "BN H"] | None]:
        """Factors of every agent in every row, and the recurrent states after each episode's last row (see `Trunk`).

        Args:
            inputs, sizes, hidden: see `Trunk`.
            depends: see `Factors`.
            table: result of `table()`, if it was computed before.
        """
        features, hidden = self.trunk(inputs, sizes, hidden)
        for_features = self.correction.weight[:, : self.trunk.hidden_dim]
        of_trunk = features if self.trunk_gradient else features.detach()
        own = F.linear(of_trunk, for_features, self.correction.bias)
        table = self.table() if table is None else table
        kernels = not isinstance(sizes, Sequence) and sizes.kernels
        return Factors(self.independent(features), own, table, depends, kernels), hidden

    def table(self) -> Float[Tensor, "N A A"]:
        """What each agent's actions add to the corrections of others, with the current weights (see `Factors`)."""
        by_agent, by_action = self.embedding.weight.split([self.n_agents, self.n_actions], dim=1)
        embedded = F.elu(by_agent.t().unsqueeze(1) + by_action.t() + self.embedding.bias)  # e_j for all j and a_j
        return F.linear(embedded, self.correction.weight[:, self.trunk.hidden_dim :]) / self.n_agents

    def correction_parameters(self) -> list[nn.Parameter]:
        """Parameters of the dependency correction (phi in eq. 10, omega in eq. 13)."""
        return [*self.embedding.parameters(), *self.correction.parameters()]

    def independent_parameters(self) -> list[nn.Parameter]:
        """Parameters of the independent part (theta in eq. 10, psi in eq. 13)."""
        return [*self.trunk.parameters(), *self.independent.parameters()]
