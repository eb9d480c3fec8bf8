"""QPLEX (Wang et al., 2021), as in wjh720/QPLEX (6c0a7ba): value decomposition with all of IGM."""

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

    All weights are positive, so Q_tot is greatest where every agent's Q_i is.

    Args:
        sizes: of the environment.
        device: where networks and batches live.
        seed: of the stream that explores.
        embed_dim, hypernet_dim, n_kernels: the mixer's sizes.
        n_heads: of the attention that gives the w_i (what the paper compares with); 0 for a function of the state.
        attention_cost: weight of the attention regulariser.
        weighted_heads: whether the state weighs the heads.
        attention_mean: over what the regulariser is averaged: the `played` steps, or all steps of a `padded` batch (its
            authors' code).
        values_in_keys: whether the attention sees the Q_i, too; with it IGM holds only up to its influence.
        value_per_agent: without attention, whether V(s) is the sum of an output for each agent (its authors' code).
        settings: see `ValueBased`.

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
    ) -> tuple[Float[Tensor, "R"], Float[Tensor, "R"]]:
        """Q_tot, and the attention's regulariser."""
        best = mask_unavailable(q.detach(), batch.available).amax(dim=-1)
        joint, regulariser = mixer(pick(q, actions), best, actions, batch.state, batch.obs)
        return joint, self.attention_cost * regulariser

    def mean_extra(self, extra: Float[Tensor, "R"], batch: EpisodeBatch) -> Float[Tensor, ""]:
        """The mean of the regulariser."""
        return mean_regulariser(extra, batch, self.attention_mean)
