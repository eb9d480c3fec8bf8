"""How the runs of matrix games ended: at the optimum, at the worst payoff, or in between."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import paper, style
from analysis.aggregates import share_interval
from analysis.completeness import by_cell
from analysis.errors import AnalysisError
from analysis.evidence import Evidence
from analysis.figures.figure4_data import payoff_of
from analysis.lengths import canonical
from analysis.runs import Runs
from analysis.selection import nothing_counts, select
from macpf import names

#: What the row of networks before their first update is called.
UNTRAINED = "untrained networks"
COLUMNS = ["method", "seeds", "optimum", "suboptimal", "worse", "nan", "mean final return"]


def outcome_table(final: Mapping[str, Sequence[float]], payoff: Sequence[Sequence[float]]) -> pd.DataFrame:
    """Count the runs of each method by the final greedy return.

    Args:
        final: per method, the final return of each run in units of the payoff.
        payoff: rows (agent 0) by columns (agent 1).

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


def outcomes(runs: Runs, env: str, budget: str | None = None) -> pd.DataFrame:
    """The outcomes of all finished runs, map by map, with 95 % intervals (Wilson's) of the optimum's share.

    Returns:
        The columns of `outcomes_of` behind map, and low and high, the interval's ends in percent.

    Raises:
        AnalysisError: there are no finished runs, or see `select`.
    """
    report = runs.report[runs.report[names.ENV] == env]
    logged = report[report["counts"]]
    if budget is not None:
        report, logged = (lines[lines[names.BUDGET] == canonical(env, budget)] for lines in (report, logged))
    if logged.empty:
        kind = f" with --budget {budget}" if budget else ""
        raise AnalysisError(nothing_counts(report, f"{env}{kind}", "outcomes"))
    tables = []
    for map_ in sorted(report[names.MAP].unique()):
        if map_ in logged[names.MAP].array:
            table = outcomes_of(select(runs, env, map_, budget))
        else:
            table = _lines({}, report[report[names.MAP] == map_], [[0.0]])
        counts = zip(table["optimum"], table["seeds"], strict=True)
        ends = [share_interval(k, n) if n else (np.nan, np.nan) for k, n in counts]
        table[["low", "high"]] = 100 * np.array(ends).reshape(-1, 2)
        tables.append(table.assign(map=map_))
    together = pd.concat(tables, ignore_index=True)
    return together[[names.MAP, *COLUMNS, "low", "high", "not_whole"]]


def outcomes_of(selection: Evidence) -> pd.DataFrame:
    """`outcome_table` of one payoff's runs, and in its last row the same networks before their first update.

    That row shows what chance is worth: the first evaluation of every run that counts. The column ``not_whole`` names
    the runs of a method that are not whole; a method without any run that counts has a row with no seeds.
    """
    table = _lines(final_returns(selection), selection.all, payoff := payoff_of(selection).tolist())
    return pd.concat([table, outcome_table(untrained(selection), payoff).assign(not_whole="")], ignore_index=True)


def _lines(
    final: Mapping[str, Sequence[float]], report: pd.DataFrame, payoff: Sequence[Sequence[float]]
) -> pd.DataFrame:
    flaws = {style.label(str(algo)): words for algo, words in by_cell(report, [names.ALGO]).items()}
    table = outcome_table({method: final.get(method, []) for method in [*final, *flaws]}, payoff)
    return table.assign(not_whole=[flaws.get(method, "") for method in table["method"]])


def write_outcomes(table: pd.DataFrame, out: Path) -> list[Path]:
    """Write `outcomes` as CSV (counts) and Markdown (percentages, beside the paper's)."""
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / "outcomes.csv", out / "outcomes.md"]
    table.to_csv(paths[0], index=False)
    told = table[table["not_whole"] != ""]
    named = zip(told["method"], told[names.MAP], told["not_whole"], strict=True)
    flaws = "; ".join(f"{method} on {map_}, {flaw}" for method, map_, flaw in named)
    caption = f"{_CAPTION} Runs that are not whole: {flaws}." if flaws else _CAPTION
    paths[1].write_text(f"{_page(table[table['seeds'] > 0]).to_markdown(index=False)}\n\n{caption}\n")
    return paths


_CAPTION = (
    "Percent of runs whose final greedy policy gets the largest payoff (optimum), the smallest (worse), or one in "
    "between; the 95 % interval is Wilson's. The paper's percentages are of five seeds, on a payoff that it does not "
    "print; its `worse` counts seeds below QMIX. The row of untrained networks counts the same runs at their first "
    "evaluation, before any update: what chance is worth."
)


def untrained(selection: Evidence) -> dict[str, list[float]]:
    """By the name of their row, the return of every run that counts at its evaluation before any update, if any has."""
    lines = selection.frame[selection.frame["metric"] == names.score(names.INDEPENDENT, "return")]
    first = lines[lines[names.ENV_STEP] == 0].sort_values("run")["value"].tolist()
    return {UNTRAINED: first} if first else {}


def final_returns(selection: Evidence) -> dict[str, list[float]]:
    """Per method, the return of every run that counts at its last evaluation."""
    finished = selection.all[selection.all["counts"]]
    lines = selection.frame.merge(finished[["run", names.ENV_STEP]], on=["run", names.ENV_STEP])
    metrics = {names.score(policy, "return"): policy for policy in (names.INDEPENDENT, names.DEPENDENT)}
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
