"""Tests of claims on learning curves of SMAC, for which the paper prints no numbers.

Each line is a run: map, method, seed and scores. The scores are final (mean of the last five evaluations), training
(mean of all evaluations: the normalised area under the curve, which shows how fast and how far a run learned) and
early, middle, late (means of each third).
"""

from collections.abc import Callable, Sequence

import pandas as pd

from analysis.claims.calibrated import Cells, Estimate, PValues, all_of, at_least, combined, paired, positive
from analysis.claims.claim import Comparison
from macpf import names

THIRDS = ("early", "middle", "late")
Methods = tuple[str, ...]


def ahead(methods: Methods, scores: Sequence[str]) -> Comparison:
    """The first method's mean over all maps is higher than each other method's, in at least one of these scores."""

    def compare(runs: pd.DataFrame) -> tuple[PValues, str]:
        maps = list(dict.fromkeys(runs[names.MAP]))
        cells = {score: Cells.of(runs, maps, methods, score) for score in scores}
        leads = {
            (other, score): combined(
                cells[score],
                [(sign / len(maps), map_, m) for map_ in maps for sign, m in ((1, methods[0]), (-1, other))],
            )
            for other in methods[1:]
            for score in scores
        }
        tests = (at_least(1, [positive(leads[other, score]) for score in scores]) for other in methods[1:])
        return all_of(tests), _list({" ".join(key): lead for key, lead in leads.items()})

    return compare


def apart(methods: Methods, by: float) -> Comparison:
    """On each map, each method's mean win rate in training is higher than the last method's by more than `by`."""

    def compare(runs: pd.DataFrame) -> tuple[PValues, str]:
        gaps = _gaps(runs, methods)
        return all_of(positive(gap.shifted(-by)) for gap in gaps.values()), _list(gaps)

    return compare


def close(methods: Methods, within: float) -> Comparison:
    """On each map, two methods' mean win rates in training differ by less than `within`."""
    return lambda runs: _within(_gaps(runs, methods), within)


def same_level(methods: Methods, within: float) -> Comparison:
    """On each map and in each third of training, the two policies of a run differ by less than `within` on average."""

    def compare(runs: pd.DataFrame) -> tuple[PValues, str]:
        gaps = {}
        for map_, part in runs.groupby(names.MAP, sort=False):
            for third in THIRDS:
                wide = part.pivot(index=names.SEED, columns="method", values=third)
                gaps[f"{map_} {third}"] = paired((wide[methods[1]] - wide[methods[0]]).to_numpy())
        return _within(gaps, within)

    return compare


TESTS: dict[str, Callable[..., Comparison]] = {
    function.__name__: function for function in (ahead, apart, close, same_level)
}


def _within(gaps: dict[str, Estimate], limit: float) -> tuple[PValues, str]:
    """The test of "every difference is within the limit", from two one-sided tests for each."""
    return all_of(positive(end.shifted(limit)) for gap in gaps.values() for end in (gap, -gap)), _list(gaps)


def _gaps(runs: pd.DataFrame, methods: Methods) -> dict[str, Estimate]:
    """Each method's lead over the last one on each map."""
    maps, last = tuple(dict.fromkeys(runs[names.MAP])), methods[-1]
    cells = Cells.of(runs, maps, methods, "training")
    return {
        f"{map_} {first} - {last}" if len(methods) > 2 else map_: combined(cells, [(1, map_, first), (-1, map_, last)])
        for map_ in maps
        for first in methods[:-1]
    }


def _list(gaps: dict[str, Estimate]) -> str:
    """Each difference with its 90 % interval, whose ends are each beyond the truth in 5 %."""
    words = []
    for what, gap in gaps.items():
        low, high = gap.interval()
        words.append(f"{what} {gap.value[0]:+.2f} [{low[0]:+.2f}, {high[0]:+.2f}]")
    return "; ".join(words)
