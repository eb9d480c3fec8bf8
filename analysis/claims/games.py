"""Claims on the matrix game and the multi-goal game: counts of how seeds end.

A seed whose return is NaN ended nobody knows how: it speaks neither for the paper nor against it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from scipy import special

from analysis import paper
from analysis.claims.calibrated import ERROR, PValues, all_of, exact_interval, fewer, share_above
from analysis.claims.claim import FIGURE_ONLY, SUPPORTED, Claim, Comparison, Judgement, more_seeds, two_way
from analysis.claims.simulation import POWER

#: Least probability that a policy gives to a joint action it is said to have captured (chance is 1 in 16).
CAPTURED = 0.1
#: Label of one agent that controls both, in the multi-goal game.
CENTRAL = "CENTRAL"
#: Where the paper has a count, it is of its five seeds.
_ALL = (paper.SEEDS, paper.SEEDS)
#: Numbers of seeds that are tried for the power.
_SEEDS = (5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100)
_DRAWS = 400
_WAYS = ("optimum", "suboptimal", "worse")


def published() -> pd.DataFrame:
    """The paper's counts of the matrix game as lines of evidence."""
    ends = paper.outcomes().mul(paper.SEEDS / 100).fillna(0)  # that some of MAPPO's are worse it does not say
    between = paper.SEEDS - ends["optimum"] - ends["worse"]
    return ends.assign(suboptimal=between, nan=0, seeds=paper.SEEDS).reset_index()


#: By method, how many seeds ended how: optimum, suboptimal, worse, nan, seeds, and both where somebody counted that.
Ends = Mapping[str, Mapping[str, int]]
#: A rule and a test of these counts.
Rule = Callable[[Ends], Judgement]
CountTest = Callable[[Ends], tuple[PValues, str]]


@dataclass(frozen=True, eq=False)
class CountClaim(Claim):
    """A claim of the matrix game, for which the paper says how many of its seeds ended how."""

    counts: CountTest | None = None

    def test(self, lines: pd.DataFrame) -> tuple[PValues, str]:
        """See `Claim`."""
        assert self.counts is not None
        return self.counts(_ends(lines))

    def power(self, seeds: int) -> float:
        """See `Claim`."""
        return float("nan") if self.figure_only else _power(self, seeds)

    def seeds_needed(self) -> str:
        """See `Claim`."""
        if self.figure_only:
            return ""
        if self.judge(self.about(published())).verdict != SUPPORTED:
            return "no number is enough"
        return more_seeds(next((n for n in _SEEDS if _power(self, n) >= POWER), None), _SEEDS[-1])


def _ends(lines: pd.DataFrame) -> Ends:
    counts = lines.set_index("method").drop(columns="mean final return", errors="ignore")
    return {str(method): {str(end): int(n) for end, n in line.items()} for method, line in counts.T.to_dict().items()}


@cache
def _power(claim: CountClaim, seeds: int) -> float:
    assert claim.counts is not None
    random, truth = np.random.default_rng(0), _ends(claim.about(published()))
    supported = 0
    for _ in range(_DRAWS):
        drawn = {}
        for method, line in truth.items():
            ways = random.multinomial(seeds, [line[end] / paper.SEEDS for end in _WAYS])
            drawn[method] = dict(zip(_WAYS, ways.tolist(), strict=True)) | {"nan": 0, "seeds": seeds}
        supported += bool(claim.counts(drawn)[0].supported[0])
    return supported / _DRAWS


def _count(ends: Ends, method: str, *ways: str) -> tuple[int, int, int]:
    """Seeds of a method that end in one of these ways, those that end with NaN, and all."""
    line = ends[method]
    return sum(line[way] for way in ways), line["nan"], line["seeds"]


def _shown(count: int, nan: int, seeds: int) -> str:
    return f"{count} of {seeds} seeds{f', {nan} NaN' if nan else ''}"


def every(method: str, *ways: str) -> tuple[Rule, CountTest]:
    """Every seed of the method ends in one of these ways: the rule, and the test."""

    def judge(ends: Ends) -> Judgement:
        count, nan, seeds = _count(ends, method, *ways)
        return two_way(count == seeds, _shown(count, nan, seeds))

    def test(ends: Ends) -> tuple[PValues, str]:
        found = _count(ends, method, *ways)
        return _every(*found, _ALL), _shown(*found)

    return judge, test


def _every(count: int, nan: int, seeds: int, of_paper: tuple[int, int] | None) -> PValues:
    """Supported only by all; against it are fewer than half, or fewer than the paper's."""
    share = share_above(count, nan, seeds)
    true = share.true if of_paper is None else np.array([fewer(count + nan, seeds, *of_paper)])
    return PValues(share.none if count == seeds else np.ones(1), true)


def by_chance(method: str, way: str, of_five: int) -> tuple[Rule, CountTest]:
    """Some seeds and not all end so, and as often as the paper's five may have."""
    region = exact_interval(of_five, paper.SEEDS, 1 - ERROR)

    def judge(ends: Ends) -> Judgement:
        count, nan, seeds = _count(ends, method, way)
        return two_way(count * paper.SEEDS == of_five * seeds, _shown(count, nan, seeds))

    def test(ends: Ends) -> tuple[PValues, str]:
        count, nan, seeds = _count(ends, method, way)
        low, high = exact_interval(count, seeds, 1 - 2 * ERROR)
        # Two one-sided tests: the share is above and below what the paper's count leaves open.
        ends_of_region = special.bdtrc(count - 1, seeds, region[0]), special.bdtr(count, seeds, region[1])
        none = max(map(float, ends_of_region)) if 0 < count < seeds and not nan else 1.0
        true = max(_differ(k, seeds, of_five) for k in range(count, count + nan + 1))
        words = f"{_shown(count, nan, seeds)} ({low:.0%} to {high:.0%}) against {of_five} of {paper.SEEDS}"
        return PValues(np.array([none]), np.array([true])), words

    return judge, test


def _differ(count: int, seeds: int, of_five: int) -> float:
    """Fisher's exact test of one share against the paper's, twice the smaller side."""
    less = fewer(count, seeds, of_five, paper.SEEDS)
    more = fewer(seeds - count, seeds, paper.SEEDS - of_five, paper.SEEDS)
    return min(1.0, 2 * min(less, more))


def _mostly_miss(ends: Ends) -> Judgement:
    counts = {method: _count(ends, method, "optimum") for method in ends}
    return two_way(all(2 * (count + nan) < seeds for count, nan, seeds in counts.values()), _each(counts))


def _each(counts: dict[str, tuple[int, int, int]]) -> str:
    return "; ".join(f"{method} {_shown(*found)}" for method, found in counts.items())


def _miss(ends: Ends) -> tuple[PValues, str]:
    counts = {method: _count(ends, method, "optimum") for method in ends}
    tests = []
    for method, (count, nan, seeds) in counts.items():
        missed = (paper.SEEDS - _count(_published(), method, "optimum")[0], paper.SEEDS)
        tests.append(share_above(seeds - count - nan, nan, seeds, paper=missed))
    return all_of(tests), _each(counts)


@cache
def _published() -> Ends:
    return _ends(published())


def _both(ends: Ends) -> dict[str, tuple[int, int, int]]:
    return {method: _count(ends, method, "optimum") for method in ("MACPF", "FOP")}


def _more_at_the_optimum(ends: Ends) -> Judgement:
    (ours, _, our_seeds), (theirs, their_nan, their_seeds) = _both(ends).values()
    return two_way(ours / our_seeds > (theirs + their_nan) / their_seeds, _each(_both(ends)))


def _beats_fop(ends: Ends) -> tuple[PValues, str]:
    (ours, our_nan, our_seeds), (theirs, their_nan, their_seeds) = _both(ends).values()
    none = fewer(theirs + their_nan, their_seeds, ours, our_seeds)
    true = fewer(ours + our_nan, our_seeds, theirs, their_seeds)
    return PValues(np.array([none]), np.array([true])), _each(_both(ends))


def goals(least: int, most: int) -> Comparison:
    """Every run reaches that many of the goals."""

    def compare(lines: pd.DataFrame) -> tuple[PValues, str]:
        reached = lines["goals"].between(least, most)
        return (
            _every(int(reached.sum()), 0, len(lines), None),
            f"goals of each run: {', '.join(map(str, lines['goals']))}",
        )

    return compare


def _nowhere(lines: pd.DataFrame) -> tuple[PValues, str]:
    lost, episodes = lines["none"], lines["episodes"]
    words = ", ".join(f"{a} of {b}" for a, b in zip(lost, episodes, strict=True))
    runs = int((2 * lost > episodes).sum())
    return _every(
        runs, int((2 * lost == episodes).sum()), len(lines), None
    ), f"episodes of each run at no goal: {words}"


_SEVERAL = "sampled trajectories of every run reach at least two of the four goals"
_MOST = (
    "supported if all do, and so many that at 5 % more than half of all would; contradicted if at 5 % fewer than half"
)
_FIVE = (
    "supported if all do, and at 5 % more than half of all would; contradicted if at 5 % fewer do than in the paper "
    "(Fisher's exact test against 5 of 5)"
)


def _goals(id: str, method: str, text: str, rule: str, compare: Comparison) -> Claim:
    return Claim(
        *(f"figure1-{id}", "2.3, Figure 1", text, rule, _no_numbers, "figure1", (method,)),
        compared=f"the number of runs for which it holds: {_MOST}",
        compare=compare,
        figure_only=True,
    )


def _no_numbers(_: pd.DataFrame) -> Judgement:
    return Judgement(FIGURE_ONLY, "")


def _matrix(
    id: str,
    methods: tuple[str, ...],
    text: str,
    rule: str,
    decided: tuple[Rule, CountTest],
    compared: str,
    figure_only: bool = False,
) -> Claim:
    judge, test = decided
    where = "5.1, Figure 4" if id.startswith("figure4") else "1, Figure 4"
    return CountClaim(
        *(id, where, text, rule, lambda lines: judge(_ends(lines)), "figure4", methods),
        compared=compared,
        counts=test,
        figure_only=figure_only,
    )


def _always(id: str, method: str, text: str, rule: str, *ends: str, figure_only: bool = False) -> Claim:
    return _matrix(
        f"figure4-{id}",
        (method,),
        text,
        rule,
        every(method, *ends),
        f"the number of seeds that do: {_FIVE}",
        figure_only,
    )


def _optimal(id: str, method: str, text: str) -> Claim:
    return _always(id, method, text, "every seed's final greedy return is the largest payoff", "optimum")


def _suboptimal(id: str, method: str, text: str) -> Claim:
    rule = "every seed's final greedy return is neither the largest nor the smallest payoff"
    return _always(id, method, text, rule, "suboptimal")


def _chance(id: str, method: str, column: str, of_five: int, text: str) -> Claim:
    end = "the largest payoff" if column == "optimum" else "the smallest payoff"
    low, high = exact_interval(of_five, paper.SEEDS, 1 - ERROR)
    return _matrix(
        f"figure4-{id}",
        (method,),
        text,
        f"{of_five} of {paper.SEEDS} seeds end at {end}",
        by_chance(method, column, of_five),
        f"the share of seeds that end at {end} with the paper's: supported if some and not all do, and at 5 % their "
        f"share is within {low:.0%} to {high:.0%}, which {of_five} of {paper.SEEDS} leave open; contradicted if "
        f"Fisher's exact test against {of_five} of {paper.SEEDS} has p <= {ERROR}",
    )


CLAIMS = [
    _goals("central", CENTRAL, "Multi-goal game: centralised control learns several modes", _SEVERAL, goals(2, 4)),
    _goals(
        id="fop",
        method="FOP",
        text="Multi-goal game: FOP struggles to learn any meaningful joint policy",
        rule="in every run most sampled trajectories end at no goal",
        compare=_nowhere,
    ),
    _goals(
        id="fop-modes",
        method="FOP",
        text="Multi-goal game: FOP does not inherit a multi-modal joint policy",
        rule="sampled trajectories of no run reach more than one of the four goals",
        compare=goals(0, 1),
    ),
    _goals("macpf", "MACPF_DEP", "Multi-goal game: with dependency several modes are learnt", _SEVERAL, goals(2, 4)),
    _matrix(
        id="matrix-fop",
        methods=("MACPF", "FOP"),
        text="MACPF consistently outperforms its base method, FOP (matrix game)",
        rule="a larger share of MACPF's seeds than of FOP's has the largest payoff as its final greedy return",
        decided=(_more_at_the_optimum, _beats_fop),
        compared="both shares, by Fisher's exact test at 5 %, one-sided, either way",
    ),
    _optimal("macpf", "MACPF", "The independent joint policy of MACPF always converges to an optimum"),
    _optimal("macpf-dep", "MACPF_DEP", "The dependent joint policy of MACPF always converges to the highest return"),
    _always(
        "both-optima",
        "MACPF_DEP",
        "The dependent joint policy captures both optimal joint actions",
        f"in every seed it gives each of them a probability of at least {CAPTURED} in the end",
        "both",
        figure_only=True,
    ),
    _matrix(
        id="figure4-most",
        methods=("QMIX", "QPLEX", "FOP"),
        text="QMIX, QPLEX and FOP fail to learn the optimal coordinated strategy in most cases",
        rule="of each of the three the final greedy return of fewer than half of the seeds is the largest payoff",
        decided=(_mostly_miss, _miss),
        compared="each share with one half: every comparison by itself at 5 %; contradicted if one is above, and above "
        "the paper's, at 5 % over all of them together",
    ),
    _suboptimal("qmix", "QMIX", "QMIX finds a suboptimal policy in all seeds"),
    _suboptimal("mappo", "MAPPO", "MAPPO finds a suboptimal policy in all seeds"),
    _chance("qplex", "QPLEX", "optimum", 3, "QPLEX finds the optima by chance, in 60 % of the seeds"),
    _chance("qtran", "QTRAN", "optimum", 1, "QTRAN finds the optima by chance, in 20 % of the seeds"),
    _chance("fop", "FOP", "optimum", 2, "FOP finds the optima by chance, in 40 % of the seeds"),
    _always(
        "qtran-safe",
        "QTRAN",
        "QTRAN finds at least the suboptimal policy in all seeds",
        "no seed's final greedy return is the smallest payoff",
        "optimum",
        "suboptimal",
    ),
    _chance("qplex-worse", "QPLEX", "worse", 1, "QPLEX is worse than QMIX in 20 % of the seeds"),
    _chance("fop-worse", "FOP", "worse", 2, "FOP is worse than QMIX in 40 % of the seeds"),
]
