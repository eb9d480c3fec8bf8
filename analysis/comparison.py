"""An experiment's scores as samples that can be compared: on the same maps for every method, and on one scale.

On this scale 0 is a random team and 1 the best score possible. Win rates are not changed. A return of a particle task
becomes (return - random) / (best - random), with two constants that were measured once for each task: the return of a
random team, and that of a planner that knows everything and looks four steps ahead (docs/environments/mpe.md has both
with their standard errors). The extremes of the compared runs are not used: adding a method would then change the
scores of all others. Nor is the paper's best score: a method that beats it would seem to have passed an optimum.
Scores may lie outside [0, 1].
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from analysis import AnalysisError, style
from analysis.bootstrap import (
    CURVE_REPLICATES,
    LEAST,
    LEVEL,
    REPLICATES,
    SEED,
    Sample,
    Statistic,
    estimate,
    improvement,
    iqm,
    mean,
    median,
    optimality_gap,
)
from analysis.evidence import LAST, Evidence, counts_in_words
from analysis.paper import DATA
from analysis.run_facts import other_rules
from analysis.saving import save, with_caption
from macpf import names

#: The method that all others are compared with.
OURS = style.label(style.MACPF)
STATISTICS: dict[str, Statistic] = {"IQM": iqm, "mean": mean, "median": median, "optimality gap": optimality_gap}
IMPROVEMENT = f"P({OURS} better)"
_WIN_RATE = "win_rate"
_Scores = TypeVar("_Scores", "pd.Series[float]", pd.DataFrame)


@dataclass(frozen=True)
class Comparison:
    """Normalised scores of every method on the maps on which all of them have runs.

    Attributes:
        maps: the M maps.
        final: by method, the final scores [K] of its runs.
        steps: [S] env steps of the evaluations.
        curves: by method, its scores [K, S] at these env steps; NaN where a run was not evaluated.
        left_out: the methods without runs, and the maps that some other method lacks, in words; empty if there are
            none.
    """

    maps: tuple[str, ...]
    final: dict[str, Sample]
    steps: "pd.Index[int]"
    curves: dict[str, Sample]
    left_out: str


def compare(found: Evidence, policies: tuple[str, ...] = (names.INDEPENDENT,)) -> Comparison:
    """Normalise the scores of an experiment's runs, method by method; Figure 6 compares both policies of MACPF.

    Raises:
        AnalysisError: there is no map on which all methods have runs; or their scores have no common scale, because a
            task's constants were not measured or the runs used rules for which the constants do not hold.
    """
    refuse_other_rules(found.configs)
    every = found.experiment.maps
    pairs = {style.label(algo, policy): (algo, policy) for algo in found.experiment.algos for policy in policies}
    has = {method: [map_ for map_ in every if len(found.final(map_, *pair))] for method, pair in pairs.items()}
    present = [method for method in style.order(pairs) if has[method]]
    maps = tuple(map_ for map_ in every if present and all(map_ in has[method] for method in present))
    if not maps:
        last = [method for method in pairs if has[method] or not present][-1]
        raise AnalysisError(
            f"no map of {found.experiment.name} on which all methods have scores: leave one out, e.g. --exclude "
            f"{pairs[last][0]}-"
        )
    final, curves = {}, {}
    for method in present:
        pair = pairs[method]
        final[method] = Sample.of(*(_scaled(found.final(map_, *pair), found, map_).to_numpy() for map_ in maps))
        curves[method] = pd.concat([_scaled(found.scores(map_, *pair), found, map_) for map_ in maps], axis=1)
    steps = pd.Index(sorted(set().union(*(curve.index for curve in curves.values()))))
    of_runs = {method: Sample(curves[method].reindex(steps).to_numpy().T, final[method].sizes) for method in final}
    lost = {
        "Methods without runs": [method for method in pairs if not has[method]],
        "Maps left out, which not all methods have": [map_ for map_ in every if map_ not in maps],
    }
    left_out = " ".join(f"{what}: {', '.join(those)}." for what, those in lost.items() if those)
    return Comparison(maps, final, steps, of_runs, left_out)


def _scaled(scores: _Scores, found: Evidence, map: str) -> _Scores:
    low, high = bounds(found.score, map)
    return (scores - low) / (high - low)


def bounds(score: str, map: str) -> tuple[float, float]:
    """The scores of a map that become 0 and 1.

    Raises:
        AnalysisError: scores are returns, and the constants of this task were not measured.
    """
    if score == _WIN_RATE:
        return 0.0, 1.0
    table = pd.read_csv(DATA / "return_bounds.csv").set_index(names.MAP)
    if map not in table.index:
        raise AnalysisError(
            f"no random and best return of {map} to put its scores on one scale: add them to "
            "analysis/data/return_bounds.csv"
        )
    return float(table["random"][map]), float(table["best"][map])


def refuse_other_rules(configs: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse runs of particle tasks, by their configs, whose returns are on another scale than the paper's.

    The measured constants do not hold for them either.
    """
    for run, config in configs.items():
        if rules := other_rules(config):
            raise AnalysisError(
                f"{run} was made with {rules}, whose returns are on another scale: --exclude {names.configuration(run)}"
            )


def aggregates(comparison: Comparison) -> pd.DataFrame:
    """One line for each method and statistic: statistic, method, point, low, high (ends of the interval), runs.

    The statistic ``P(MACPF better)`` is the probability that a run of MACPF scores above a run of the method.
    """
    lines = []
    for method, sample in comparison.final.items():
        found = {name: estimate(statistic, sample) for name, statistic in STATISTICS.items()}
        if OURS in comparison.final and method != OURS:
            found[IMPROVEMENT] = improvement(comparison.final[OURS], sample)
        for name, result in found.items():
            ends = {"point": float(result.point), "low": float(result.low), "high": float(result.high)}
            lines.append({"statistic": name, "method": method, **ends, "runs": len(sample.values)})
    return pd.DataFrame(lines)


def write_aggregates(table: pd.DataFrame, comparison: Comparison, found: Evidence, out: Path) -> list[Path]:
    """Write `aggregates` as CSV and Markdown."""
    stem = out / f"statistics_{found.experiment.name}"
    text = with_caption(page(table).to_markdown(), caption(comparison, found))
    return save({Path(f"{stem}.csv"): table.assign(not_whole=found.not_whole), Path(f"{stem}.md"): text})


def page(table: pd.DataFrame) -> pd.DataFrame:
    """Methods down the side, statistics along the top, intervals in brackets."""
    ends = table.apply(lambda line: f" [{line['low']:.3f}, {line['high']:.3f}]", axis=1).where(table["low"].notna(), "")
    wide = table.assign(cell=table["point"].map("{:.3f}".format) + ends).pivot(
        index="method", columns="statistic", values="cell"
    )
    columns = [name for name in (*STATISTICS, IMPROVEMENT) if name in wide.columns]
    return wide.fillna("").loc[list(dict.fromkeys(table["method"])), columns].rename_axis(None, axis=1)


def caption(comparison: Comparison, found: Evidence) -> str:
    """The caption of a table or figure of aggregates."""
    few = any(sample.sizes.min() < LEAST for sample in comparison.final.values())
    runs = {method: sample.sizes.tolist() for method, sample in comparison.final.items()}
    scale = "returns on a scale from 0, a random team, to 1, a planner that knows everything"
    return found.caption(
        f"Scores are {'test win rates' if found.score == _WIN_RATE else scale}. A run's final score is the mean of its "
        f"last {LAST} evaluations",
        f"Brackets and bands: {LEVEL:.0%} percentile intervals of a bootstrap stratified by map ({REPLICATES:,} "
        f"replicates, {CURVE_REPLICATES:,} for sample efficiency, seed {SEED})",
        f"There is none where a map has fewer than {LEAST} runs" if few else "",
        f"Maps: {len(comparison.maps)}; runs of each map: {counts_in_words(runs)}",
        comparison.left_out,
    )
