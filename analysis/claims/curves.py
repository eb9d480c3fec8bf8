"""Claims on learning curves of SMAC, for which the paper prints no number.

Lines are runs: map, method, seed, and scores: final (mean of the last five evaluations), training (mean of all
evaluations, the normalised area under the curve: how fast and how far) and early, middle, late (those of each third).
Intervals are of 95 %, of each comparison by itself (`analysis.aggregates`): a bootstrap's over maps, Student's on one.
"""

from collections.abc import Callable, Sequence

import pandas as pd

from analysis import style
from analysis.aggregates import Estimate, Sample, difference, improvement, paired_difference
from analysis.claims.claim import Claim, Judgement, three_way, unless_nan
from analysis.claims.tables import METHODS
from analysis.experiments import Experiment
from macpf import names

Rule = Callable[[pd.DataFrame], Judgement]

THIRDS = ("early", "middle", "late")
#: Win rates this close are the same for two policies of the same run, similar for two methods; and a large margin.
_SAME, _SIMILAR, _LARGE = 0.05, 0.1, 0.1
_HARD, _SUPER_HARD = ("8m_vs_9m", "10m_vs_11m"), ("MMM2", "corridor")
_EASY_AND_HARD = ("MMM", "8m_vs_9m")
_BASELINES = tuple(method for method in METHODS if method != "MACPF")
_CONTROL, _NONLINEAR, _ATT = (style.label(f"macpf_{variant}") for variant in ("control", "nonlinear", "att"))


def sample(runs: pd.DataFrame, method: str, column: str) -> Sample:
    """One score of each run of a method, map by map in order of name."""
    own = runs[runs["method"] == method].sort_values([names.MAP, names.SEED])
    return Sample.of(*(part.to_numpy(dtype=float) for _, part in own.groupby(names.MAP)[column]))


def more_likely_ahead(columns: Sequence[str]) -> Rule:
    """For each baseline, a run of MACPF is likelier than not to be ahead in one of the scores, over all maps."""

    def judge(runs: pd.DataFrame) -> Judgement:
        chances = {
            other: {c: improvement(sample(runs, "MACPF", c), sample(runs, other, c)) for c in columns}
            for other in _BASELINES
        }
        words = (
            f"{other} " + ", ".join(f"{column} {_shown(chance)}" for column, chance in by_column.items())
            for other, by_column in chances.items()
        )
        return three_way(
            all(any(chance.low > 0.5 for chance in by_column.values()) for by_column in chances.values()),
            any(all(chance.high < 0.5 for chance in by_column.values()) for by_column in chances.values()),
            f"P(MACPF better): {'; '.join(words)}",
        )

    return judge


def apart(pairs: Sequence[tuple[str, str]], by: float) -> Rule:
    """On each map the first of each pair has a mean win rate in training that is higher by more than so much."""

    def judge(runs: pd.DataFrame) -> Judgement:
        gaps = _gaps(runs, pairs)
        return three_way(
            all(gap.low > by for gap in gaps.values()), any(gap.high < by for gap in gaps.values()), _list(gaps)
        )

    return judge


def close(pair: tuple[str, str], within: float) -> Rule:
    """On each map two methods' mean win rates in training differ by less than so much."""

    def judge(runs: pd.DataFrame) -> Judgement:
        return _close(_gaps(runs, [pair]), within)

    return judge


def _same_level(runs: pd.DataFrame) -> Judgement:
    gaps = {}
    for map_, part in runs.groupby(names.MAP, sort=False):
        for third in THIRDS:
            wide = part.pivot(index=names.SEED, columns="method", values=third)
            gaps[f"{map_} {third}"] = paired_difference((wide["MACPF_DEP"] - wide["MACPF"]).to_numpy())
    return _close(gaps, _SAME)


def _close(gaps: dict[str, Estimate], within: float) -> Judgement:
    return three_way(
        all(-within < gap.low and gap.high < within for gap in gaps.values()),
        any(gap.low > within or gap.high < -within for gap in gaps.values()),
        _list(gaps),
    )


def _gaps(runs: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> dict[str, Estimate]:
    return {
        f"{map_} {first} - {second}" if len(pairs) > 1 else str(map_): difference(
            sample(part, first, "training").values, sample(part, second, "training").values
        )
        for map_, part in runs.groupby(names.MAP, sort=False)
        for first, second in pairs
    }


def _list(gaps: dict[str, Estimate]) -> str:
    return "; ".join(f"{what} {_shown(gap, '+')}" for what, gap in gaps.items())


def _shown(result: Estimate, sign: str = "") -> str:
    return f"{result.point:{sign}.2f} [{result.low:{sign}.2f}, {result.high:{sign}.2f}]"


_AHEAD = "against each baseline the interval of the probability that a run of MACPF is better"
_GAP = "on each map the interval of the difference in mean win rate over training"


def _of_curves(
    figure: str, id: str, where: str, text: str, rule: str, judge: Rule, methods: tuple[str, ...], maps: tuple[str, ...]
) -> Claim:
    judge = unless_nan(("final", "training", *THIRDS), judge)
    return Claim(f"{figure}-{id}", where, text, rule, judge, figure, methods, maps, figure_only=True)


CLAIMS = [
    _of_curves(
        figure="figure5",
        id="hard",
        where="5.2, Figure 5",
        text="On the two hard maps MACPF converges faster than the baselines",
        rule=f"{_AHEAD} in mean win rate over training, over both maps, is above 0.5",
        judge=more_likely_ahead(["training"]),
        methods=METHODS,
        maps=_HARD,
    ),
    _of_curves(
        figure="figure5",
        id="super-hard",
        where="5.2, Figure 5",
        text="On the two super-hard maps MACPF outperforms the baselines in convergence speed or performance",
        rule=f"{_AHEAD}, in mean win rate over training or in final win rate, over both maps, is above 0.5",
        judge=more_likely_ahead(["training", "final"]),
        methods=METHODS,
        maps=_SUPER_HARD,
    ),
    _of_curves(
        figure="figure6",
        id="same",
        where="5.2, Figure 6",
        text="The dependent and the independent policy stay at the same level throughout training",
        rule=f"on each map and in each third of training the interval of their difference in a run is inside ±{_SAME}",
        judge=_same_level,
        methods=("MACPF", "MACPF_DEP"),
        maps=Experiment.read("figure6").maps,
    ),
    _of_curves(
        figure="figure7",
        id="control",
        where="5.2, Figure 7",
        text="MACPF outperforms MACPF_CONTROL, without dependency, in all four maps",
        rule=f"{_GAP} is above 0",
        judge=apart([("MACPF", _CONTROL)], by=0),
        methods=("MACPF", _CONTROL),
        maps=Experiment.read("figure7").maps,
    ),
    _of_curves(
        figure="figure9",
        id="similar",
        where="E, Figure 9",
        text="MACPF_NONLINEAR performs like MACPF in the easy and the hard map",
        rule=f"{_GAP} is inside ±{_SIMILAR}",
        judge=close(("MACPF", _NONLINEAR), _SIMILAR),
        methods=("MACPF", _NONLINEAR),
        maps=_EASY_AND_HARD,
    ),
    _of_curves(
        figure="figure9",
        id="super-hard",
        where="E, Figure 9",
        text="In the super-hard maps MACPF outperforms MACPF_NONLINEAR",
        rule=f"{_GAP} is above 0",
        judge=apart([("MACPF", _NONLINEAR)], by=0),
        methods=("MACPF", _NONLINEAR),
        maps=_SUPER_HARD,
    ),
    _of_curves(
        figure="figure9",
        id="attention",
        where="E, Figure 9",
        text="MACPF and MACPF_NONLINEAR outperform MACPF_ATT by a large margin in all maps",
        rule=f"{_GAP} is above {_LARGE}, for both",
        judge=apart([("MACPF", _ATT), (_NONLINEAR, _ATT)], by=_LARGE),
        methods=("MACPF", _NONLINEAR, _ATT),
        maps=Experiment.read("figure9").maps,
    ),
]
