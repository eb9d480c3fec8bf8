"""An experiment's runs as samples that statistics can compare: the same maps for every method, on one scale."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd

from analysis import style
from analysis.aggregates import Sample
from analysis.errors import AnalysisError
from analysis.evidence import Evidence
from analysis.normalisation import WIN_RATE, bounds
from macpf import names

_Scores = TypeVar("_Scores", "pd.Series[float]", pd.DataFrame)


@dataclass(frozen=True)
class Comparison:
    """Normalised scores of every method on the maps that all of them have runs on.

    Attributes:
        maps: these M maps.
        final: by method, the final values [K] of its runs.
        steps: [S] env steps of the evaluations.
        curves: by method, its scores [K, S] at these; NaN where a run has none.
        left_out: methods without runs and maps that not all of the others have, in words; empty if there are none.
    """

    maps: tuple[str, ...]
    final: dict[str, Sample]
    steps: "pd.Index[int]"
    curves: dict[str, Sample]
    left_out: str


def compare(found: Evidence, policies: tuple[str, ...] = (names.INDEPENDENT,)) -> Comparison:
    """The scores of an experiment's runs, method by method.

    Args:
        found: the runs.
        policies: Figure 6 compares the two of MACPF.

    Raises:
        AnalysisError: there is no map on which all methods have runs, or see `bounds`.
    """
    pairs = [(algo, policy) for algo in found.experiment.algos for policy in policies]
    has = {pair: {map_ for map_ in found.experiment.maps if len(found.final(map_, *pair))} for pair in pairs}
    present = [pair for pair in pairs if has[pair]]
    shared = set.intersection(*(has[pair] for pair in present)) if present else set()
    maps = tuple(map_ for map_ in found.experiment.maps if map_ in shared)
    if not maps:
        raise AnalysisError(
            f"no map of {found.experiment.name} on which all methods have scores: leave one out, e.g. --exclude "
            f"{present[-1][0] if present else pairs[-1][0]}-"
        )
    final, curves = {}, {}
    for pair in present:
        method = style.label(*pair)
        final[method] = Sample.of(
            *(_scaled(found.final(map_, *pair), found, map_).to_numpy(dtype=np.float64) for map_ in maps)
        )
        curves[method] = pd.concat([_scaled(found.scores(map_, *pair), found, map_) for map_ in maps], axis=1)
    steps = pd.Index(sorted(set().union(*(curve.index for curve in curves.values()))))
    order = style.order(final)
    return Comparison(
        maps,
        {method: final[method] for method in order},
        steps,
        {m: Sample(curves[m].reindex(steps).to_numpy().T, final[m].sizes) for m in order},
        _left_out(found, [style.label(*pair) for pair in pairs if pair not in present], maps),
    )


def _scaled(scores: _Scores, found: Evidence, map: str) -> _Scores:
    low, high = bounds(found.score, map)
    return (scores - low) / (high - low)


def _left_out(found: Evidence, methods: list[str], maps: tuple[str, ...]) -> str:
    others = [map_ for map_ in found.experiment.maps if map_ not in maps]
    return " ".join(
        f"{what}: {', '.join(names_)}."
        for what, names_ in (("Methods without runs", methods), ("Maps left out, which not all methods have", others))
        if names_
    )


def scale(found: Evidence) -> str:
    """What the scores of `compare` mean, in words."""
    if found.score == WIN_RATE:
        return "Scores are test win rates."
    return "Scores are returns on a scale from 0, a random team, to 1, a planner that knows everything."


def runs_per_map(comparison: Comparison) -> str:
    """``5``, or ``MACPF 5, QMIX 3 to 5`` where methods differ."""
    ends = {method: (int(s.sizes.min()), int(s.sizes.max())) for method, s in comparison.final.items()}
    words = {method: str(least) if least == most else f"{least} to {most}" for method, (least, most) in ends.items()}
    if len(set(words.values())) == 1:
        return next(iter(words.values()))
    return ", ".join(f"{method} {count}" for method, count in words.items())
