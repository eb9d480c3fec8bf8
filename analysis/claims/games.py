"""Claims on the matrix game and the multi-goal game: counts of how seeds end."""

from collections.abc import Callable
from math import comb

import pandas as pd

from analysis import paper
from analysis.claims.claim import Claim, Judgement, three_way, two_way

Rule = Callable[[pd.DataFrame], Judgement]

#: Below this p-value two counts do not share one rate.
_P = 0.05
#: Least probability that a policy gives to a joint action it is said to have captured (chance is 1 in 16).
CAPTURED = 0.1
#: Label of one agent that controls both, in the multi-goal game.
CENTRAL = "CENTRAL"


def all_end(method: str, column: str, none: bool = False) -> Rule:
    """Every seed of the method ends as the column says, or none of them does."""

    def judge(lines: pd.DataFrame) -> Judgement:
        count, seeds = _count(lines, method, column)
        return two_way(count == (0 if none else seeds), f"{count} of {seeds} seeds")

    return judge


def by_chance(method: str, column: str, of_five: int) -> Rule:
    """Some seeds and not all end so, and as often as the paper's five by Fisher's exact test."""

    def judge(lines: pd.DataFrame) -> Judgement:
        count, seeds = _count(lines, method, column)
        p = fisher(count, seeds, of_five, paper.SEEDS)
        numbers = f"{count} of {seeds} seeds against {of_five} of {paper.SEEDS}, p = {p:.2g}"
        return three_way(p >= _P and 0 < count < seeds, p < _P, numbers)

    return judge


def fisher(k: int, n: int, j: int, m: int) -> float:
    """Fisher's exact test, two-sided: how likely counts at least as odd as k of n beside j of m are at one rate."""
    ways = [comb(n, i) * comb(m, k + j - i) if 0 <= k + j - i <= m else 0 for i in range(n + 1)]
    return sum(way for way in ways if way <= ways[k]) / sum(ways)


def _count(lines: pd.DataFrame, method: str, column: str) -> tuple[int, int]:
    line = lines[lines["method"] == method].iloc[0]
    return int(line[column]), int(line["seeds"])


def goals(least: int, most: int) -> Rule:
    """Every run reaches that many of the goals."""

    def judge(lines: pd.DataFrame) -> Judgement:
        counts = lines["goals"]
        return two_way(bool(counts.between(least, most).all()), f"goals of each run: {', '.join(map(str, counts))}")

    return judge


_LARGEST = "seed's final greedy return is the largest payoff"
_SEVERAL = "sampled trajectories of every run reach at least two of the four goals"


def _goals(id: str, method: str, text: str, rule: str, judge: Rule) -> Claim:
    where = "2.3, Figure 1"
    return Claim(f"figure1-{id}", where, text, rule, judge, "figure1", methods=(method,), figure_only=True)


def _matrix(id: str, method: str, text: str, rule: str, judge: Rule, figure_only: bool = False) -> Claim:
    where = "5.1, Figure 4"
    return Claim(f"figure4-{id}", where, text, rule, judge, "figure4", methods=(method,), figure_only=figure_only)


def _optimal(id: str, method: str, text: str) -> Claim:
    return _matrix(id, method, text, f"every {_LARGEST}", all_end(method, "optimum"))


def _suboptimal(id: str, method: str, text: str) -> Claim:
    return _matrix(id, method, text, f"no {_LARGEST}", all_end(method, "optimum", none=True))


def _chance(id: str, method: str, column: str, of_five: int, text: str) -> Claim:
    end = "the largest payoff" if column == "optimum" else "the smallest payoff"
    rule = f"some seeds and not all end at {end}; Fisher's exact test against {of_five} of 5 has p >= {_P}"
    return _matrix(id, method, text, rule, by_chance(method, column, of_five))


CLAIMS = [
    _goals("central", CENTRAL, "Multi-goal game: centralised control learns several modes", _SEVERAL, goals(2, 4)),
    _goals(
        id="fop",
        method="FOP",
        text="Multi-goal game: FOP struggles to learn any meaningful joint policy",
        rule="sampled trajectories of no run reach more than one of the four goals",
        judge=goals(0, 1),
    ),
    _goals("macpf", "MACPF_DEP", "Multi-goal game: with dependency several modes are learnt", _SEVERAL, goals(2, 4)),
    _optimal("macpf", "MACPF", "The independent joint policy of MACPF always converges to an optimum"),
    _optimal("macpf-dep", "MACPF_DEP", "The dependent joint policy of MACPF always converges to the highest return"),
    _matrix(
        id="both-optima",
        method="MACPF_DEP",
        text="The dependent joint policy captures both optimal joint actions",
        rule=f"in every seed it gives each of them a probability of at least {CAPTURED} in the end",
        judge=all_end("MACPF_DEP", "both"),
        figure_only=True,
    ),
    _suboptimal("qmix", "QMIX", "QMIX finds a suboptimal policy in all seeds"),
    _suboptimal("mappo", "MAPPO", "MAPPO finds a suboptimal policy in all seeds"),
    _chance("qplex", "QPLEX", "optimum", 3, "QPLEX finds the optima by chance, in 60 % of the seeds"),
    _chance("qtran", "QTRAN", "optimum", 1, "QTRAN finds the optima by chance, in 20 % of the seeds"),
    _chance("fop", "FOP", "optimum", 2, "FOP finds the optima by chance, in 40 % of the seeds"),
    _matrix(
        id="qtran-safe",
        method="QTRAN",
        text="QTRAN finds at least the suboptimal policy in all seeds",
        rule="no seed's final greedy return is the smallest payoff",
        judge=all_end("QTRAN", "worse", none=True),
    ),
    _chance("qplex-worse", "QPLEX", "worse", 1, "QPLEX is worse than QMIX in 20 % of the seeds"),
    _chance("fop-worse", "FOP", "worse", 2, "FOP is worse than QMIX in 40 % of the seeds"),
]
