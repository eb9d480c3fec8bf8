"""Learning curves, one panel for each map: Figures 5 to 9 of the paper, and those of any other experiment.

A mean is taken over all seeds of its method, so a curve ends at the last evaluation that all of them have. Later
evaluations of single seeds are drawn thin, with the number of seeds that are left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator

from analysis import AnalysisError, style
from analysis.evidence import Evidence, counts_in_words
from analysis.figures.drawing import PAGE, blank, legend, save_figure
from analysis.paper import REAL_GAME, real_game
from analysis.run_facts import interval
from analysis.saving import save
from macpf import names

#: Evaluations in a moving average (paper, section 5).
SMOOTHING = 5
#: Standard deviations on each side of a curve of win rates (paper, section 5: half of one in SMAC) and of returns.
BAND = {"win_rate": 0.5, "return": 1.0}
#: Height of a line of the smallest text, as a share of a panel's.
_ROW = 0.1
_COLUMNS = ["map", "method", names.ENV_STEP, "mean", "std", "seeds", "of", "not_whole"]


@dataclass(frozen=True)
class CellCurve:
    """One method on one map: its smoothed scores, a column for each seed, a row for each env step."""

    seeds: pd.DataFrame

    @property
    def points(self) -> pd.DataFrame:
        """env_step, mean and std over seeds (population; NaN where not all have the step), and seeds that have it."""
        shared = self.seeds.notna().all(axis=1)
        mean, std = (values.where(shared) for values in (self.seeds.mean(axis=1), self.seeds.std(axis=1, ddof=0)))
        table = pd.DataFrame({"mean": mean, "std": std, "seeds": self.seeds.notna().sum(axis=1)})
        return table.rename_axis(names.ENV_STEP).reset_index()

    @property
    def beyond(self) -> pd.DataFrame:
        """The curves of single seeds from the last step on that all share; empty if they end together."""
        shared = self.seeds.dropna()
        if shared.empty:
            return self.seeds
        rest = self.seeds.loc[shared.index[-1] :]
        return rest if len(rest) > 1 else rest.iloc[:0]


class End(NamedTuple):
    """Text at the end of a curve; x and y are in units of the data."""

    x: float
    y: float
    text: str
    colour: str


def cell_curve(found: Evidence, map: str, algo: str, policy: str, smoothing: int = SMOOTHING) -> CellCurve:
    """The curve of one policy on one map."""
    scores = found.scores(map, algo, policy)
    smooth = scores.rolling(smoothing, min_periods=1).mean().where(scores.notna())
    seeds = found.report.set_index("run")[names.SEED]
    smooth.columns = pd.Index(seeds.reindex(smooth.columns), name="seed")
    return CellCurve(smooth.sort_index(axis=1))


def curve_table(found: Evidence, policies: tuple[str, ...]) -> pd.DataFrame:
    """map, method, env_step, mean and std over seeds of smoothed scores, seeds (that have the step), of (how many).

    Mean and std are NaN where not all seeds have the step. The column not_whole says what is wrong with a cell's runs.
    """
    parts = []
    for map_, algo, policy in product(found.experiment.maps, found.experiment.algos, policies):
        curve = cell_curve(found, map_, algo, policy)
        cell = curve.points.assign(map=map_, method=style.label(algo, policy), of=curve.seeds.shape[1])
        parts.append(cell.assign(not_whole=found.flaws.get((map_, algo), "")))
    return pd.concat(parts, ignore_index=True)[_COLUMNS]


def write_curves(
    found: Evidence, out: Path, policies: tuple[str, ...], caption: bool = True, beside: bool = False
) -> list[Path]:
    """Write an experiment's learning curves as PDF, PNG and CSV (the numbers behind them).

    `beside` draws published runs of the real game (`analysis.paper`) as well.

    Raises:
        AnalysisError: `beside`, and there are no published runs of these maps and algorithms.
    """
    stem = out / found.experiment.name
    others, table = published(found) if beside else None, curve_table(found, policies)
    seeds = table.groupby(["method", "map"])["of"].first().unstack(fill_value=0)
    seeds = seeds.reindex(style.order(seeds.index), columns=found.experiment.maps, fill_value=0)
    counts = {str(method): of_maps.tolist() for method, of_maps in seeds.iterrows()}
    text = found.caption(
        REAL_GAME if beside else "",
        f"Mean over seeds, moving average of {SMOOTHING} evaluations",
        f"Seeds of each map: {counts_in_words(counts)}" if counts else "",
        f"Band: {_band(found):g} standard deviation. A mean ends where its first seed ends; thin lines: single seeds "
        "beyond, with how many are left",
    )
    paths = save_figure(stem, lambda below: draw(found, policies, below, others), text, caption)
    tables = {Path(f"{stem}.csv"): table}
    return paths + save(tables if others is None else tables | {Path(f"{stem}_real_game.csv"): others})


def published(found: Evidence) -> pd.DataFrame:
    """The published runs of the real game on an experiment's maps, with its algorithms.

    Raises:
        AnalysisError: there are none.
    """
    every = min(interval(config) for config in found.configs.values())
    table = real_game(found.experiment.maps, found.experiment.algos, SMOOTHING * every)
    if table.empty or found.score != "win_rate":
        raise AnalysisError(
            f"no published run of the real game is of {', '.join(found.experiment.maps)} and "
            f"{', '.join(found.experiment.algos)}: leave out --real-game"
        )
    return table


def draw(found: Evidence, policies: tuple[str, ...], caption: str, others: pd.DataFrame | None = None) -> Figure:
    """One panel for each map (empty without runs), with methods in the paper's order; `others` is from `published`."""
    maps, methods = found.experiment.maps, _methods(found, policies)
    columns = min(len(maps), 3 if len(maps) != 4 else 2)
    rows = -(-len(maps) // columns)
    width = max(PAGE * columns / 3, 3.4)
    lines = style.lines(methods)
    handles = [Line2D([], [], color=line.color, linestyle=line.style, linewidth=line.width) for line in lines.values()]
    above, entries = legend(handles, list(lines), width)
    figure, below = blank(width, 1.75 * rows + above, caption)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for k, (axes, map_) in enumerate(zip(panels, maps, strict=False)):
        curves = {label: cell_curve(found, map_, *who) for label, who in methods.items()}
        ends = _panel(axes, curves, lines, found, map_)
        if others is not None:
            ends += _beside(axes, others[others[names.MAP] == map_], lines)
        _write(axes, ends)
        axes.set_xlabel("env steps" if k + columns >= len(maps) else "")
        axes.set_ylabel(f"test {found.score.replace('_', ' ')}" if k % columns == 0 else "")
    for axes in panels[len(maps) :]:
        axes.set_axis_off()
    figure.legend(**entries)
    room = 1 - above / figure.get_size_inches()[1] - below
    figure.set_layout_engine("constrained", rect=(0, below, 1, room), w_pad=0.04, h_pad=0.03)
    return figure


def _methods(found: Evidence, policies: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    """Algorithm and policy of every method that has runs, by its label, in the paper's order."""
    named = {style.label(algo, policy): (algo, policy) for algo in found.experiment.algos for policy in policies}
    has = {label for label, who in named.items() if any(len(found.lines(map_, *who)) for map_ in found.experiment.maps)}
    return {label: named[label] for label in style.order(has)}


def _band(found: Evidence) -> float:
    return BAND.get(found.score, 1.0)


def _panel(
    axes: Axes, curves: dict[str, CellCurve], lines: dict[str, style.Line], found: Evidence, map_: str
) -> list[End]:
    """Draw one map, and return the texts for the ends of its curves."""
    axes.set_title(map_)
    ends = []
    for method in sorted(curves, key=style.depth):
        curve, line = curves[method], lines[method]
        x, mean, spread = curve.points[[names.ENV_STEP, "mean", "std"]].to_numpy(dtype=np.float64).T
        spread = _band(found) * spread
        axes.fill_between(x, mean - spread, mean + spread, color=line.color, alpha=0.15, linewidth=0)
        marker = "o" if np.isfinite(mean).sum() == 1 else None
        axes.plot(x, mean, color=line.color, linestyle=line.style, linewidth=line.width, marker=marker, markersize=3)
        ends += _beyond(axes, curve, line)
    if found.score == "win_rate":
        axes.set_ylim(-0.02, 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(alpha=0.25)
    if all(curve.seeds.empty for curve in curves.values()):
        axes.text(0.5, 0.5, "no runs", ha="center", va="center", color=style.FAINT, transform=axes.transAxes)
        axes.set_xticks([])
        axes.set_yticks([])
    return ends


def _beside(axes: Axes, others: pd.DataFrame, lines: dict[str, style.Line]) -> list[End]:
    """Draw the real game's medians, dotted, in the colours of our methods, as far as our axis goes."""
    limit, ends = axes.get_xlim()[1], []
    for algo, cell in others.groupby(names.ALGO):
        label, part = style.label(str(algo)), cell[cell[names.ENV_STEP] <= limit]
        colour = lines[label].color if label in lines else style.FAINT
        axes.plot(part[names.ENV_STEP], part["median"], color=colour, linestyle=(0, (1, 1.5)), linewidth=1.2)
        if len(part):
            last = part.iloc[-1]
            ends.append(End(last[names.ENV_STEP], last["median"], f"{label}, real game", colour))
    axes.set_xlim(right=limit)
    return ends


def _beyond(axes: Axes, curve: CellCurve, line: style.Line) -> list[End]:
    """Draw single seeds after the last step that all of them share."""
    rest = curve.beyond
    for _, seed in rest.items():
        axes.plot(rest.index, seed, color=line.color, linewidth=0.5, alpha=0.7)
    if rest.empty:
        return []
    rest = rest.dropna(how="all")
    last = rest.iloc[-1].dropna()
    return [End(float(rest.index[-1]), float(last.mean()), f"{len(last)} of {curve.seeds.shape[1]}", line.color)]


def _write(axes: Axes, ends: list[End]) -> None:
    """Write the texts at the ends of curves, each as near to its curve as the others allow, within the panel."""
    low, high = axes.get_ylim()
    places = spread([end.y for end in ends], _ROW * (high - low), low, high - _ROW * (high - low))
    box = {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.3}
    for end, y in zip(ends, places, strict=True):
        axes.text(end.x, y, end.text, fontsize=style.SMALLEST, color=end.colour, ha="right", va="bottom", bbox=box)
    axes.set_ylim(low, high)


def spread(wanted: Sequence[float], apart: float, low: float, high: float) -> list[float]:
    """Places at least `apart` from each other, in the order of those wanted, between `low` and `high` if they fit.

    From the lowest up, each is moved up as needed; those that are then too high are moved down again.
    """
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    places, least = list(wanted), low
    for k in order:
        places[k] = max(places[k], least)
        least = places[k] + apart
    most = high
    for k in reversed(order):
        places[k] = min(places[k], most)
        most = places[k] - apart
    return places
