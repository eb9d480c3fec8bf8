"""Claims on the matrix game and the multi-goal game: counts of how seeds end.

A seed whose return is NaN ended nobody knows how: it speaks neither for the paper nor against it.
"""

from collections.abc import Callable

import pandas as pd
from scipy import stats

from analysis import paper
from analysis.aggregates import LEVEL, share_interval
from analysis.claims.claim import Claim, Judgement, three_way, two_way

Rule = Callable[[pd.DataFrame], Judgement]

#: Below this p-value two counts do not share one rate.
_P = 0.05
#: Least probability that a policy gives to a joint action it is said to have captured (chance is 1 in 16).
CAPTURED = 0.1
#: Label of one agent that controls both, in the multi-goal game.
CENTRAL = "CENTRAL"


def all_end(method: str, *ends: str) -> Rule:
    """Every seed of the method ends in one of these ways."""

    def judge(lines: pd.DataFrame) -> Judgement:
        found = [_count(lines, method, end) for end in ends]
        (_, nan, seeds), count = found[0], sum(count for count, _, _ in found)
        return three_way(count == seeds, count + nan < seeds, _shown(count, nan, seeds))

    return judge


def by_chance(method: str, end: str, of_five: int) -> Rule:
    """Some seeds and not all end so, and as often as the paper's five."""

    def judge(lines: pd.DataFrame) -> Judgement:
        count, nan, seeds = _count(lines, method, end)
        low, high = share_interval(count, seeds)
        p = max(_fisher(k, seeds, of_five) for k in range(count, count + nan + 1))
        numbers = (
            f"{_shown(count, nan, seeds)} ({low:.0%} to {high:.0%}) against {of_five} of {paper.SEEDS}, p = {p:.2g}"
        )
        alike = p >= _P and low <= of_five / paper.SEEDS <= high
        return three_way(alike and 0 < count < seeds and not nan, p < _P, numbers)

    return judge


def _fisher(count: int, seeds: int, of_five: int) -> float:
    return float(stats.fisher_exact([[count, seeds - count], [of_five, paper.SEEDS - of_five]]).pvalue)


def _count(lines: pd.DataFrame, method: str, end: str) -> tuple[int, int, int]:
    """Seeds of a method that end so, those that end with NaN, and all."""
    line = lines[lines["method"] == method].iloc[0]
    return int(line[end]), int(line["nan"]), int(line["seeds"])


def _shown(count: int, nan: int, seeds: int) -> str:
    return f"{count} of {seeds} seeds{f', {nan} NaN' if nan else ''}"


def _mostly_miss(lines: pd.DataFrame) -> Judgement:
    counts = {str(method): _count(lines, str(method), "optimum") for method in lines["method"]}
    return three_way(
        all(2 * (count + nan) < seeds for count, nan, seeds in counts.values()),
        any(2 * count >= seeds for count, _, seeds in counts.values()),
        "; ".join(f"{method} {_shown(*ends)}" for method, ends in counts.items()),
    )


def _more_at_the_optimum(lines: pd.DataFrame) -> Judgement:
    (ours, our_nan, our_seeds), (theirs, their_nan, their_seeds) = (
        _count(lines, method, "optimum") for method in ("MACPF", "FOP")
    )
    return three_way(
        ours / our_seeds > (theirs + their_nan) / their_seeds,
        (ours + our_nan) / our_seeds <= theirs / their_seeds,
        f"MACPF {_shown(ours, our_nan, our_seeds)}; FOP {_shown(theirs, their_nan, their_seeds)}",
    )


def goals(least: int, most: int) -> Rule:
    """Every run reaches that many of the goals."""

    def judge(lines: pd.DataFrame) -> Judgement:
        counts = lines["goals"]
        return two_way(bool(counts.between(least, most).all()), f"goals of each run: {', '.join(map(str, counts))}")

    return judge


def _mostly_nowhere(lines: pd.DataFrame) -> Judgement:
    lost, episodes = lines["none"], lines["episodes"]
    words = ", ".join(f"{a} of {b}" for a, b in zip(lost, episodes, strict=True))
    return three_way(
        bool((2 * lost > episodes).all()),
        bool((2 * lost < episodes).all()),
        f"episodes of each run at no goal: {words}",
    )


_SEVERAL = "sampled trajectories of every run reach at least two of the four goals"


def _goals(id: str, method: str, text: str, rule: str, judge: Rule) -> Claim:
    where = "2.3, Figure 1"
    return Claim(f"figure1-{id}", where, text, rule, judge, "figure1", methods=(method,), figure_only=True)


def _matrix(id: str, method: str, text: str, rule: str, judge: Rule, figure_only: bool = False) -> Claim:
    where = "5.1, Figure 4"
    return Claim(f"figure4-{id}", where, text, rule, judge, "figure4", methods=(method,), figure_only=figure_only)


def _optimal(id: str, method: str, text: str) -> Claim:
    return _matrix(
        id, method, text, "every seed's final greedy return is the largest payoff", all_end(method, "optimum")
    )


def _suboptimal(id: str, method: str, text: str) -> Claim:
    rule = "every seed's final greedy return is neither the largest nor the smallest payoff"
    return _matrix(id, method, text, rule, all_end(method, "suboptimal"))


def _chance(id: str, method: str, column: str, of_five: int, text: str) -> Claim:
    end = "the largest payoff" if column == "optimum" else "the smallest payoff"
    share = of_five / paper.SEEDS
    rule = (
        f"some seeds and not all end at {end}, {share:.0%} is in Wilson's {LEVEL:.0%} interval of their share, and "
        f"Fisher's exact test against {of_five} of {paper.SEEDS} has p >= {_P}; contradicted if p < {_P}"
    )
    return _matrix(id, method, text, rule, by_chance(method, column, of_five))


CLAIMS = [
    _goals("central", CENTRAL, "Multi-goal game: centralised control learns several modes", _SEVERAL, goals(2, 4)),
    _goals(
        id="fop",
        method="FOP",
        text="Multi-goal game: FOP struggles to learn any meaningful joint policy",
        rule="in every run most sampled trajectories end at no goal; contradicted if in every run most end at one",
        judge=_mostly_nowhere,
    ),
    _goals(
        id="fop-modes",
        method="FOP",
        text="Multi-goal game: FOP does not inherit a multi-modal joint policy",
        rule="sampled trajectories of no run reach more than one of the four goals",
        judge=goals(0, 1),
    ),
    _goals("macpf", "MACPF_DEP", "Multi-goal game: with dependency several modes are learnt", _SEVERAL, goals(2, 4)),
    Claim(
        id="matrix-fop",
        where="1, Figure 4",
        text="MACPF consistently outperforms its base method, FOP (matrix game)",
        rule="a larger share of MACPF's seeds than of FOP's has the largest payoff as its final greedy return",
        judge=_more_at_the_optimum,
        experiment="figure4",
        methods=("MACPF", "FOP"),
    ),
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
    Claim(
        id="figure4-most",
        where="5.1, Figure 4",
        text="QMIX, QPLEX and FOP fail to learn the optimal coordinated strategy in most cases",
        rule="of each of the three the final greedy return of fewer than half of the seeds is the largest payoff",
        judge=_mostly_miss,
        experiment="figure4",
        methods=("QMIX", "QPLEX", "FOP"),
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
        judge=all_end("QTRAN", "optimum", "suboptimal"),
    ),
    _chance("qplex-worse", "QPLEX", "worse", 1, "QPLEX is worse than QMIX in 20 % of the seeds"),
    _chance("fop-worse", "FOP", "worse", 2, "FOP is worse than QMIX in 40 % of the seeds"),
]
