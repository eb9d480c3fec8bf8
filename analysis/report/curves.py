"""Learning curves as numbers: one chart for each map of each stratum, drawn as the paper draws them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis import style
from analysis.completeness import sentences
from analysis.differences import apart
from analysis.errors import AnalysisError
from analysis.evidence import Evidence, Experiment, score_of
from analysis.experiments import find
from analysis.figures.curves import BAND, SMOOTHING, cell_curve, curve_table
from analysis.figures.figure4_data import MACPF
from analysis.report.strata import Stratum
from analysis.report.training import training
from analysis.runs import Runs
from macpf import names

#: Points of a curve that the page holds at most, and lines of the table behind it.
POINTS, ROWS = 200, 20
#: Points of a loss, of which there are many.
FEW = 60


@dataclass(frozen=True)
class Line:
    """One method's curve; S env steps.

    Attributes:
        method: what it is called in all figures.
        algo, policy: what it is.
        points: [S] lines of env_step, mean, std (over seeds, population) and seeds.
        single: the same steps of every seed, a column for each.
    """

    method: str
    algo: str
    policy: str
    points: pd.DataFrame
    single: pd.DataFrame

    def thinned(self) -> Line:
        """The same with no more than about `POINTS` points."""
        kept = _kept(len(self.points), POINTS)
        return replace(self, points=self.points.iloc[kept], single=self.single.iloc[kept])


@dataclass(frozen=True)
class Chart:
    """The curves of one map.

    Attributes:
        stratum, map: what was played.
        score: what is drawn, in words.
        band: standard deviations on each side of a curve.
        smoothing: evaluations that a moving average spans, 1 for none.
        lines: in the order of all figures.
        thinned: every how many evaluations are kept.
        notes: what a reader has to know besides, one sentence each.
        training: see `analysis.report.training`, thinned to some `FEW` points.
    """

    stratum: Stratum
    map: str
    score: str
    band: float
    smoothing: int
    lines: list[Line]
    thinned: int
    notes: list[str]
    training: dict[str, dict[str, pd.DataFrame]]

    def table(self) -> pd.DataFrame:
        """The numbers behind it, thinned to some twenty env steps: a column for each method, text cells."""
        columns = {}
        for line in self.lines:
            points = line.points.set_index(names.ENV_STEP)
            columns[line.method] = points.apply(_text, axis=1)
        table = pd.DataFrame(columns).fillna("")
        return table.iloc[_kept(len(table), ROWS)]


def _text(point: "pd.Series[float]") -> str:
    if not np.isfinite(point["mean"]):
        return "–"
    return f"{point['mean']:.3g} ± {point['std']:.2g} ({int(point['seeds'])})"


def charts(parted: Sequence[Stratum]) -> list[Chart]:
    """A chart for every map on which something was evaluated, without lines where no run counts."""
    drawn = [_chart(stratum, map_) for stratum in parted for map_ in stratum.maps]
    return [chart for chart in drawn if chart.lines or chart.notes]


def _chart(stratum: Stratum, map_: str) -> Chart:
    runs = apart(stratum.on(map_))
    notes: list[str] = []
    algos = tuple(sorted(runs.report[names.ALGO].unique()))
    score = score_of(runs.frame, runs.configs)
    smoothing = SMOOTHING if score == "win_rate" else 1  # the paper smooths where it narrows the band: in SMAC
    try:
        found = find(runs, Experiment(map_, stratum.env, (map_,), algos, ()))
    except AnalysisError as error:
        lines, notes, logged = [], [*notes, f"Runs are not shown: {error}."], {}
    else:
        lines = [line for algo in algos for line in _lines(found, algo, smoothing)]
        notes += _flaws(runs, found)
        logged = training(found)
    order = style.order(line.method for line in lines)
    lines.sort(key=lambda line: order.index(line.method))
    return Chart(
        stratum=stratum,
        map=map_,
        score=f"test {score.replace('_', ' ')}",
        band=BAND.get(score, 1.0),
        smoothing=smoothing,
        lines=[line.thinned() for line in lines],
        thinned=max((_stride(len(line.points), POINTS) for line in lines), default=1),
        notes=notes,
        training={
            metric: {method: table.iloc[_kept(len(table), FEW)] for method, table in of.items()}
            for metric, of in logged.items()
        },
    )


def _lines(found: Evidence, algo: str, smoothing: int) -> Iterable[Line]:
    alone = replace(found, experiment=replace(found.experiment, algos=(algo,)))
    for policy in (names.INDEPENDENT, names.DEPENDENT):
        table = curve_table(alone, (policy,), smoothing)
        if len(table):
            single = cell_curve(alone, alone.map, algo, policy, smoothing).seeds
            yield Line(style.label(algo, policy), algo, policy, table.drop(columns=[names.MAP, "method"]), single)


def _flaws(runs: Runs, found: Evidence) -> list[str]:
    """One sentence for each way in which the runs are not what one would wish."""
    damaged = found.report[found.report["gaps"] > 0].groupby(names.ALGO).size()
    who = ", ".join(f"{style.label(str(algo))} {count}" for algo, count in damaged.items())
    told = [*sentences(runs.report), f"Log damaged: {who}" if who else ""]
    return [f"{sentence}." for sentence in told if sentence]


def _stride(count: int, at_most: int) -> int:
    return max(1, -(-(count - 1) // (at_most - 1)))


def _kept(count: int, at_most: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Every so many of `count` points, always with the last, so that no more than about `at_most` stay."""
    kept = np.arange(0, count, _stride(count, at_most))
    return kept if count == 0 or kept[-1] == count - 1 else np.append(kept, count - 1)


def is_macpf(line: Line) -> bool:
    """Whether a line is one of MACPF's, which is drawn last, on top of the others."""
    return line.algo.startswith(MACPF)
