"""How runs of matrix games ended: at the optimum, at the worst payoff, or in between; and their joint policies."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis import AnalysisError, paper, style
from analysis.bootstrap import share_interval
from analysis.evidence import Evidence, Experiment
from analysis.run_facts import setting
from analysis.runs import Runs
from analysis.saving import save, with_caption
from analysis.selection import of_kind
from macpf import names
from macpf.choices import sweep_params

ENV = sweep_params("figure4")["env"]
#: Name of the row of networks before their first update.
UNTRAINED = "untrained networks"
COLUMNS = ["method", "seeds", "optimum", "suboptimal", "worse", "nan", "mean final return"]
_SCORE = "return"
_CAPTION = (
    "Percent of runs whose final greedy policy gets the largest payoff (optimum), the smallest (worse), or one in "
    "between; the 95 % interval is Wilson's. The paper's percentages are of five seeds, on a payoff that it does not "
    "print; its `worse` counts seeds below QMIX. The row of untrained networks counts the same runs at their first "
    "evaluation, before any update: what chance is worth."
)


@dataclass(frozen=True)
class JointPolicy:
    """The joint policy of one run at its last env step: probabilities [rows, columns]."""

    probabilities: NDArray[np.float64]
    seed: int
    env_step: int


def payoff_of(selection: Evidence) -> NDArray[np.float64]:
    """The payoff [rows, columns] that all of these runs played; rows are the actions of agent 0.

    Raises:
        AnalysisError: a run did not log its payoff, or the runs played several.
    """
    matrices: dict[str, str] = {}  # payoff as text -> one run that played it
    payoff = np.empty((0, 0))
    for run, config in selection.configs.items():
        try:
            payoff = np.array(setting(config, names.CONFIG, names.MAP, "payoff"), dtype=float)
        except (ValueError, TypeError):
            payoff = np.array(math.nan)
        if payoff.ndim != 2 or not payoff.size:
            raise AnalysisError(f"run {run} does not say its payoffs (config.map.payoff): --exclude {run}")
        matrices.setdefault(str(payoff.tolist()), run)
    if len(matrices) > 1:
        one, other, *_ = matrices.values()
        raise AnalysisError(f"runs {one} and {other} played different payoffs: leave one kind out with --exclude")
    return payoff


def joint_policy(
    selection: Evidence, runs: pd.DataFrame, shape: tuple[int, ...], policy: str = names.DEPENDENT
) -> JointPolicy | None:
    """The joint policy of the first of these runs (report lines) at its last row; None if there is none."""
    if runs.empty:
        return None
    first = runs.iloc[0]
    lines = selection.frame[(selection.frame["run"] == first["run"])]
    last = lines[lines[names.ENV_STEP] == first[names.ENV_STEP]].set_index("metric")["value"]
    # Actions that only pad the smaller action space are never available, so the payoff has a cell for every other one.
    cells = [names.joint(policy, place) for place in np.ndindex(*shape)]
    if not last.index.isin(cells).any():
        return None
    probabilities = last.reindex(cells).to_numpy(dtype=float).reshape(shape)
    return JointPolicy(probabilities, int(first[names.SEED]), int(first[names.ENV_STEP]))


def outcome_table(final: Mapping[str, Sequence[float]], payoff: Sequence[Sequence[float]]) -> pd.DataFrame:
    """Count the runs of each method by the final greedy return, in units of the payoff [rows, columns].

    Returns:
        One line per method: method, seeds, then how many of them ended at the largest payoff (optimum), at the
        smallest (worse), elsewhere (suboptimal) or with NaN (nan), and the mean final return.
    """
    lines = []
    for method, returns in final.items():
        values = np.array(returns, dtype=float)
        # Payoffs and returns pass through 32-bit floats on their way here.
        optimum = np.isclose(values, np.max(payoff), rtol=1e-5, atol=1e-5)
        worst = np.isclose(values, np.min(payoff), rtol=1e-5, atol=1e-5) & ~optimum
        nan = np.isnan(values)
        counts = [int(mask.sum()) for mask in (optimum, ~(optimum | worst | nan), worst, nan)]
        lines.append([method, len(values), *counts, float(values.mean()) if len(values) else np.nan])
    return pd.DataFrame(lines, columns=COLUMNS)


def outcomes(found: Evidence) -> pd.DataFrame:
    """The outcomes of all runs that count, map by map, with Wilson's 95 % interval of the share of optima.

    The last row of a map shows the level of chance: the same runs at their first evaluation, before any update. A
    method without runs that count has a row with 0 seeds.

    Returns:
        map, the columns of `outcome_table`, low and high (the interval's ends in percent), and not_whole (what is wrong
        with the runs of a method).
    """
    tables = []
    for map_ in sorted(found.all[names.MAP].unique()):
        part = found.on(map_)
        played = part.all[names.ALGO].unique()
        flaws = {style.label(algo): words for (on, algo), words in found.flaws.items() if on == map_ and algo in played}
        payoff = payoff_of(part).tolist() if len(part.report) else [[0.0]]
        final = final_returns(part)
        methods = {method: final.get(method, []) for method in [*final, *flaws]}
        table = outcome_table({**methods, **untrained(part)}, payoff)
        counts = zip(table["optimum"], table["seeds"], strict=True)
        ends = [share_interval(k, n) if n else (np.nan, np.nan) for k, n in counts]
        table[["low", "high"]] = 100 * np.array(ends).reshape(-1, 2)
        told = [flaws.get(method, "") for method in table["method"]]
        tables.append(table.assign(map=map_, not_whole=told)[[names.MAP, *COLUMNS, "low", "high", "not_whole"]])
    return pd.concat(tables, ignore_index=True)


def find_outcomes(runs: Runs, budget: str | None = None) -> Evidence:
    """All runs of matrix games of a budget; planned are those of the experiment `outcomes`.

    Raises:
        AnalysisError: there are none, or see `analysis.selection.find`.
    """
    report = runs.report[runs.report[names.ENV] == ENV]
    found = of_kind(runs, report, (ENV, "outcomes"), budget=budget, backend=None)
    return replace(found, experiment=Experiment.read("outcomes"))


def write_outcomes(found: Evidence, out: Path) -> list[Path]:
    """Write `outcomes` as CSV (counts) and Markdown (percentages, beside the paper's)."""
    table = outcomes(found)
    page = _page(table[table["seeds"] > 0]).to_markdown(index=False)
    return save({out / "outcomes.csv": table, out / "outcomes.md": with_caption(page, found.caption(_CAPTION))})


def untrained(selection: Evidence) -> dict[str, list[float]]:
    """The return before any update of every run that counts, under the name of their row; {} if there is none."""
    lines = selection.frame[selection.frame["metric"] == names.score(names.INDEPENDENT, _SCORE)]
    first = lines[lines[names.ENV_STEP] == 0].sort_values("run")["value"].tolist()
    return {UNTRAINED: first} if first else {}


def final_returns(selection: Evidence) -> dict[str, list[float]]:
    """The return at the last evaluation of every run that counts, by method."""
    last = selection.report[["run", names.ENV_STEP]]
    lines = selection.frame.merge(last, on=["run", names.ENV_STEP])
    metrics = {names.score(policy, _SCORE): policy for policy in (names.INDEPENDENT, names.DEPENDENT)}
    lines = lines[lines["metric"].isin(metrics)].sort_values(names.SEED)
    final = {
        style.label(str(algo), metrics[str(metric)]): group["value"].tolist()
        for (algo, metric), group in lines.groupby([names.ALGO, "metric"])
    }
    return {method: final[method] for method in style.order(final)}


def _page(table: pd.DataFrame) -> pd.DataFrame:
    shares = table[["optimum", "suboptimal", "worse"]].div(table["seeds"], axis=0).mul(100).round().astype(int)
    ours = shares["optimum"].astype(str) + [
        f" [{low:.0f}, {high:.0f}]" for low, high in zip(table["low"], table["high"], strict=True)
    ]
    published = paper.outcomes()
    return pd.DataFrame(
        {
            "map": table[names.MAP],
            "method": table["method"],
            "seeds": table["seeds"],
            "optimum % [95 %]": ours,
            "suboptimal %": shares["suboptimal"],
            "worse %": shares["worse"],
            "paper: optimum %": table["method"].map(published["optimum"]).map(_percent),
            "paper: worse %": table["method"].map(published["worse"]).map(_percent),
        }
    )


def _percent(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.0f}"
