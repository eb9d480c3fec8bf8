"""What a verdict rests on: two p-values, one for each way in which it could be wrong.

A claim is *supported* if "there is no such difference" is refused at 5 %, *contradicted* if "the claim is true" is, and
if our numbers are further from it than the paper's own uncertainty allows; else it is *undecided*. All p-values are
one-sided, and arrays [R] for R tables at once, so that a simulation asks what the ledger asks.

A claim on several maps or methods is a tree of comparisons: "on all" is `at_least(n)`, "against one of them"
`at_least(1)`. Its p-values are Benjamini and Heller's (Biometrics 2008) for partial conjunctions, Bonferroni's form,
which hold however the comparisons depend on each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from macpf import names

Array = NDArray[np.float64]

#: Both errors that a verdict may make have at most this probability.
ERROR = 0.05
#: Numbers of three digits that differ by less are equal.
TOLERANCE = 1e-9
#: A mean of a method on a map, or its standard deviation, and by what to multiply it.
Term = tuple[float, str, str]


@dataclass(frozen=True)
class PValues:
    """Two p-values [R].

    Attributes:
        none: of "there is no such difference": small values speak for the claim.
        true: of "the claim is true": small values speak against it.
    """

    none: Array
    true: Array

    @property
    def supported(self) -> NDArray[np.bool_]:
        """[R]."""
        return self.none <= ERROR

    @property
    def contradicted(self) -> NDArray[np.bool_]:
        """[R]."""
        return ~self.supported & (self.true <= ERROR)


def at_least(count: int, tests: Iterable[PValues]) -> PValues:
    """That so many of these n comparisons hold: all of them (n), one (1), or any number between."""
    parts = list(tests)
    none, true = (np.sort(np.stack([getattr(test, key) for test in parts]), axis=0) for key in ("none", "true"))
    # Refusing "fewer than k hold" needs k small p-values; refusing "k hold" needs n - k + 1 that speak against.
    against = len(parts) - count + 1
    return PValues(np.minimum(1.0, against * none[count - 1]), np.minimum(1.0, count * true[against - 1]))


def all_of(tests: Iterable[PValues]) -> PValues:
    """That every one of them holds."""
    parts = list(tests)
    return at_least(len(parts), parts)


@dataclass(frozen=True, eq=False)
class Cells:
    """Runs of M maps and K methods, R times.

    Attributes:
        maps, methods: what they are called.
        mean, std: [R, M, K], over the runs of a cell; the population's, as the paper's plots have it.
        seeds: [M, K], runs of each cell, two or more.
    """

    maps: tuple[str, ...]
    methods: tuple[str, ...]
    mean: Array
    std: Array
    seeds: NDArray[np.int64]

    @classmethod
    def of(cls, lines: pd.DataFrame, maps: Sequence[str], methods: Sequence[str], value: str = "mean") -> Cells:
        """From lines of cells (map, method, mean, std, seeds), or of runs if `value` is one of their columns."""
        if "std" not in lines:
            by_cell = lines.groupby([names.MAP, "method"])[value]
            lines = by_cell.agg(mean="mean", std=lambda runs: runs.std(ddof=0), seeds="count").reset_index()
        table = lines.set_index([names.MAP, "method"])
        places = [[(map_, method) for method in methods] for map_ in maps]
        mean, std, seeds = (
            np.array([[float(table[key][place]) for place in row] for row in places])
            for key in ("mean", "std", "seeds")
        )
        return cls(tuple(maps), tuple(methods), mean[None], std[None], seeds.astype(np.int64))

    def at(self, map: str, method: str) -> tuple[Array, Array, int]:
        """Mean and standard deviation [R] of one cell, and how many runs it has."""
        m, k = self.maps.index(map), self.methods.index(method)
        return self.mean[:, m, k], self.std[:, m, k], int(self.seeds[m, k])

    def bold(self) -> NDArray[np.bool_]:
        """[R, M, K]: within one standard deviation, the best's, of the best mean (caption of Table 2)."""
        best = self.mean.argmax(axis=2)[..., None]
        least = np.take_along_axis(self.mean, best, 2) - np.take_along_axis(self.std, best, 2)
        return self.mean >= least - TOLERANCE


@dataclass(frozen=True)
class Estimate:
    """A number [R] with its standard error [R] and the degrees of freedom of that."""

    value: Array
    error: Array
    freedom: Array

    def shifted(self, by: float) -> Estimate:
        """The same number, and so much more."""
        return Estimate(self.value + by, self.error, self.freedom)

    def __neg__(self) -> Estimate:
        return Estimate(-self.value, self.error, self.freedom)

    def interval(self) -> tuple[Array, Array]:
        """The ends [R], each of which is beyond the truth in 5 %."""
        half = self.error * special.stdtrit(self.freedom, 1 - ERROR)
        return self.value - half, self.value + half


def combined(cells: Cells, means: Iterable[Term], stds: Iterable[Term] = (), constant: float = 0.0) -> Estimate:
    """A weighted sum of means and standard deviations of cells, with Welch and Satterthwaite's degrees of freedom.

    Its error comes from the spread of the runs. A bootstrap over few runs takes that for too small (docs/analysis.md),
    so this is Student's way, and the standard deviations' own error that of normal scores.
    """
    value, variances = np.full(len(cells.mean), constant), []
    for weight, map_, method in means:
        mean, std, seeds = cells.at(map_, method)
        value = value + weight * mean
        variances.append((weight**2 * std**2 / (seeds - 1), seeds - 1))
    for weight, map_, method in stds:
        _, std, seeds = cells.at(map_, method)
        value = value + weight * std
        variances.append((weight**2 * std**2 / (2 * (seeds - 1)), seeds - 1))
    total = np.sum([variance for variance, _ in variances], axis=0)
    squares = np.sum([variance**2 / freedom for variance, freedom in variances], axis=0)
    return Estimate(value, np.sqrt(total), np.divide(total**2, squares, out=np.ones_like(total), where=squares > 0))


def paired(gaps: Array) -> Estimate:
    """The mean of differences within runs of one map."""
    error = gaps.std(ddof=1) / math.sqrt(len(gaps))
    return Estimate(*(np.array([number]) for number in (gaps.mean(), error, float(len(gaps) - 1))))


def positive(ours: Estimate, paper: Estimate | None = None, reached: bool = False) -> PValues:
    """That a number is above 0, or with `reached` at least 0.

    Where the paper has the same number, only what is below 0 and below the paper's, too, speaks against the claim: its
    five seeds may have been lucky, or its table may not bear out its sentence.
    """
    true = _below(ours, 0.0 if not reached else -TOLERANCE)
    if paper is not None:
        with np.errstate(invalid="ignore", divide="ignore"):
            freedom = (ours.error**2 + paper.error**2) ** 2 / (
                ours.error**4 / ours.freedom + paper.error**4 / paper.freedom
            )
        gap = Estimate(
            ours.value - paper.value,
            np.hypot(ours.error, paper.error),
            np.where(np.isfinite(freedom), freedom, 1.0),
        )
        true = np.maximum(true, _below(gap, 0.0))
    none = 1 - _below(ours, -TOLERANCE if reached else TOLERANCE)
    return PValues(none, true)


def _below(estimate: Estimate, level: float) -> Array:
    """The p-value of "at least so much": small where the number is clearly below."""
    gap = estimate.value - level
    with np.errstate(invalid="ignore", divide="ignore"):
        t = np.where(estimate.error > 0, gap / estimate.error, np.sign(gap) * np.inf)
    t = np.where((estimate.error == 0) & (gap == 0), 0.0, t)
    return np.asarray(special.stdtr(estimate.freedom, t))


def share_above(
    count: int, unknown: int, runs: int, level: float = 0.5, paper: tuple[int, int] | None = None
) -> PValues:
    """That more than this share of runs ends so; nobody knows of some.

    Args:
        count, unknown, runs: how many do, may, and are.
        level: of the share.
        paper: how many of how many in the paper: then, as in `positive`, only a smaller share than its is against it.
    """
    true = float(special.bdtr(count + unknown, runs, level))
    if paper is not None:
        true = max(true, fewer(count + unknown, runs, *paper))
    return PValues(np.array([1 - float(special.bdtr(count - 1, runs, level)) if count else 1.0]), np.array([true]))


def fewer(count: int, runs: int, other_count: int, other_runs: int) -> float:
    """Fisher's exact p-value, one-sided, of "the first share is at least as large as the second"."""
    together, of = count + other_count, math.comb(runs + other_runs, count + other_count)
    least = max(0, together - other_runs)
    ways = sum(math.comb(runs, k) * math.comb(other_runs, together - k) for k in range(least, count + 1))
    return ways / of


def exact_interval(count: int, runs: int, level: float) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share."""
    tail = (1 - level) / 2
    low = 0.0 if count == 0 else float(special.betaincinv(count, runs - count + 1, tail))
    high = 1.0 if count == runs else float(special.betaincinv(count + 1, runs - count, 1 - tail))
    return low, high
