"""An experiment's statistics as figures: intervals, performance profile, improvement, sample efficiency."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from analysis import style
from analysis.bootstrap import Estimate, curve, estimate, profile
from analysis.comparison import IMPROVEMENT, OURS, Comparison, caption
from analysis.evidence import Evidence
from analysis.figures.drawing import COLUMN, PAGE, blank, save_figure
from analysis.saving import save
from macpf import names

#: Scores at which performance profiles are computed.
LEVELS = np.linspace(0, 1, 101)
_INTERVALS = ("IQM", "mean", "optimality gap")


def write_figures(
    table: pd.DataFrame, comparison: Comparison, found: Evidence, out: Path, below: bool = True
) -> list[Path]:
    """Write the four figures as PDF and PNG, and the numbers behind the two that are curves as CSV.

    `table` is from `analysis.comparison.aggregates`, made from `comparison` and `found`.
    """
    stem, steps = out / f"statistics_{found.experiment.name}", comparison.steps.to_numpy()
    profiles = {method: estimate(profile(LEVELS), sample) for method, sample in comparison.final.items()}
    efficiency = {method: curve(sample) for method, sample in comparison.curves.items()}
    tables = {
        "profile": _curve_table(profiles, "score", LEVELS),
        "efficiency": _curve_table(efficiency, names.ENV_STEP, steps),
    }
    paths = save(
        {Path(f"{stem}_{kind}.csv"): table.assign(not_whole=found.not_whole) for kind, table in tables.items()}
    )
    drawn: dict[str, Callable[[str], Figure]] = {
        "intervals": lambda text: _intervals(table, list(_INTERVALS), text, {}),
        "profile": lambda text: _curves(profiles, LEVELS, text, "score", "share of runs with a higher score"),
        "efficiency": lambda text: _curves(efficiency, steps, text, "env steps", "IQM of scores"),
    }
    if (table["statistic"] == IMPROVEMENT).any():
        drawn["improvement"] = lambda text: _intervals(table, [IMPROVEMENT], text, {IMPROVEMENT: 0.5})
    for kind, draw in drawn.items():
        paths += save_figure(Path(f"{stem}_{kind}"), draw, caption(comparison, found), below)
    return paths


def _curve_table(curves: dict[str, Estimate], axis: str, x: np.ndarray) -> pd.DataFrame:
    parts = [pd.DataFrame({"method": method, axis: x, **vars(result)}) for method, result in curves.items()]
    return pd.concat(parts, ignore_index=True)


def _intervals(table: pd.DataFrame, statistics: list[str], text: str, marks: dict[str, float]) -> Figure:
    """A panel for each statistic and a row for each method: its interval as a bar, its value as a stroke."""
    shown = table[table["statistic"].isin(statistics)]
    methods = list(dict.fromkeys(shown["method"]))
    colours = style.lines(methods)
    figure, below = blank(PAGE if len(statistics) > 1 else COLUMN, 0.22 * len(methods) + 0.6, text)
    panels = figure.subplots(1, len(statistics), sharey=True, squeeze=False)[0]
    for axes, statistic in zip(panels, statistics, strict=True):
        part = shown[shown["statistic"] == statistic].set_index("method")
        for y, method in enumerate(methods):
            point, low, high = part.loc[method, ["point", "low", "high"]]
            colour = colours[method].color
            axes.barh(y, high - low, left=low, height=0.55, color=colour, alpha=0.45, linewidth=0)
            axes.vlines(point, y - 0.275, y + 0.275, color=style.INK, linewidth=1.6)
        axes.use_sticky_edges = False  # or the longest bars would end in the frame
        axes.margins(x=0.08)
        if statistic in marks:
            axes.axvline(marks[statistic], color=style.FAINT, linewidth=0.8, linestyle=(0, (3, 2)), zorder=0)
            axes.set_xlim(-0.02, 1.02)
        axes.set_title(statistic if statistic != IMPROVEMENT else f"P({OURS} better than ...)")
        axes.set_yticks(range(len(methods)), methods)
        axes.set_ylim(len(methods) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", alpha=0.25)
    figure.tight_layout(rect=(0, below, 1, 1))
    return figure


def _curves(curves: dict[str, Estimate], x: np.ndarray, text: str, xlabel: str, ylabel: str) -> Figure:
    """A line and a band for each method; MACPF on top."""
    figure, below = blank(5.2, 2.4, text)
    axes = figure.subplots()
    lines, drawn = style.lines(curves), {}
    for method in sorted(curves, key=style.depth):
        result, line = curves[method], lines[method]
        axes.fill_between(x, result.low, result.high, color=line.color, alpha=0.15, linewidth=0)
        (drawn[method],) = axes.plot(x, result.point, color=line.color, linestyle=line.style, linewidth=line.width)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    if x[-1] > 1:
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    _limit(axes)
    axes.grid(alpha=0.25)
    axes.legend([drawn[m] for m in curves], list(curves), loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    figure.tight_layout(rect=(0, below, 1, 1))
    return figure


def _limit(axes: Axes) -> None:
    """End the axis at 1, whatever the bands do, and below 0 only if scores are worse than a random team's."""
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, -1.0) if low < -0.05 else -0.02, min(high, 1.02) if high > 0.9 else high)
