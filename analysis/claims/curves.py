"""Claims on learning curves of SMAC, for which the paper prints no number.

Lines are runs: map, method, seed, and scores: final (mean of the last five evaluations), training (mean of all
evaluations, the normalised area under the curve: how fast and how far) and early, middle, late (those of each third).
"""

from collections.abc import Iterable, Sequence

import pandas as pd

from analysis import style
from analysis.claims.calibrated import Cells, Estimate, PValues, all_of, at_least, combined, paired, positive
from analysis.claims.claim import FIGURE_ONLY, Claim, Comparison, Judgement
from analysis.claims.tables import METHODS
from analysis.experiments import Experiment
from macpf import names

THIRDS = ("early", "middle", "late")
#: Win rates this close are the same for two policies of the same run, similar for two methods; and a large margin.
_SAME, _SIMILAR, _LARGE = 0.05, 0.1, 0.1
_HARD, _SUPER_HARD = ("8m_vs_9m", "10m_vs_11m"), ("MMM2", "corridor")
_EASY_AND_HARD = ("MMM", "8m_vs_9m")
_BASELINES = tuple(method for method in METHODS if method != "MACPF")
_CONTROL, _NONLINEAR, _ATT = (style.label(f"macpf_{variant}") for variant in ("control", "nonlinear", "att"))


def ahead(columns: Sequence[str]) -> Comparison:
    """Over all maps MACPF's mean is higher than each baseline's, in one of these scores."""

    def compare(runs: pd.DataFrame) -> tuple[PValues, str]:
        maps = list(dict.fromkeys(runs[names.MAP]))
        cells = {column: Cells.of(runs, maps, METHODS, column) for column in columns}
        leads = {
            (other, column): combined(
                cells[column],
                [(sign / len(maps), map_, m) for map_ in maps for sign, m in ((1, "MACPF"), (-1, other))],
            )
            for other in _BASELINES
            for column in columns
        }
        tests = (at_least(1, [positive(leads[other, column]) for column in columns]) for other in _BASELINES)
        return all_of(tests), _list({" ".join(key): lead for key, lead in leads.items()})

    return compare


def apart(pairs: Sequence[tuple[str, str]], by: float) -> Comparison:
    """On each map the first of each pair has a mean win rate in training that is higher by more than so much."""

    def compare(runs: pd.DataFrame) -> tuple[PValues, str]:
        gaps = _gaps(runs, pairs)
        return all_of(positive(gap.shifted(-by)) for gap in gaps.values()), _list(gaps)

    return compare


def close(pair: tuple[str, str], within: float) -> Comparison:
    """On each map two methods' mean win rates in training differ by less than so much."""

    def compare(runs: pd.DataFrame) -> tuple[PValues, str]:
        gaps = _gaps(runs, [pair])
        return _within(gaps.values(), within), _list(gaps)

    return compare


def _same_level(runs: pd.DataFrame) -> tuple[PValues, str]:
    gaps = {}
    for map_, part in runs.groupby(names.MAP, sort=False):
        for third in THIRDS:
            wide = part.pivot(index=names.SEED, columns="method", values=third)
            gaps[f"{map_} {third}"] = paired((wide["MACPF_DEP"] - wide["MACPF"]).to_numpy())
    return _within(gaps.values(), _SAME), _list(gaps)


def _within(gaps: Iterable[Estimate], limit: float) -> PValues:
    """Two one-sided tests for each."""
    return all_of(positive(end.shifted(limit)) for gap in gaps for end in (gap, -gap))


def _gaps(runs: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> dict[str, Estimate]:
    maps, methods = (tuple(dict.fromkeys(runs[key])) for key in (names.MAP, "method"))
    cells = Cells.of(runs, maps, methods, "training")
    return {
        f"{map_} {first} - {second}" if len(pairs) > 1 else map_: combined(
            cells, [(1, map_, first), (-1, map_, second)]
        )
        for map_ in maps
        for first, second in pairs
    }


def _list(gaps: dict[str, Estimate]) -> str:
    """Each difference with its 90 % interval, whose ends are each beyond the truth in 5 %."""
    words = []
    for what, gap in gaps.items():
        low, high = gap.interval()
        words.append(f"{what} {gap.value[0]:+.2f} [{low[0]:+.2f}, {high[0]:+.2f}]")
    return "; ".join(words)


_EACH = "every comparison by itself at 5 %; contradicted at 5 % over all of them together"
_GAP = "on each map the mean win rates over training"


def _of_curves(
    figure: str,
    id: str,
    where: str,
    text: str,
    rule: str,
    compare: Comparison,
    methods: tuple[str, ...],
    maps: tuple[str, ...],
) -> Claim:
    compared = f"{rule}: {_EACH}"
    return Claim(f"{figure}-{id}", where, text, rule, _no_numbers, figure, methods, maps, compared, compare, True)


def _no_numbers(_: pd.DataFrame) -> Judgement:
    return Judgement(FIGURE_ONLY, "")


CLAIMS = [
    _of_curves(
        figure="figure5",
        id="hard",
        where="5.2, Figure 5",
        text="On the two hard maps MACPF converges faster than the baselines",
        rule="over both maps MACPF's mean win rate over training is above each baseline's",
        compare=ahead(["training"]),
        methods=METHODS,
        maps=_HARD,
    ),
    _of_curves(
        figure="figure5",
        id="super-hard",
        where="5.2, Figure 5",
        text="On the two super-hard maps MACPF outperforms the baselines in convergence speed or performance",
        rule="over both maps MACPF's mean win rate over training, or its final one, is above each baseline's",
        compare=ahead(["training", "final"]),
        methods=METHODS,
        maps=_SUPER_HARD,
    ),
    _of_curves(
        figure="figure6",
        id="same",
        where="5.2, Figure 6",
        text="The dependent and the independent policy stay at the same level throughout training",
        rule=f"on each map and in each third of training they differ in a run by less than {_SAME}, in the mean",
        compare=_same_level,
        methods=("MACPF", "MACPF_DEP"),
        maps=Experiment.read("figure6").maps,
    ),
    _of_curves(
        figure="figure7",
        id="control",
        where="5.2, Figure 7",
        text="MACPF outperforms MACPF_CONTROL, without dependency, in all four maps",
        rule=f"{_GAP} differ by more than 0",
        compare=apart([("MACPF", _CONTROL)], by=0),
        methods=("MACPF", _CONTROL),
        maps=Experiment.read("figure7").maps,
    ),
    _of_curves(
        figure="figure9",
        id="similar",
        where="E, Figure 9",
        text="MACPF_NONLINEAR performs like MACPF in the easy and the hard map",
        rule=f"{_GAP} differ by less than {_SIMILAR}",
        compare=close(("MACPF", _NONLINEAR), _SIMILAR),
        methods=("MACPF", _NONLINEAR),
        maps=_EASY_AND_HARD,
    ),
    _of_curves(
        figure="figure9",
        id="super-hard",
        where="E, Figure 9",
        text="In the super-hard maps MACPF outperforms MACPF_NONLINEAR",
        rule=f"{_GAP} differ by more than 0",
        compare=apart([("MACPF", _NONLINEAR)], by=0),
        methods=("MACPF", _NONLINEAR),
        maps=_SUPER_HARD,
    ),
    _of_curves(
        figure="figure9",
        id="attention",
        where="E, Figure 9",
        text="MACPF and MACPF_NONLINEAR outperform MACPF_ATT by a large margin in all maps",
        rule=f"{_GAP} differ by more than {_LARGE}, of both",
        compare=apart([("MACPF", _ATT), (_NONLINEAR, _ATT)], by=_LARGE),
        methods=("MACPF", _NONLINEAR, _ATT),
        maps=Experiment.read("figure9").maps,
    ),
]
