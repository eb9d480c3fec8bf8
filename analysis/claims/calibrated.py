"""What a verdict rests on: two p-values, one for each way in which it could be wrong.

A claim is *supported* if "there is no such difference" is rejected at 5 %. It is *contradicted* if "the claim is true"
is rejected at 5 % and our numbers are further from it than the paper's own uncertainty allows. Otherwise it is
*undecided*. All p-values are one-sided. They are arrays [R], for R tables at once, so that a simulation uses the same
tests as the ledger.

A claim on several maps or methods is a tree of comparisons: "on all" is `at_least(n)`, "against one of them"
`at_least(1)`. Its p-values are Benjamini and Heller's (Biometrics 2008) for partial conjunctions, in Bonferroni's form,
which is valid however the comparisons depend on each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from analysis.paper import TOLERANCE, bold
from macpf import names

Array = NDArray[np.float64]

#: The most probability that each of a verdict's two errors may have.
ERROR = 0.05
#: A factor, and the map and method whose mean or standard deviation it multiplies.
Term = tuple[float, str, str]


@dataclass(frozen=True)
class PValues:
    """Two p-values [R].

    Attributes:
        none: of "there is no such difference"; small values speak for the claim.
        true: of "the claim is true"; small values speak against it.
    """

    none: Array
    true: Array

    @property
    def supported(self) -> NDArray[np.bool_]:
        """[R], whether the claim is supported."""
        return self.none <= ERROR

    @property
    def contradicted(self) -> NDArray[np.bool_]:
        """[R], whether the claim is contradicted."""
        return ~self.supported & (self.true <= ERROR)


def at_least(count: int, tests: Iterable[PValues]) -> PValues:
    """The p-values of "at least `count` of these n comparisons hold": all (n), one (1), or any number between."""
    parts = list(tests)
    none, true = (np.sort(np.stack([getattr(test, key) for test in parts]), axis=0) for key in ("none", "true"))
    # Rejecting "fewer than k hold" needs k small p-values; rejecting "k hold" needs n - k + 1 that speak
    # against it.
    against = len(parts) - count + 1
    return PValues(np.minimum(1.0, against * none[count - 1]), np.minimum(1.0, count * true[against - 1]))


def all_of(tests: Iterable[PValues]) -> PValues:
    """The p-values of "all of these comparisons hold"."""
    parts = list(tests)
    return at_least(len(parts), parts)


@dataclass(frozen=True, eq=False)
class Cells:
    """R tables of M maps and K methods.

    Attributes:
        maps, methods: their names.
        mean, std: [R, M, K], over the runs of a cell; std is the population's, as in the paper's plots.
        seeds: [M, K], the number of runs of each cell, at least two.
    """

    maps: tuple[str, ...]
    methods: tuple[str, ...]
    mean: Array
    std: Array
    seeds: NDArray[np.int64]

    @classmethod
    def of(cls, lines: pd.DataFrame, maps: Sequence[str], methods: Sequence[str], value: str = "mean") -> Cells:
        """From lines of cells (map, method, mean, std, seeds), or from lines of runs, whose column `value` is read."""
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
        """Mean and standard deviation [R] of one cell, and its number of runs."""
        m, k = self.maps.index(map), self.methods.index(method)
        return self.mean[:, m, k], self.std[:, m, k], int(self.seeds[m, k])

    def bold(self) -> NDArray[np.bool_]:
        """[R, M, K], see `analysis.paper.bold`."""
        return bold(self.mean, self.std)


@dataclass(frozen=True)
class Estimate:
    """A number [R] with its standard error [R] and that error's degrees of freedom [R]."""

    value: Array
    error: Array
    freedom: Array

    def shifted(self, by: float) -> Estimate:
        """The same estimate, with `by` added to the number."""
        return Estimate(self.value + by, self.error, self.freedom)

    def __neg__(self) -> Estimate:
        return Estimate(-self.value, self.error, self.freedom)

    def interval(self) -> tuple[Array, Array]:
        """The ends [R] of its 90 % interval: each is beyond the truth in 5 %."""
        half = self.error * special.stdtrit(self.freedom, 1 - ERROR)
        return self.value - half, self.value + half


def combined(cells: Cells, means: Iterable[Term], stds: Iterable[Term] = (), constant: float = 0.0) -> Estimate:
    """A weighted sum of means and standard deviations of cells, with Welch and Satterthwaite's degrees of freedom.

    Its standard error comes from the spread of the runs, by Student's method. A bootstrap over few runs underestimates
    it (docs/analysis.md). The error of the standard deviations themselves is that of normal scores.
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
    """The mean of differences between two scores of the same run, over the runs of one map."""
    error = gaps.std(ddof=1) / math.sqrt(len(gaps))
    return Estimate(*(np.array([number]) for number in (gaps.mean(), error, float(len(gaps) - 1))))


def positive(ours: Estimate, paper: Estimate | None = None, reached: bool = False) -> PValues:
    """The p-values of "the number is above 0", or with `reached` "at least 0".

    If the paper has the same number, ours speaks against the claim only if it is below 0 and below the paper's as well:
    the paper's five seeds may have been lucky, or its table may not support its sentence.
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
    """The p-value of "at least `level`": small if the number is clearly below."""
    gap = estimate.value - level
    with np.errstate(invalid="ignore", divide="ignore"):
        t = np.where(estimate.error > 0, gap / estimate.error, np.sign(gap) * np.inf)
    t = np.where((estimate.error == 0) & (gap == 0), 0.0, t)
    return np.asarray(special.stdtr(estimate.freedom, t))


def more_than_half(count: int, unknown: int, runs: int, paper: tuple[int, int] | None = None) -> PValues:
    """The p-values of "more than half of the runs end so": `count` of all `runs` do, and `unknown` of them may.

    With the paper's count and its number of runs, a share speaks against the claim only if it is also smaller than the
    paper's, as in `positive`.
    """
    true = float(special.bdtr(count + unknown, runs, 0.5))
    if paper is not None:
        true = max(true, fewer(count + unknown, runs, *paper))
    return PValues(np.array([1 - float(special.bdtr(count - 1, runs, 0.5)) if count else 1.0]), np.array([true]))


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
