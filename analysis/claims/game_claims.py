"""Rules and tests of claims on the matrix game and the multi-goal game: they count how seeds end.

It is unknown how a seed ended whose return is NaN. It speaks neither for the paper nor against it.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from analysis import paper
from analysis.claims.calibrated import ERROR, PValues, all_of, exact_interval, fewer, more_than_half
from analysis.claims.claim import SUPPORTED, Claim, Comparison, Judgement, more_seeds, two_way
from analysis.claims.simulation import POWER

#: A policy has captured a joint action if it gives it at least this probability (chance is 1 in 16).
CAPTURED = 0.1
#: The paper's count for "every seed": five of its five seeds.
_ALL = (paper.SEEDS, paper.SEEDS)
#: Numbers of seeds for which the power is computed.
_SEEDS = (*range(5, 21), 25, 30, 40, 50, 60, 80, 100)
_DRAWS = 400
_WAYS = ("optimum", "suboptimal", "worse")


@cache
def published() -> pd.DataFrame:
    """The paper's counts on the matrix game, as lines of evidence."""
    ends = paper.outcomes().mul(paper.SEEDS / 100).fillna(0)  # the paper gives no such number for MAPPO
    between = paper.SEEDS - ends["optimum"] - ends["worse"]
    return ends.assign(suboptimal=between, nan=0, seeds=paper.SEEDS).reset_index()


#: By method, numbers of seeds: optimum, suboptimal, worse, nan, seeds (all); and both and unread, where they count.
Ends = Mapping[str, Mapping[str, int]]
#: What a rule and a test say of these counts: the rule's judgement, the test's p-values, and its numbers in words.
Counted = Callable[[Ends], tuple[Judgement, PValues, str]]


class Count(NamedTuple):
    """The number of seeds that end in some way, of those that end with NaN, and of all."""

    ending: int
    nan: int
    seeds: int

    def __str__(self) -> str:
        return f"{self.ending} of {self.seeds} seeds{f', {self.nan} NaN' if self.nan else ''}"


@dataclass(frozen=True, eq=False, kw_only=True)
class CountClaim(Claim):
    """A claim on the matrix game, for which the paper says how its seeds ended."""

    counts: Counted

    def test(self, lines: pd.DataFrame) -> tuple[PValues, str]:
        """See `Claim`."""
        return self.counts(ends_of(lines))[1:]

    def power(self, seeds: int) -> float:
        """See `Claim`."""
        return float("nan") if self.figure_only else _power(self, seeds)

    def seeds_needed(self) -> str:
        """See `Claim`."""
        if self.figure_only:
            return ""
        if self.judge is None or self.judge(self.about(published())).verdict != SUPPORTED:
            return "no number is enough"
        # The power of an exact test also falls with seeds: those are enough from which on it stays large.
        enough = list(takewhile(lambda seeds: _power(self, seeds) >= POWER, reversed(_SEEDS)))
        return more_seeds(enough[-1] if enough else None, _SEEDS[-1])


def ends_of(lines: pd.DataFrame) -> Ends:
    """The counts in lines of evidence, by method."""
    counts = lines.set_index("method").drop(columns="mean final return", errors="ignore")
    return {str(method): {str(end): int(n) for end, n in line.items()} for method, line in counts.T.to_dict().items()}


@cache
def _power(claim: CountClaim, seeds: int) -> float:
    random, truth = np.random.default_rng(0), ends_of(claim.about(published()))
    shares = {method: [line[end] / paper.SEEDS for end in _WAYS] for method, line in truth.items()}
    draws = Counter(
        tuple(tuple(random.multinomial(seeds, share).tolist()) for share in shares.values()) for _ in range(_DRAWS)
    )
    supported = 0
    for ways, times in draws.items():  # many draws are alike, and the tests are slow
        rest = {"nan": 0, "seeds": seeds}
        drawn = {method: dict(zip(_WAYS, n, strict=True)) | rest for method, n in zip(truth, ways, strict=True)}
        supported += times * bool(claim.counts(drawn)[1].supported[0])
    return supported / _DRAWS


def _count(ends: Ends, method: str, *ways: str) -> Count:
    line = ends[method]
    ending, unknown = sum(line[way] for way in ways), line["nan"] + (line.get("unread", 0) if "both" in ways else 0)
    return Count(ending, min(unknown, line["seeds"] - ending), line["seeds"])


def _each(counts: Mapping[str, Count]) -> str:
    return "; ".join(f"{method} {found}" for method, found in counts.items())


def every(methods: Sequence[str], ways: Sequence[str]) -> Counted:
    """Every seed of the method ends in one of these ways."""

    def judge(ends: Ends) -> tuple[Judgement, PValues, str]:
        found = _count(ends, methods[0], *ways)
        return two_way(found.ending == found.seeds, str(found)), _every(*found, _ALL), str(found)

    return judge


def _every(count: int, nan: int, seeds: int, of_paper: tuple[int, int] | None) -> PValues:
    """The p-values of "every seed ends so".

    It is supported only if all do. A share speaks against it if it is below one half or, where the paper has a count,
    below the paper's.
    """
    share = more_than_half(count, nan, seeds)
    true = share.true if of_paper is None else np.array([fewer(count + nan, seeds, *of_paper)])
    return PValues(share.none if count == seeds else np.ones(1), true)


def by_chance(methods: Sequence[str], way: str, of_five: int) -> Counted:
    """Some but not all seeds end so, and their share agrees with the paper's `of_five` of five seeds."""
    region = exact_interval(of_five, paper.SEEDS, 1 - ERROR)

    def judge(ends: Ends) -> tuple[Judgement, PValues, str]:
        count, nan, seeds = found = _count(ends, methods[0], way)
        low, high = exact_interval(count, seeds, 1 - 2 * ERROR)
        # Two one-sided tests: the share is above the low and below the high end of the interval of the paper's count.
        ends_of_region = special.bdtrc(count - 1, seeds, region[0]), special.bdtr(count, seeds, region[1])
        none = max(map(float, ends_of_region)) if 0 < count < seeds and not nan else 1.0
        true = max(_differ(k, seeds, of_five) for k in range(count, count + nan + 1))
        words = f"{found} ({low:.0%} to {high:.0%}) against {of_five} of {paper.SEEDS}"
        rule = two_way(count * paper.SEEDS == of_five * seeds, str(found))
        return rule, PValues(np.array([none]), np.array([true])), words

    return judge


def _differ(count: int, seeds: int, of_five: int) -> float:
    """The p-value of Fisher's exact test of one share against the paper's: twice that of the smaller side."""
    less = fewer(count, seeds, of_five, paper.SEEDS)
    more = fewer(seeds - count, seeds, paper.SEEDS - of_five, paper.SEEDS)
    return min(1.0, 2 * min(less, more))


def mostly_miss(methods: Sequence[str]) -> Counted:
    """Fewer than half of each method's seeds end at the optimum."""
    of_paper = ends_of(published())

    def judge(ends: Ends) -> tuple[Judgement, PValues, str]:
        counts = {method: _count(ends, method, "optimum") for method in ends}
        tests = []
        for method, (count, nan, seeds) in counts.items():
            missed = (paper.SEEDS - _count(of_paper, method, "optimum").ending, paper.SEEDS)
            tests.append(more_than_half(seeds - count - nan, nan, seeds, paper=missed))
        few = all(2 * (count + nan) < seeds for count, nan, seeds in counts.values())
        return two_way(few, _each(counts)), all_of(tests), _each(counts)

    return judge


def more_at_the_optimum(methods: Sequence[str]) -> Counted:
    """A larger share of the first method's seeds than of the second's ends at the optimum."""

    def judge(ends: Ends) -> tuple[Judgement, PValues, str]:
        counts = {method: _count(ends, method, "optimum") for method in methods}
        (ours, our_nan, our_seeds), (theirs, their_nan, their_seeds) = counts.values()
        none = fewer(theirs + their_nan, their_seeds, ours, our_seeds)
        true = fewer(ours + our_nan, our_seeds, theirs, their_seeds)
        rule = two_way(ours / our_seeds > (theirs + their_nan) / their_seeds, _each(counts))
        return rule, PValues(np.array([none]), np.array([true])), _each(counts)

    return judge


def goals(methods: Sequence[str], least: int, most: int) -> Comparison:
    """Every run reaches from `least` to `most` of the goals."""

    def compare(lines: pd.DataFrame) -> tuple[PValues, str]:
        reached = int(lines["goals"].between(least, most).sum())
        return _every(reached, 0, len(lines), None), f"goals of each run: {', '.join(map(str, lines['goals']))}"

    return compare


def nowhere(methods: Sequence[str]) -> Comparison:
    """In every run most sampled episodes end at no goal."""

    def compare(lines: pd.DataFrame) -> tuple[PValues, str]:
        lost, episodes = lines["none"], lines["episodes"]
        most, tie = int((2 * lost > episodes).sum()), int((2 * lost == episodes).sum())
        words = ", ".join(f"{a} of {b}" for a, b in zip(lost, episodes, strict=True))
        return _every(most, tie, len(lines), None), f"episodes of each run at no goal: {words}"

    return compare


COUNTS: dict[str, Callable[..., Counted]] = {
    function.__name__: function for function in (every, by_chance, mostly_miss, more_at_the_optimum)
}
GOALS: dict[str, Callable[..., Comparison]] = {function.__name__: function for function in (goals, nowhere)}
