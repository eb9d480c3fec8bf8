"""Runs as the JSON that marl-eval reads (Gorsane et al., NeurIPS 2022; github.com/instadeepai/marl-eval).

    environment -> task -> algorithm -> seed_<k> -> step_<i> -> {step_count, elapsed_time, <metric>: [value]}
                                                 -> absolute_metrics -> {<metric>: [value]}

docs/analysis.md has the mapping.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis import style
from analysis.errors import AnalysisError
from analysis.evidence import LAST
from analysis.lengths import of_budget
from analysis.runs import Runs
from macpf import names

_POLICIES = (names.INDEPENDENT, names.DEPENDENT)


def export(runs: Runs, budget: str | None = None, backend: str | None = None) -> dict[str, Any]:
    """Every run that counts, the dependent policy of MACPF as an algorithm of its own.

    Args:
        runs: all there are.
        budget, backend: wanted value; None takes the only one there is of each environment.

    Raises:
        AnalysisError: none counts, or two of them would stand in one place.
    """
    report = of_kind(runs, budget, backend)
    report = report[report["counts"]]
    if report.empty:
        raise AnalysisError("no whole run to export: `python -m analysis completeness` lists what there is")
    _refuse_two_in_one_place(report)
    document: dict[str, Any] = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    rows = {str(run): lines for run, lines in runs.frame.groupby("run")}
    for line in report.sort_values([names.ENV, names.MAP, names.ALGO, names.SEED]).to_dict("records"):
        for policy in _POLICIES:
            steps = _steps(rows[line["run"]], policy)
            if steps:
                algorithm = style.label(line[names.ALGO], policy)
                document[line[names.ENV]][line[names.MAP]][algorithm][f"seed_{line[names.SEED]}"] = steps
    plain: dict[str, Any] = json.loads(json.dumps(document))
    return plain


def of_kind(runs: Runs, budget: str | None, backend: str | None) -> pd.DataFrame:
    """The report of the runs of a budget and a backend, counting or not; None takes all."""
    wanted = pd.Series(True, index=runs.report.index)
    if budget is not None:
        wanted &= of_budget(runs.report, budget)
    if backend is not None:
        wanted &= runs.report[names.BACKEND] == backend
    return runs.report[wanted]


def write_export(document: dict[str, Any], path: Path) -> Path:
    """Write the document."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1))
    return path


def _refuse_two_in_one_place(report: pd.DataFrame) -> None:
    for key in (names.BUDGET, names.BACKEND):
        for env, group in report.groupby(names.ENV):
            if group[key].nunique() > 1:
                kinds = sorted(group[key].unique())
                raise AnalysisError(
                    f"{env} has runs with {key} {', '.join(kinds)}, which marl-eval would mix: --{key} {kinds[0]}"
                )
    place = [names.ENV, names.MAP, names.ALGO, names.SEED]
    double = report[report.duplicated(place, keep=False)].sort_values(place)
    if len(double):
        one, other = double["run"].iloc[:2]
        raise AnalysisError(f"{one} and {other} would stand in one place: --exclude one of their configurations")


def _steps(lines: pd.DataFrame, policy: str) -> dict[str, Any]:
    """The evaluations of one policy in one run, and the absolute metrics; {} if it never was evaluated."""
    prefix = names.score(policy, "")
    scores = lines[
        lines["metric"].str.startswith(prefix) & ~lines["metric"].str.startswith(names.score(policy, "joint/"))
    ]
    if scores.empty:
        return {}
    wide = scores.pivot(index=names.ENV_STEP, columns="metric", values="value")
    seconds = lines[lines["metric"] == names.WALL_SECONDS].set_index(names.ENV_STEP)["value"].reindex(wide.index)
    entries: dict[str, Any] = {}
    for index, (step, elapsed) in enumerate(zip(wide.index, seconds, strict=True)):
        measured = {str(metric).removeprefix(prefix): [float(wide[metric][step])] for metric in wide}
        time = {} if np.isnan(elapsed) else {"elapsed_time": float(elapsed)}
        entries[f"step_{index}"] = {"step_count": int(step), **time, **measured}
    final = wide.tail(LAST).mean()
    entries["absolute_metrics"] = {str(metric).removeprefix(prefix): [float(v)] for metric, v in final.items()}
    return entries
