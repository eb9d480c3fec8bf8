"""The learning curves of the page as numbers: one chart for each map of each group of runs, drawn like the paper's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd

from analysis import AnalysisError, style
from analysis.differences import apart
from analysis.evidence import Evidence, Experiment, score_of, sentences
from analysis.figures.learning_curves import BAND, SMOOTHING, cell_curve
from analysis.report.groups import TRAINING, Group
from analysis.selection import find
from macpf import names

#: The most points of a curve on the page, and the most rows of the table behind it.
POINTS, ROWS = 200, 20
#: The most points of a loss curve, of which there are many.
FEW = 60


@dataclass(frozen=True)
class Line:
    """One method's curve at S env steps: `CellCurve.points` [S], and the `single` curve of every seed [S, seeds]."""

    method: str
    algo: str
    policy: str
    points: pd.DataFrame
    single: pd.DataFrame


@dataclass(frozen=True)
class Chart:
    """The curves of one map.

    Attributes:
        group, map: the group of runs and the map.
        score: what is drawn, in words.
        band: standard deviations on each side of a curve.
        smoothing: evaluations of the moving average, 1 for none.
        lines: in the order of all figures.
        thinned: one of this many evaluations is kept.
        notes: what else a reader has to know, one sentence each.
        training: see `training`, thinned to about `FEW` points.
    """

    group: Group
    map: str
    score: str
    band: float
    smoothing: int
    lines: list[Line]
    thinned: int
    notes: list[str]
    training: dict[str, dict[str, pd.DataFrame]]

    def table(self) -> pd.DataFrame:
        """The numbers behind the chart, thinned to about twenty env steps: a column for each method, text cells."""
        columns = {line.method: line.points.set_index(names.ENV_STEP).apply(_text, axis=1) for line in self.lines}
        return _thin(pd.DataFrame(columns).fillna(""), ROWS)


def _text(point: pd.Series[float]) -> str:
    if not np.isfinite(point["mean"]):
        return "–"
    return f"{point['mean']:.3g} ± {point['std']:.2g} ({int(point['seeds'])})"


def charts(parted: Sequence[Group]) -> list[Chart]:
    """A chart for every map on which something was evaluated; if no run counts, it has notes and no lines."""
    drawn = [_chart(group, map_) for group in parted for map_ in group.maps]
    return [chart for chart in drawn if chart.lines or chart.notes]


def _chart(group: Group, map_: str) -> Chart:
    runs = apart(group.on(map_))
    algos = tuple(sorted(runs.report[names.ALGO].unique()))
    score = score_of(runs)
    smoothing = SMOOTHING if score == "win_rate" else 1  # the paper smooths and narrows the band only in SMAC
    lines, losses = [], {}
    try:
        found = find(runs, Experiment(map_, group.env, (map_,), algos, ()))
    except AnalysisError as error:
        notes = [f"Runs are not shown: {error}"]
    else:
        lines = sorted(_lines(found, smoothing), key=lambda line: style.rank(line.method))
        losses = training(found)
        damaged = found.report[found.report["gaps"] > 0].groupby(names.ALGO).size()
        who = ", ".join(f"{style.label(str(algo))} {count}" for algo, count in damaged.items())
        notes = [*sentences(runs.report), *([f"Log damaged: {who}"] if who else [])]
    return Chart(
        group=group,
        map=map_,
        score=f"test {score.replace('_', ' ')}",
        band=BAND.get(score, 1.0),
        smoothing=smoothing,
        lines=[replace(line, points=_thin(line.points), single=_thin(line.single)) for line in lines],
        thinned=max((_stride(len(line.points), POINTS) for line in lines), default=1),
        notes=[f"{note}." for note in notes],
        training={metric: {method: _thin(t, FEW) for method, t in of.items()} for metric, of in losses.items()},
    )


def _lines(found: Evidence, smoothing: int) -> Iterable[Line]:
    for algo, policy in product(found.experiment.algos, (names.INDEPENDENT, names.DEPENDENT)):
        curve = cell_curve(found, found.map, algo, policy, smoothing)
        if len(curve.seeds):
            yield Line(style.label(algo, policy), algo, policy, curve.points, curve.seeds)


def training(found: Evidence) -> dict[str, dict[str, pd.DataFrame]]:
    """By metric in words (``loss td``) and by method: env_step, mean, std (over seeds, population), seeds.

    Only env steps that all runs of the method have logged are used, so that no mean is one of survivors.
    """
    lines = found.on_grid(found.frame[found.frame["metric"].str.startswith(TRAINING)])
    result: dict[str, dict[str, pd.DataFrame]] = {}
    for (metric, algo), cell in lines.groupby(["metric", names.ALGO]):
        values = cell.groupby(names.ENV_STEP)["value"]
        table = pd.DataFrame({"mean": values.mean(), "std": values.std(ddof=0), "seeds": values.count()})
        whole = table[table["seeds"] == cell["run"].nunique()].reset_index()
        words = str(metric).removeprefix("train/").replace("/", " ").replace("_", " ")
        if len(whole):
            result.setdefault(words, {})[style.label(str(algo))] = whole
    return result


def _stride(count: int, at_most: int) -> int:
    return max(1, -(-(count - 1) // (at_most - 1)))


def _thin(table: pd.DataFrame, at_most: int = POINTS) -> pd.DataFrame:
    """Evenly spaced rows, at most about `at_most`, always with the last."""
    count = len(table)
    kept = np.arange(0, count, _stride(count, at_most))
    return table.iloc[kept if count == 0 or kept[-1] == count - 1 else np.append(kept, count - 1)]
