"""Figures 5 to 9 of the paper: win rates while training, one panel for each map."""

import textwrap
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from analysis import style
from analysis.completeness import by_cell
from analysis.experiments import Found
from macpf import names

#: The moving average over evaluations (paper, section 5).
SMOOTHING = 5
#: Standard deviations on each side of a curve (paper, section 5: half of one in SMAC).
BAND = {"smac": 0.5}


def write_curves(found: Found, out: Path, policies: tuple[str, ...] = (names.INDEPENDENT,)) -> list[Path]:
    """Write an experiment's learning curves as PDF, PNG and CSV (the numbers behind them).

    Args:
        found: its runs.
        out: folder for the files, made if need be.
        policies: Figure 6 shows both policies of MACPF.
    """
    table = curve_table(found, policies)
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / f"{found.experiment.name}.{suffix}" for suffix in ("pdf", "png", "csv")]
    with mpl.rc_context(style.RC):
        figure = draw(table, found)
        figure.savefig(paths[0], metadata={"CreationDate": None})
        figure.savefig(paths[1], dpi=style.PNG_DPI)
    table.to_csv(paths[2], index=False)
    return paths


def curve_table(found: Found, policies: tuple[str, ...], smoothing: int = SMOOTHING) -> pd.DataFrame:
    """map, method, env_step, mean and std over seeds of smoothed scores, how many seeds have that step, not_whole."""
    parts = []
    flaws = by_cell(pd.concat([found.report, found.others]), [names.MAP, names.ALGO])
    for map_ in found.experiment.maps:
        for algo in found.experiment.algos:
            for policy in policies:
                scores = found.scores(map_, algo, policy)
                smooth = scores.rolling(smoothing, min_periods=1).mean().where(scores.notna())
                part = pd.DataFrame(
                    {
                        "mean": smooth.mean(axis=1),
                        "std": smooth.std(axis=1, ddof=0),
                        "seeds": smooth.notna().sum(axis=1),
                    }
                )
                part = part.rename_axis(names.ENV_STEP).reset_index()
                told = flaws.get((map_, algo), "")
                parts.append(part.assign(map=map_, method=style.label(algo, policy), not_whole=told))
    table = pd.concat(parts, ignore_index=True)
    return table[["map", "method", names.ENV_STEP, "mean", "std", "seeds", "not_whole"]]


def draw(table: pd.DataFrame, found: Found) -> Figure:
    """One panel for each map, those without runs empty; the caption below."""
    maps = found.experiment.maps
    columns = min(len(maps), 3 if len(maps) != 4 else 4)
    rows = -(-len(maps) // columns)
    caption = textwrap.wrap(
        f"Mean over seeds, moving average of {SMOOTHING} evaluations; band: {_band(found):g} standard deviation. "
        + found.caption,
        40 * columns + 20,
    )
    below = 0.15 * len(caption) + 0.35
    figure = Figure(figsize=(3.3 * columns, 2.5 * rows + below + 0.3))
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    lines = style.lines(table["method"].unique())
    for axes, map_ in zip(panels, maps, strict=False):
        _panel(axes, table[table["map"] == map_], lines, found, map_)
    for axes in panels[len(maps) :]:
        axes.set_axis_off()
    handles = [
        mpl.lines.Line2D([], [], color=line.color, linestyle=line.style, linewidth=line.width)
        for line in lines.values()
    ]
    figure.legend(handles, list(lines), loc="upper center", ncols=len(lines), frameon=False)
    height = figure.get_size_inches()[1]
    figure.text(0.02, (below - 0.15) / height, "\n".join(caption), fontsize=7, va="top", color=style.FAINT)
    figure.tight_layout(rect=(0, below / height, 1, 1 - 0.3 / height))
    return figure


def _band(found: Found) -> float:
    return BAND.get(found.experiment.env, 1.0)


def _panel(axes: Axes, table: pd.DataFrame, lines: dict[str, style.Line], found: Found, map_: str) -> None:
    axes.set_title(map_)
    for method in sorted(table["method"].unique(), key=lambda method: method.startswith("MACPF")):
        curve, line = table[table["method"] == method], lines[method]
        x, mean, spread = (curve[key].to_numpy(dtype=np.float64) for key in (names.ENV_STEP, "mean", "std"))
        axes.fill_between(
            x, mean - _band(found) * spread, mean + _band(found) * spread, color=line.color, alpha=0.15, linewidth=0
        )
        axes.plot(x, mean, color=line.color, linestyle=line.style, linewidth=line.width)
    if table.empty or table["mean"].isna().all():
        axes.set_xticks([])
        axes.text(0.5, 0.5, "no runs", ha="center", va="center", color=style.FAINT, transform=axes.transAxes)
    if found.experiment.score == "win_rate":
        axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("env steps")
    axes.set_ylabel(f"test {found.experiment.score.replace('_', ' ')}")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(alpha=0.25)
