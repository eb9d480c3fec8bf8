"""QMIX (Rashid et al., 2018), as in PyMARL (oxwhirl/pymarl, c971afd): the paper's value decomposition baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxtyping import Float, Int
from pydantic import PositiveInt
from torch import Tensor, nn

from macpf.learning.algorithm import Sizes, checked
from macpf.learning.hypernetworks import MixingWeights, mix_monotonically
from macpf.learning.networks import pick
from macpf.learning.value_based import ValueBased

if TYPE_CHECKING:
    from macpf.experience.batch import EpisodeBatch


class MonotonicMixer(nn.Module):
    """Q_tot = ELU(q w1 + b1) w2 + v with non-negative w1 and w2, so it is monotonic in every agent's value."""

    def __init__(self, state_dim: int, n_agents: int, embed_dim: int, hypernet_dim: int) -> None:
        super().__init__()
        self.weights = MixingWeights(state_dim, n_agents, embed_dim, hypernet_dim)

    def forward(self, values: Float[Tensor, "R N"], state: Float[Tensor, "R S"]) -> Float[Tensor, " R"]:
        """Q_tot from the agents' values."""
        return mix_monotonically(values, self.weights(state))


class QMIX(ValueBased):
    """Monotonically mixed utilities, trained by double Q-learning with epsilon-greedy exploration.

    Args:
        sizes: sizes of the environment.
        device: device of networks and batches.
        seed: seed of the random stream for exploration.
        embed_dim, hypernet_dim: sizes of the mixer.
        settings: further arguments of `ValueBased`.
    """

    @checked
    def __init__(
        self,
        sizes: Sizes,
        device: str,
        seed: int,
        *,
        embed_dim: PositiveInt,
        hypernet_dim: PositiveInt,
        **settings: Any,
    ) -> None:
        mixer = MonotonicMixer(sizes.state_dim, sizes.n_agents, embed_dim, hypernet_dim)
        super().__init__(sizes, device, seed, mixer=mixer, **settings)

    def joint_value(
        self, mixer: nn.Module, q: Float[Tensor, "R N A"], actions: Int[Tensor, "R N"], batch: EpisodeBatch
    ) -> tuple[Float[Tensor, " R"], None]:
        """Q_tot."""
        return mixer(pick(q, actions), batch.state), None
