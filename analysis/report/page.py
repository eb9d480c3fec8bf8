"""From what was gathered to one HTML page that needs nothing else: no network, no file beside it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from analysis import hyperparameters, style
from analysis.errors import AnalysisError
from analysis.report import inventory
from analysis.report.curves import Chart, charts, is_macpf
from analysis.report.games import Game, games
from analysis.report.overview import Overview, overview
from analysis.report.pictures import Pictures, pictures
from analysis.report.strata import strata
from analysis.report.tables import PaperTable, paper_tables
from analysis.report.trajectories import Trajectories, trajectories
from analysis.report.verdicts import VERDICTS, Ledger, ledgers
from analysis.runs import Runs

_HERE = Path(__file__).parent
#: Scripts and styles in the order in which they stand in the page.
_STYLES = ("uplot/uPlot.min.css", "page.css", "data.css")
_SCRIPTS = ("uplot/uPlot.iife.min.js", "tables.js", "charts.js", "curves.js", "pictures.js")
#: How far a colour goes towards white on a dark page.
_LIGHTER = 0.35


@dataclass(frozen=True)
class Report:
    """All that the page shows; each field is one section or part of one."""

    source: str
    made: str
    overview: Overview
    ledgers: list[Ledger]
    tables: list[PaperTable]
    charts: list[Chart]
    games: list[Game]
    trajectories: list[Trajectories]
    hyperparameters: dict[str, pd.DataFrame]
    inventory: pd.DataFrame
    pictures: Pictures


def write_report(runs: Runs, out: Path, root: Path | None = None, folders: Sequence[Path] = ()) -> int:
    """Write the page and return its size in bytes.

    Args:
        runs: all there are.
        out: the file, its folder made if need be.
        root: the runs' folder, for status files and pictures; None if they came from elsewhere.
        folders: more folders with pictures.

    Raises:
        AnalysisError: a folder does not exist.
    """
    if missing := [folder for folder in folders if not folder.is_dir()]:
        raise AnalysisError(f"no folder {missing[0]}: --pictures names folders that hold GIFs")
    data = render(gather(runs, root, folders)).encode()
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(data)
    return len(data)


def gather(runs: Runs, root: Path | None, folders: Iterable[Path] = ()) -> Report:
    """Work out everything; see `write_report`."""
    parted = strata(runs)
    tables = paper_tables(parted)
    return Report(
        source="" if root is None else str(root),
        made=time.strftime("%Y-%m-%d %H:%M %Z"),
        overview=overview(runs, parted, inventory.states(runs, root), root),
        ledgers=ledgers(runs, parted),
        tables=tables,
        charts=charts(parted),
        games=games(parted),
        trajectories=trajectories(parted),
        hyperparameters={
            "Defaults": hyperparameters.defaults().reset_index(),
            "Variants": hyperparameters.variants(),
            "What tasks and profiles change": hyperparameters.overrides(),
        },
        inventory=inventory.inventory(runs, root),
        pictures=pictures([*([root] if root else []), *folders]),
    )


def render(report: Report) -> str:
    """The page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,  # names of runs, maps and files are data
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"seconds": _seconds, "number": _number, "plain": lambda text: str(text).replace("`", "")}
    environment.filters["in_order"] = lambda algos: sorted(algos, key=lambda algo: style.rank(style.label(algo)))
    environment.globals |= {
        "label": style.label,
        "isfinite": _isfinite,
        "shares": _shares,
        "numeric_columns": lambda table: table.select_dtypes("number").columns.tolist(),
    }
    looks = style.lines({line.method for chart in report.charts for line in chart.lines})
    return environment.get_template("page.html").render(
        report=report,
        verdicts=VERDICTS,
        looks={method: _look(line) for method, line in looks.items()},
        data=[_chart(chart) for chart in report.charts],
        styles=[_asset(name) for name in _STYLES],
        scripts=[_asset(name) for name in _SCRIPTS],
    )


def _asset(name: str) -> str:
    return (_HERE / "assets" / name).read_text()


def _look(line: style.Line) -> dict[str, Any]:
    """A method's colours on light and dark pages, and its dashes in pixels."""
    channels = [int(line.color[k : k + 2], 16) for k in (1, 3, 5)]
    lighter = "#" + "".join(f"{round(c + (255 - c) * _LIGHTER):02x}" for c in channels)
    dashes = [] if line.style == "-" else [round(length * line.width, 1) for length in line.style[1]]
    return {"light": line.color, "dark": lighter, "dash": dashes, "width": line.width}


def _chart(chart: Chart) -> dict[str, Any]:
    """A chart's curves for the script that draws it; those of MACPF last, on top."""
    return {
        "score": chart.score,
        "fraction": "win rate" in chart.score,
        "lines": [
            _curve(line.method, line.points, chart.band)
            | {"single": {str(seed): _numbers(values, 3) for seed, values in line.single.items()}}
            for line in sorted(chart.lines, key=is_macpf)
        ],
        "training": {
            metric: [_curve(method, lines[method], 1.0) for method in sorted(lines, key=style.depth)]
            for metric, lines in chart.training.items()
        },
    }


def _curve(method: str, points: pd.DataFrame, band: float) -> dict[str, Any]:
    return {
        "method": method,
        "steps": points["env_step"].tolist(),
        "mean": _numbers(points["mean"]),
        "spread": _numbers(points["std"] * band),
        "seeds": points["seeds"].tolist(),
    }


def _numbers(values: "pd.Series[float]", digits: int = 5) -> list[float | None]:
    """Five digits are more than a screen shows; what is no number becomes null, a hole in the curve."""
    return [float(f"{value:.{digits}g}") if math.isfinite(value) else None for value in values]


def _shares(values: "np.ndarray[Any, Any]") -> list[list[float]]:
    """Where each value lies between the smallest and the largest, 0 to 1."""
    low, spread = np.nanmin(values), np.ptp(values[np.isfinite(values)]) or 1.0
    shares: list[list[float]] = np.nan_to_num((values - low) / spread).round(3).tolist()
    return shares


def _isfinite(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and math.isfinite(value)


def _number(value: float) -> str:
    """At most four digits, with a real minus sign."""
    if not _isfinite(value):
        return "–"
    text = f"{value:,}" if float(value).is_integer() and not isinstance(value, float) else f"{value:.4g}"
    return text.replace("-", "−")


def _seconds(value: float) -> str:
    """A duration in words."""
    if not _isfinite(value):
        return "–"
    if value < 60:
        return f"{value:.0f} s"
    minutes = round(value / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
