"""Aggregate statistics over maps and seeds that are reliable with few seeds, and their confidence intervals.

Agarwal et al., "Deep RL at the edge of the statistical precipice" (NeurIPS 2021). Every statistic is a function of the
runs' scores and weights. All maps have the same weight, and so have all runs of one map, however many there are. A
bootstrap replicate only changes weights, so all replicates are computed at once and no score is sorted twice.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Bootstrap replicates of a statistic, and of a curve, which consists of many statistics.
REPLICATES, CURVE_REPLICATES = 10_000, 2_000
#: Runs of each map that a bootstrap needs: with two runs on one map, a 95 % interval would cover only 50 %.
LEAST = 3
#: Seed of the bootstrap's random stream, the same for every interval.
SEED = 0
#: Confidence of every interval, and the share of scores that an interquartile mean leaves out at each end.
LEVEL, CUT = 0.95, 0.25


@dataclass(frozen=True)
class Sample:
    """The scores of one method: K runs on M maps, with the runs of each map next to each other.

    Attributes:
        values: [K], or [K, S] with S numbers for each run; a NaN makes every statistic of them NaN.
        sizes: [M], the number of runs of each map, at least one.
    """

    values: Array
    sizes: NDArray[np.int64]

    @classmethod
    def of(cls, *maps: NDArray[np.floating[Any]] | list[float]) -> "Sample":
        """From the scores of each map's runs."""
        return cls(np.concatenate([np.asarray(part, dtype=float) for part in maps]), np.array([len(p) for p in maps]))

    @property
    def weights(self) -> Array:
        """The weights [K] of the runs; their sum is 1."""
        return np.repeat(1.0 / (len(self.sizes) * self.sizes), self.sizes)

    def resampled(self, random: np.random.Generator, replicates: int) -> Array:
        """Weights [R, K] of R bootstrap replicates: each draws as many runs of a map as it has, with replacement."""
        counts = [random.multinomial(n, np.full(n, 1 / n), size=replicates) for n in self.sizes]
        return np.hstack(counts) * self.weights

    @property
    def map_of_run(self) -> NDArray[np.int64]:
        """[K], the index of each run's map."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)


#: Computes a statistic [...] from a sample and weights [..., K], which replace the sample's own.
Statistic = Callable[[Sample, Array], Array]


def mean(sample: Sample, weights: Array) -> Array:
    """The mean over maps of the mean over runs."""
    return weights @ sample.values


def median(sample: Sample, weights: Array) -> Array:
    """The median over maps of the mean over runs."""
    starts = np.cumsum(sample.sizes) - sample.sizes
    means = np.add.reduceat(weights * sample.values, starts, axis=-1) * len(sample.sizes)
    return np.asarray(np.median(means, axis=-1))


def iqm(sample: Sample, weights: Array) -> Array:
    """The interquartile mean: the mean of all runs without the lowest and the highest quarter.

    With the same number of runs on every map it is `scipy.stats.trim_mean` of all scores, which cuts whole runs. With
    unequal numbers, the same share of the weight is cut.
    """
    cut = np.floor(CUT * len(sample.values)) / len(sample.values)
    order = np.argsort(sample.values)
    upto = np.clip(np.cumsum(weights[..., order], axis=-1), cut, 1 - cut)
    kept = np.diff(upto, axis=-1, prepend=cut)
    return kept @ sample.values[order] / (1 - 2 * cut)


def optimality_gap(sample: Sample, weights: Array) -> Array:
    """How far the scores are below 1 on average; a score above 1 counts as 1."""
    return 1 - weights @ np.minimum(sample.values, 1)


def profile(levels: Array) -> Statistic:
    """The performance profile: the share of runs that score above each of T levels; [..., T]."""

    def above(sample: Sample, weights: Array) -> Array:
        reached = np.where(np.isnan(sample.values)[:, None], np.nan, sample.values[:, None] > levels)
        return weights @ reached

    return above


@dataclass(frozen=True)
class Estimate:
    """A statistic and the ends of its interval, numbers or arrays of one shape; the ends are NaN if there is none."""

    point: Array
    low: Array
    high: Array


def estimate(statistic: Statistic, sample: Sample, replicates: int = REPLICATES, seed: int = SEED) -> Estimate:
    """A statistic with its percentile interval, from a bootstrap stratified by map.

    A replicate draws as many runs of each map as there are. If a map has fewer than `LEAST`, there is no interval.
    """
    drawn = statistic(sample, sample.resampled(np.random.default_rng(seed), replicates))
    return _estimate(statistic(sample, sample.weights), drawn, sample)


def curve(sample: Sample, replicates: int = CURVE_REPLICATES, seed: int = SEED) -> Estimate:
    """The interquartile mean at each of S env steps, from values [K, S]; a replicate draws whole runs."""
    weights = sample.resampled(np.random.default_rng(seed), replicates)
    steps = [Sample(values, sample.sizes) for values in sample.values.T]
    point = np.array([iqm(step, sample.weights) for step in steps])
    return _estimate(point, np.stack([iqm(step, weights) for step in steps], axis=1), sample)


def improvement(ours: Sample, theirs: Sample, replicates: int = REPLICATES, seed: int = SEED) -> Estimate:
    """The probability that a run of `ours` scores above one of `theirs` on the same map, averaged over maps.

    A tie counts half (Mann and Whitney's U over the number of pairs). Both samples have the same maps; their numbers of
    runs may differ. Each is resampled independently.
    """
    first, second = ours.values[:, None], theirs.values[None, :]
    wins = np.where(np.isnan(first + second), np.nan, np.heaviside(first - second, 0.5))
    wins = np.where(ours.map_of_run[:, None] == theirs.map_of_run[None, :], wins, 0.0)

    def probability(weights: Array, others: Array) -> Array:
        return np.asarray(len(ours.sizes) * ((weights @ wins) * others).sum(axis=-1))

    random = np.random.default_rng(seed)
    drawn = probability(ours.resampled(random, replicates), theirs.resampled(random, replicates))
    return _estimate(probability(ours.weights, theirs.weights), drawn, ours, theirs)


def share_interval(count: int, of: int) -> tuple[float, float]:
    """Wilson's interval of the share `count` / `of`."""
    from scipy import stats

    low, high = stats.binomtest(count, of).proportion_ci(LEVEL, method="wilson")
    return float(low), float(high)


def _estimate(point: Array, drawn: Array, *samples: Sample) -> Estimate:
    if min(int(sample.sizes.min()) for sample in samples) < LEAST:
        return Estimate(point, np.full_like(point, np.nan), np.full_like(point, np.nan))
    low, high = np.percentile(drawn, [50 * (1 - LEVEL), 50 * (1 + LEVEL)], axis=0)
    return Estimate(point, low, high)
