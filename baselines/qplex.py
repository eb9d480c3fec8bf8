"""QPLEX (Wang et al., 2021), as in wjh720/QPLEX (6c0a7ba): value decomposition with all of IGM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from jaxtyping import Float, Int
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from macpf.learning.algorithm import Sizes, checked
from macpf.learning.attention import DuplexMixer
from macpf.learning.networks import mask_unavailable, pick
from macpf.learning.value_based import ValueBased

if TYPE_CHECKING:
    from macpf.experience.batch import EpisodeBatch


class QPLEX(ValueBased):
    """Q_tot = sum_i w_i Q_i + V(s) + sum_i (lambda_i(s, a) - 1) sg[w_i (Q_i - max Q_i)], trained by double Q-learning.

    All weights are positive, so Q_tot is greatest where every agent's Q_i is.

    Args:
        sizes: of the environment.
        device: where networks and batches live.
        seed: of the stream that explores.
        embed_dim, hypernet_dim, n_kernels: the mixer's sizes.
        n_heads: of the attention that gives the w_i (what the paper compares with); 0 for a function of the state.
        attention_cost: weight of the attention regulariser.
        weighted_heads: whether the state weighs the heads.
        values_in_keys: whether the attention sees the Q_i, too; with it IGM holds only up to its influence.
        settings: see `ValueBased`.
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
        n_heads: Annotated[int, Field(ge=0)],
        n_kernels: PositiveInt,
        attention_cost: Annotated[float, Field(ge=0)],
        weighted_heads: bool,
        values_in_keys: bool,
        **settings: Any,
    ) -> None:
        shape = (embed_dim, hypernet_dim, n_heads, n_kernels)
        mixer = DuplexMixer(
            sizes, *shape, state_weights=True, weighted_heads=weighted_heads, values_in_keys=values_in_keys
        )
        super().__init__(sizes, device, seed, mixer=mixer, **settings)
        self.attention_cost = attention_cost

    def joint_value(
        self, mixer: nn.Module, q: Float[Tensor, "R N A"], actions: Int[Tensor, "R N"], batch: EpisodeBatch
    ) -> tuple[Float[Tensor, "R"], Float[Tensor, "R"]]:
        """Q_tot, and the attention's regulariser."""
        best = mask_unavailable(q.detach(), batch.available).amax(dim=-1)
        joint, regulariser = mixer(pick(q, actions), best, actions, batch.state, batch.obs)
        return joint, self.attention_cost * regulariser
