"""Write one HTML page that needs nothing else: no network and no file beside it."""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from analysis import AnalysisError, hyperparameters, style
from analysis.claims.claim import CONTRADICTED, FIGURE_ONLY, SUPPORTED, UNDECIDED
from analysis.claims.verdicts import VERDICT_COLUMNS
from analysis.report.animations import pictures
from analysis.report.charts import Chart, charts
from analysis.report.groups import groups
from analysis.report.inventory import inventory, states
from analysis.report.overview import overview
from analysis.report.sections import ledgers, matrix_games, multi_goal_games, paper_tables
from analysis.runs import Runs
from analysis.saving import save
from macpf.records.outlook import duration

_HERE = Path(__file__).parent
#: Styles and scripts in the order of the page.
_STYLES = ("uplot/uPlot.min.css", "page.css", "data.css")
_SCRIPTS = ("uplot/uPlot.iife.min.js", "tables.js", "charts.js", "curves.js", "pictures.js")
#: How far a colour is moved towards white on a dark page, 0 to 1.
_LIGHTER = 0.35
#: Verdicts in the order of the page's filter; the budget may follow in those on our runs.
_VERDICTS = (SUPPORTED, CONTRADICTED, UNDECIDED, FIGURE_ONLY)


def write_report(runs: Runs, out: Path, root: Path | None = None, folders: Sequence[Path] = ()) -> int:
    """Write the page and return its size in bytes.

    `root` is the runs' folder, for status files and pictures (None if they came from elsewhere); `folders` hold more
    pictures.

    Raises:
        AnalysisError: a folder does not exist.
    """
    if missing := [folder for folder in folders if not folder.is_dir()]:
        raise AnalysisError(f"no folder {missing[0]}: --pictures names folders that hold GIFs")
    (path,) = save({out: render(gather(runs, root, folders))})
    return path.stat().st_size


def gather(runs: Runs, root: Path | None, folders: Iterable[Path] = ()) -> dict[str, Any]:
    """All contents of the page, see `write_report`; each entry is a section or a part of one."""
    parted = groups(runs)
    shown, left_out = pictures([*([root] if root else []), *folders])
    return {
        "source": "" if root is None else str(root),
        "made": time.strftime("%Y-%m-%d %H:%M %Z"),
        "overview": overview(runs, parted, states(runs, root), root),
        "ledgers": ledgers(runs, parted),
        "tables": paper_tables(parted),
        "charts": charts(parted),
        "games": matrix_games(parted),
        "trajectories": multi_goal_games(parted),
        "hyperparameters": {
            "Defaults": hyperparameters.defaults().reset_index(),
            "Variants": hyperparameters.variants(),
            "What tasks and profiles change": hyperparameters.overrides(),
        },
        "inventory": inventory(runs, root),
        "pictures": shown,
        "pictures_left_out": left_out,
    }


def render(report: Mapping[str, Any]) -> str:
    """The page, from what `gather` returned."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,  # names of runs, maps and files are data
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "plain": lambda text: str(text).replace("`", "")}
    environment.filters["duration"] = lambda seconds: duration(seconds) if _isfinite(seconds) else "–"
    environment.filters["in_order"] = style.in_order
    environment.globals |= {
        "label": style.label,
        "isfinite": _isfinite,
        "shares": _shares,
        "numeric_columns": lambda table: table.select_dtypes("number").columns.tolist(),
    }
    looks = style.lines({line.method for chart in report["charts"] for line in chart.lines})
    return environment.get_template("page.html").render(
        report=report,
        verdicts=_VERDICTS,
        verdict_columns=VERDICT_COLUMNS,
        looks={method: _look(line) for method, line in looks.items()},
        data=[_chart(chart) for chart in report["charts"]],
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
    """A chart's curves for the script that draws it; MACPF's are last, so that they lie on top."""
    curves = []
    for line in sorted(chart.lines, key=lambda line: style.depth(line.method)):
        single = {str(seed): _numbers(values, 3) for seed, values in line.single.items()}
        curves.append(_curve(line.method, line.points, chart.band) | {"single": single})
    training = {
        metric: [_curve(method, lines[method], 1.0) for method in sorted(lines, key=style.depth)]
        for metric, lines in chart.training.items()
    }
    return {"score": chart.score, "fraction": "win rate" in chart.score, "lines": curves, "training": training}


def _curve(method: str, points: pd.DataFrame, band: float) -> dict[str, Any]:
    return {
        "method": method,
        "steps": points["env_step"].tolist(),
        "mean": _numbers(points["mean"]),
        "spread": _numbers(points["std"] * band),
        "seeds": points["seeds"].tolist(),
    }


def _numbers(values: "pd.Series[float]", digits: int = 5) -> list[float | None]:
    """Values rounded to more digits than a screen shows; those that are not finite become null, a gap in the curve."""
    return [float(f"{value:.{digits}g}") if math.isfinite(value) else None for value in values]


def _shares(values: "np.ndarray[Any, Any]") -> list[list[float]]:
    """The position of each value between the smallest and the largest, 0 to 1."""
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
