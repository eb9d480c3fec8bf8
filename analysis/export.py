"""Export runs for other programs.

They are written as the JSON that marl-eval reads (Gorsane et al., NeurIPS 2022; github.com/instadeepai/marl-eval), or
with every logged number as CSV or TensorBoard's event files. docs/analysis.md explains the layout of the JSON:

    environment -> task -> algorithm -> seed_<k> -> step_<i> -> {step_count, elapsed_time, <metric>: [value]}
                                                 -> absolute_metrics -> {<metric>: [value]}
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis import AnalysisError, style
from analysis.evidence import LAST, evaluated
from analysis.run_facts import of_budget
from analysis.runs import Runs
from analysis.saving import save, writing
from macpf import names


def export(runs: Runs, budget: str | None = None, backend: str | None = None) -> dict[str, Any]:
    """All runs that count as marl-eval's JSON, with MACPF's dependent policy as an algorithm of its own.

    `budget` and `backend` of None take the only one that each environment has.

    Raises:
        AnalysisError: no run counts; an environment has runs of several budgets or backends; or two runs would have the
            same place in the JSON.
    """
    report = of_kind(runs, budget, backend)
    report = report[report["counts"]]
    if report.empty:
        raise AnalysisError("no whole run to export: `python -m analysis completeness` lists what there is")
    _refuse_two_in_one_place(report)
    document: dict[str, Any] = {}
    rows = {str(run): lines for run, lines in runs.frame.groupby("run")}
    for line in report.sort_values([names.ENV, names.MAP, names.ALGO, names.SEED]).to_dict("records"):
        for policy in evaluated(rows[line["run"]]):
            steps = _steps(rows[line["run"]], policy)
            if steps:
                algorithm = style.label(line[names.ALGO], policy)
                of_map = document.setdefault(line[names.ENV], {}).setdefault(line[names.MAP], {})
                of_map.setdefault(algorithm, {})[f"seed_{line[names.SEED]}"] = steps
    return document


def of_kind(runs: Runs, budget: str | None, backend: str | None) -> pd.DataFrame:
    """The report lines of the runs of a budget and a backend, whether they count or not; None takes all."""
    report = runs.report
    if budget is not None:
        report = report[of_budget(report, budget)]
    return report if backend is None else report[report[names.BACKEND] == backend]


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
    """The evaluations of one policy in one run, and the absolute metrics; {} if the policy was never evaluated."""
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


def write_csv(runs: Runs, folder: Path) -> list[Path]:
    """Write ``<run key>.csv`` for each run, unfinished or not: a line for each evaluation, a column for each metric.

    Raises:
        AnalysisError: no run has logged anything.
    """
    return [path for run, table in _tables(runs) for path in save({folder / f"{run}.csv": table})]


def write_tensorboard(runs: Runs, folder: Path) -> list[Path]:
    """Write one folder of events for each run, which `tensorboard --logdir <folder>` shows; earlier ones are replaced.

    Raises:
        AnalysisError: no run has logged anything, or the package tensorboard is not installed.
    """
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError as error:
        raise AnalysisError("TensorBoard's files need its package: pip install tensorboard") from error
    written = []
    for run, table in _tables(runs):
        place = folder / run
        for old in place.glob("events.out.tfevents.*"):
            old.unlink()
        with writing(place / "events"):
            writer = EventFileWriter(str(place))
        times = table.get(names.WALL_SECONDS, pd.Series(0.0, table.index)).fillna(0.0)
        for (_, row), seconds in zip(table.iterrows(), times, strict=True):
            values = [Summary.Value(tag=str(metric), simple_value=value) for metric, value in row.dropna().items()]
            writer.add_event(Event(step=int(row[names.ENV_STEP]), wall_time=seconds, summary=Summary(value=values)))
        writer.close()
        written.append(place)
    return written


def _tables(runs: Runs) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each run's key and its numbers, a row for each env step at which it logged."""
    if runs.frame.empty:
        raise AnalysisError("no run has logged a number yet; `python -m analysis status` shows how they stand")
    for run, lines in runs.frame.groupby("run", sort=True, observed=True):
        wide = lines.pivot_table(index=names.ENV_STEP, columns="metric", values="value", aggfunc="last", observed=True)
        yield str(run), wide.reset_index().rename_axis(columns=None)
