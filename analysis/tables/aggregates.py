"""Every method of an experiment in a few numbers, over all maps and seeds, with intervals."""

from pathlib import Path

import numpy as np
import pandas as pd

from analysis.aggregates import (
    CURVE_REPLICATES,
    LEAST,
    LEVEL,
    REPLICATES,
    SEED,
    Estimate,
    Statistic,
    estimate,
    improvement,
    iqm,
    mean,
    median,
    optimality_gap,
)
from analysis.comparison import Comparison, runs_per_map, scale
from analysis.evidence import LAST, Evidence

#: The method that all others are compared with.
OURS = "MACPF"
STATISTICS: dict[str, Statistic] = {"IQM": iqm, "mean": mean, "median": median, "optimality gap": optimality_gap}
IMPROVEMENT = f"P({OURS} better)"


def aggregates(comparison: Comparison) -> pd.DataFrame:
    """One line for each method and statistic: statistic, method, point, low, high (ends of the interval), runs.

    The statistic ``P(MACPF better)`` is the probability that a run of MACPF scores above one of the method's.
    """
    lines = []
    for method, sample in comparison.final.items():
        for name, statistic in STATISTICS.items():
            lines.append(_line(name, method, estimate(statistic, sample), len(sample.values)))
        if OURS in comparison.final and method != OURS:
            better = improvement(comparison.final[OURS], sample)
            lines.append(_line(IMPROVEMENT, method, better, len(sample.values)))
    return pd.DataFrame(lines)


def _line(statistic: str, method: str, result: Estimate, runs: int) -> dict[str, object]:
    ends = {"point": float(result.point), "low": float(result.low), "high": float(result.high)}
    return {"statistic": statistic, "method": method, **ends, "runs": runs}


def write_aggregates(table: pd.DataFrame, comparison: Comparison, found: Evidence, out: Path) -> list[Path]:
    """Write `aggregates` as CSV and Markdown."""
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / f"statistics_{found.experiment.name}.{suffix}" for suffix in ("csv", "md")]
    table.assign(not_whole=found.not_whole).to_csv(paths[0], index=False)
    paths[1].write_text(f"{page(table).to_markdown()}\n\n{caption(comparison, found)}\n")
    return paths


def page(table: pd.DataFrame) -> pd.DataFrame:
    """Methods down the side, statistics along the top, intervals in brackets."""
    text = table.assign(cell=table.apply(_cell, axis=1))
    wide = text.pivot(index="method", columns="statistic", values="cell").fillna("")
    columns = [name for name in (*STATISTICS, IMPROVEMENT) if name in wide.columns]
    return wide.loc[list(dict.fromkeys(table["method"])), columns].rename_axis(None, axis=1)


def _cell(line: "pd.Series[float]") -> str:
    ends = f" [{line['low']:.3f}, {line['high']:.3f}]" if np.isfinite(line["low"]) else ""
    return f"{line['point']:.3f}{ends}"


def caption(comparison: Comparison, found: Evidence) -> str:
    """What a reader of a table or figure of aggregates has to know."""
    few = any(sample.sizes.min() < LEAST for sample in comparison.final.values())
    sentences = [
        f"{scale(found)} A run's final score is the mean of its last {LAST} evaluations.",
        f"Brackets and bands: {LEVEL:.0%} percentile intervals of a bootstrap stratified by map ({REPLICATES:,} "
        f"replicates, {CURVE_REPLICATES:,} for sample efficiency, seed {SEED}).",
        f"There is none where a map has fewer than {LEAST} runs." if few else "",
        f"Maps: {len(comparison.maps)}; runs of each map: {runs_per_map(comparison)}.",
        comparison.left_out,
    ]
    return found.caption_after(*sentences)
