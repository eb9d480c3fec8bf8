"""A table of all runs: their origin and their state."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.run_facts import parameters
from analysis.runs import CRASHED, NO_DATA, Runs, short_commits
from macpf import names
from macpf.records.numbering import SHOWN
from macpf.records.run_state import FAILED, INTERRUPTED, RUNNING, STALE, begun, key_of

#: Config keys of every run; all other keys are versions of the software that its environment used.
_OWN = {
    *(names.ALGO, names.ENV, names.MAP, names.BACKEND, names.BUDGET, names.SEED, names.RUN_KEY, names.ATTEMPT),
    *(names.TOTAL_ENV_STEPS, names.COMMIT, names.CONFIG, names.PARAMETERS, names.ORIGIN, names.EVALUATIONS),
    *(names.SCORE, names.LABELS, names.FAMILY, names.HOST, names.TORCH),
}


#: Columns of the table that are columns of the report.
_TOLD = {
    **{"algorithm": names.ALGO, "environment": names.ENV, "map": names.MAP, "seed": names.SEED},
    **{"budget": names.BUDGET, "backend": names.BACKEND, "env steps": names.ENV_STEP, "of": "total"},
    **{"evaluations": "found", "expected": "expected"},
}


def inventory(runs: Runs, root: Path | None) -> pd.DataFrame:
    """One line for each run, ordered by environment, map, algorithm, budget and seed.

    `root` is their folder, to read the status of unfinished runs; None if they came from elsewhere.

    Returns:
        state (as in `Runs`, or if the status tells more: running, stale, failed, interrupted), algorithm, environment,
        map, seed, budget, backend, env steps, of (both int), evaluations, expected (-1 if unknown), wall seconds, env
        steps per second (NaN if unknown), attempts, damaged, NaN (counts), commit, versions, configuration (hash),
        parameters (NaN if unknown), origin (its first digits), run.
    """
    report = runs.report
    measured = (runs.frame[runs.frame["metric"] == metric] for metric in (names.WALL_SECONDS, names.STEPS_PER_SECOND))
    seconds, speed = (lines.groupby("run")["value"].last() for lines in measured)
    table = pd.DataFrame(
        {
            "state": states(runs, root),
            **{told: report[key] for told, key in _TOLD.items()},
            "wall seconds": report["run"].map(seconds),
            "env steps per second": report["run"].map(speed),
            "attempts": report["attempts"],
            "damaged": report["gaps"],
            "NaN": report["nan"],
            "commit": [" ".join(short_commits(report["commit"].iloc[[k]])) for k in range(len(report))],
            "versions": report["run"].map(lambda run: _versions(runs.configs[run])),
            "configuration": report["run"].str.rsplit("-", n=2).str[-2].fillna(""),
            "parameters": [float(sum(parameters(runs.configs[run]).values())) or math.nan for run in report["run"]],
            "origin": report["origin"].str[:SHOWN],
            "run": report["run"],
        }
    )
    return table.sort_values(["environment", "map", "algorithm", "budget", "seed"], ignore_index=True)


def states(runs: Runs, root: Path | None) -> list[str]:
    """The state of each run: from its log or, if that cannot tell, from the status in its folder."""
    run_states = {} if root is None else {key_of(run.folder): run.state for run in begun(root)}
    known = {RUNNING, STALE, FAILED, INTERRUPTED}
    result = []
    for run, state in zip(runs.report["run"], runs.report["state"], strict=True):
        better = run_states.get(run) if state in (CRASHED, NO_DATA) else None
        result.append(better if better in known else str(state))
    return result


def _versions(config: Mapping[str, Any]) -> str:
    found = {key: value for key, value in config.items() if key not in _OWN and not key.startswith("_")}
    return ", ".join(f"{key} {value}" for key, value in found.items())
