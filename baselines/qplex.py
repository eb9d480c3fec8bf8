"""QPLEX (Wang et al., 2021), as in wjh720/QPLEX (6c0a7ba): value decomposition with the full IGM function class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from jaxtyping import Float, Int
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from macpf.learning.algorithm import Sizes, checked
from macpf.learning.attention import DuplexMixer, mean_regulariser
from macpf.learning.networks import mask_unavailable, pick
from macpf.learning.value_based import ValueBased

if TYPE_CHECKING:
    from macpf.experience.batch import EpisodeBatch


class QPLEX(ValueBased):
    """Q_tot = sum_i w_i Q_i + V(s) + sum_i (lambda_i(s, a) - 1) sg[w_i (Q_i - max Q_i)], trained by double Q-learning.

    All weights are positive, so Q_tot is largest where every agent's Q_i is largest.

    Args:
        sizes: sizes of the environment.
        device: device of networks and batches.
        seed: seed of the random stream for exploration.
        embed_dim, hypernet_dim, n_kernels: sizes of the mixer.
        n_heads: heads of the attention that computes the w_i (the paper's baseline); 0: they are a function of the
            state.
        attention_cost: weight of the attention regulariser.
        weighted_heads: whether the heads have weights that depend on the state.
        attention_mean: whether the regulariser is averaged over the `played` steps, or over all steps of a `padded`
            batch (its authors' code).
        values_in_keys: whether the attention also reads the Q_i; IGM then holds only up to their effect on the w_i.
        value_per_agent: without attention, whether V(s) is the sum of one output per agent (its authors' code).
        settings: further arguments of `ValueBased`.

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
        embed_dim: PositiveInt,
        hypernet_dim: PositiveInt,
        n_heads: Annotated[int, Field(ge=0)],
        n_kernels: PositiveInt,
        attention_cost: Annotated[float, Field(ge=0)],
        attention_mean: Literal["played", "padded"],
        weighted_heads: bool,
        values_in_keys: bool,
        value_per_agent: bool,
        **settings: Any,
    ) -> None:
        if value_per_agent and n_heads:
            raise ValueError("value_per_agent=true is of QPLEX without attention; use n_heads=0, or false")
        mixer = DuplexMixer(
            sizes,
            embed_dim,
            hypernet_dim,
            n_heads,
            n_kernels,
            state_weights=True,
            weighted_heads=weighted_heads,
            values_in_keys=values_in_keys,
            value_per_agent=value_per_agent,
        )
        super().__init__(sizes, device, seed, mixer=mixer, **settings)
        self.attention_cost, self.attention_mean = attention_cost, attention_mean
        self.reads_after_end = attention_mean == "padded"

    def joint_value(
        self, mixer: nn.Module, q: Float[Tensor, "R N A"], actions: Int[Tensor, "R N"], batch: EpisodeBatch
    ) -> tuple[Float[Tensor, " R"], Float[Tensor, " R"]]:
        """Q_tot, and each row's weighted attention regulariser."""
        best = mask_unavailable(q.detach(), batch.available).amax(dim=-1)
        joint, regulariser = mixer(pick(q, actions), best, actions, batch.state, batch.obs)
        return joint, self.attention_cost * regulariser

    def mean_extra(self, extra: Float[Tensor, " R"], batch: EpisodeBatch) -> Float[Tensor, ""]:
        """The mean of the attention regulariser."""
        return mean_regulariser(extra, batch, self.attention_mean)
