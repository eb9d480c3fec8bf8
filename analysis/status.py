"""The status of all runs: which are finished, running (and how fast), failed (and why) or missing."""

import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from analysis import AnalysisError
from macpf.records.outlook import duration, outlook
from macpf.records.run_state import FINISHED, PLANS, RUNNING, STATES, TROUBLED, RunState, begun, planned, run_state

#: Seconds between two updates.
EVERY = 5.0
#: The most lines of each kind; the rest is only counted.
SHOWN = 30


def status(outputs: Path, plan: str | None, live: bool, console: Console) -> None:
    """Print the status of the runs; with `live` (on a terminal), until all are over or the user interrupts it.

    `plan` is the name of a plan, e.g. ``table2-paper``, to show only its runs.

    Raises:
        AnalysisError: there are no runs.
    """
    runs = look(outputs, plan)
    if not live:
        console.print(page(runs))
        return
    with Live(page(runs), console=console, auto_refresh=False) as screen:
        while not all(run.is_over for run in runs):
            time.sleep(EVERY)
            runs = look(outputs, plan)
            screen.update(page(runs), refresh=True)


def look(outputs: Path, plan: str | None) -> list[RunState]:
    """The status of every run that was begun or planned.

    Raises:
        AnalysisError: there is no run, or no such plan.
    """
    runs, troubles = known(outputs, plan)
    for trouble in troubles:
        print(f"analysis: {trouble}", file=sys.stderr)
    if plan and not runs:
        plans = ", ".join(sorted(path.stem for path in (outputs / PLANS).glob("*.json"))) or "none yet"
        raise AnalysisError(f"no plan called {plan} in {outputs}; plans: {plans}")
    if not runs:
        there = f"no runs in {outputs}" if outputs.is_dir() else f"no folder {outputs}"
        raise AnalysisError(f"{there}: `make demo` makes some, and `make reproduce-table2` plans many")
    return runs


def known(outputs: Path, plan: str | None = None) -> tuple[list[RunState], list[str]]:
    """Every run that was begun or planned, or those of one plan; and what is wrong with the files of plans."""
    wanted, troubles = planned(outputs, plan)
    runs = {run.folder: run for run in ([] if plan else begun(outputs))}
    runs |= {folder: run_state(folder) for folder in wanted if folder not in runs}
    return [runs[folder] for folder in sorted(runs)], troubles


def page(runs: list[RunState]) -> Group:
    """The whole display: counts and the time left, a table of tasks, running runs, and runs that need attention."""
    counts = Counter(run.state for run in runs)
    states = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    parts: list[str | Table] = [f"{len(runs)} runs: {states}", str(outlook(runs)), _tasks(runs)]
    if running := [run for run in runs if run.state == RUNNING]:
        parts.append(_running(running))
    troubled = [run for run in runs if run.state in TROUBLED or not run.is_logged]
    parts += [run.why for run in troubled[:SHOWN]]
    if len(troubled) > SHOWN:
        parts.append(f"... and {len(troubled) - SHOWN} more that need a look")
    if any(not run.is_over for run in troubled):
        parts.append("The command that launched them goes on with all that failed, were killed or are damaged.")
    return Group(*parts)


def _tasks(runs: Iterable[RunState]) -> Table:
    """Finished runs out of all, with tasks down the side and algorithms across."""
    cells: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for run in runs:
        env, map_, algo = run.folder.parts[-5:-2]
        cells[f"{env}/{map_}", algo][run.state] += 1
    algos = list(dict.fromkeys(algo for _, algo in cells))
    table = _table("finished of all", "task", *algos)
    for task in dict.fromkeys(task for task, _ in cells):
        table.add_row(task, *(_cell(cells.get((task, algo), Counter())) for algo in algos))
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(box=None, title=title, title_justify="left")
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _cell(counts: Counter[str]) -> str:
    if not counts:
        return ""
    notes = [f"{counts[state]} {state}" for state in TROUBLED if counts[state]]
    return f"{counts[FINISHED]}/{counts.total()}" + (f" ({', '.join(notes)})" if notes else "")


def _running(runs: list[RunState]) -> Table:
    table = _table("running", "run", "progress", "score", "steps/s", "left", "host")
    for run in runs[:SHOWN]:
        score = run.status.get("score") or {}
        table.add_row(
            run.name,
            f"{run.progress:.0%}",
            " ".join(f"{value:.2f}" for value in score.values()) or "-",
            f"{run.status.get('steps_per_second', 0):,.0f}",
            duration(run.status.get("seconds_left")),
            str(run.status.get("host", "")),
        )
    if len(runs) > SHOWN:
        table.add_row(f"... and {len(runs) - SHOWN} more")
    return table
