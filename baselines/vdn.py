"""VDN (Sunehag et al., 2018), as in PyMARL (oxwhirl/pymarl, c971afd): the simplest value decomposition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxtyping import Float, Int
from torch import Tensor, nn

from macpf.learning.algorithm import Sizes
from macpf.learning.networks import pick
from macpf.learning.value_based import ValueBased

if TYPE_CHECKING:
    from macpf.experience.batch import EpisodeBatch


class VDN(ValueBased):
    """The joint value is the sum of the agents' utilities. Arguments are those of `ValueBased`, except the mixer."""

    def __init__(self, sizes: Sizes, device: str, seed: int, **settings: Any) -> None:
        super().__init__(sizes, device, seed, mixer=nn.Identity(), **settings)

    def joint_value(
        self, mixer: nn.Module, q: Float[Tensor, "R N A"], actions: Int[Tensor, "R N"], batch: EpisodeBatch
    ) -> tuple[Float[Tensor, " R"], None]:
        """Q_tot = sum_i Q_i."""
        return pick(q, actions).sum(dim=-1), None
