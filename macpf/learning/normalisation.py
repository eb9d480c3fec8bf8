"""Running normalisation of value targets."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class ValueNorm(nn.Module):
    """Exponential moving mean and variance of all returns so far (marlbenchmark/on-policy, `valuenorm.py`).

    The averages start at 0 and are divided by the sum of their weights, so that they are unbiased from the first
    update on. Before it, the mean is 0 and the variance is `FLOOR`.
    """

    BETA, EPS, FLOOR = 0.99999, 1e-5, 1e-2

    mean_sum: Tensor
    square_sum: Tensor
    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("mean_sum", "square_sum", "weight"):
            self.register_buffer(name, torch.zeros(()))

    @torch.no_grad()
    def update(self, returns: Float[Tensor, "*batch"]) -> None:
        """Add a batch of returns to the averages."""
        for sum_, new in ((self.mean_sum, returns.mean()), (self.square_sum, returns.square().mean())):
            sum_.mul_(self.BETA).add_(new * (1 - self.BETA))
        self.weight.mul_(self.BETA).add_(1 - self.BETA)

    @property
    def moments(self) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Mean and standard deviation."""
        weight = self.weight.clamp(min=self.EPS)
        mean = self.mean_sum / weight
        variance = (self.square_sum / weight - mean**2).clamp(min=self.FLOOR)
        return mean, variance.sqrt()

    def normalise(self, returns: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Returns in the normalised units that the critic predicts."""
        mean, deviation = self.moments
        return (returns - mean) / deviation

    def denormalise(self, values: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """The critic's predictions in units of reward."""
        mean, deviation = self.moments
        return values * deviation + mean
