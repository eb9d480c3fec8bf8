"""The head of the page: what runs there are, what to be careful about, and what is missing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pandas as pd

from analysis import style
from analysis.completeness import sentences
from analysis.report.strata import Stratum
from analysis.runs import FINISHED, Runs, short_commits
from macpf import names
from macpf.configuration import CONF, compose, sweep_params
from macpf.records.outlook import outlook
from macpf.records.standing import begun, planned, standing


@dataclass(frozen=True)
class Plan:
    """How far one experiment of `conf/experiment` has come.

    Attributes:
        name: of the experiment.
        planned: number of runs that it needs.
        finished: of those, by "budget, backend": how many are finished.
        missing: how many the paper's budget lacks, on the backend that has most.
        command: what to type for them.
    """

    name: str
    planned: int
    finished: dict[str, int]
    missing: int
    command: str


@dataclass(frozen=True)
class Overview:
    """The head.

    Attributes:
        count: number of runs.
        states: how many are in each state.
        strata: one line for each: env, budget, steps, backend, algorithms, maps, runs, finished, commits.
        smoke: number of smoke runs.
        warnings: what to be careful about besides, one sentence each.
        plans: every experiment.
        progress: how far the runs in the folder are, planned ones among them, and when they will be done; empty if
            all are over.
    """

    count: int
    states: dict[str, int]
    strata: pd.DataFrame
    smoke: int
    warnings: list[str]
    plans: list[Plan]
    progress: str


def overview(runs: Runs, parted: list[Stratum], states: list[str], root: Path | None) -> Overview:
    """Count everything.

    Args:
        runs: all of them.
        parted: the same, as `strata` parts them.
        states: of each run, as the inventory names it.
        root: the runs' folder; None if they came from elsewhere.
    """
    return Overview(
        count=len(runs.report),
        states=dict(Counter(states).most_common()),
        strata=pd.DataFrame([_line(stratum) for stratum in parted]),
        smoke=sum(len(stratum.runs.report) for stratum in parted if stratum.is_smoke),
        warnings=_warnings(runs, parted),
        plans=_plans(parted),
        progress="" if root is None else _progress(root),
    )


def _progress(root: Path) -> str:
    """As `python -m analysis status` has it."""
    folders, _ = planned(root, None)
    there = {run.folder: run for run in begun(root)}
    runs = [*there.values(), *(standing(folder) for folder in folders if folder not in there)]
    if all(run.is_over for run in runs):
        return ""
    return f"Of {_count(len(runs))}, begun or planned: {outlook(runs)}."


def _line(stratum: Stratum) -> dict[str, object]:
    report = stratum.runs.report
    return {
        "environment": stratum.env,
        "budget": stratum.budget,
        "env steps": f"{stratum.total:,}",
        "backend": stratum.backend,
        "maps": ", ".join(stratum.maps),
        "algorithms": ", ".join(sorted(report[names.ALGO].unique(), key=lambda algo: style.rank(style.label(algo)))),
        "finished": f"{int((report['state'] == FINISHED).sum())} of {len(report)}",
        "commits": ", ".join(short_commits(report["commit"])),
    }


def _warnings(runs: Runs, parted: list[Stratum]) -> list[str]:
    """One sentence for each thing that a reader has to know before believing a number; none if all is well."""
    changed = [
        f"{_count(len(s.runs.report))} of {s.env} with {s.total:,} env steps instead of the {s.changed_from:,} of the "
        f"{s.budget} budget: kept apart from the others, and no result"
        for s in parted
        if s.changed_from is not None
    ]
    report, commits = runs.report, short_commits(runs.report["commit"])
    found = {
        runs.warning[:1].upper() + runs.warning[1:]: bool(runs.warning),
        f"The runs were made at {len(commits)} commits: {', '.join(commits)}": len(commits) > 1,
        f"Damaged logs: {_count((report['gaps'] > 0).sum())}; values in them are lost": (report["gaps"] > 0).any(),
        f"NaN or infinite values: {_count((report['nan'] > 0).sum())}": (report["nan"] > 0).any(),
    }
    return [
        f"{text}." for text in [*changed, *sentences(report), *(text for text, applies in found.items() if applies)]
    ]


def _count(runs: int) -> str:
    return f"{runs} run{'' if runs == 1 else 's'}"


def _plans(parted: list[Stratum]) -> list[Plan]:
    """Every experiment, tables first."""
    paths = sorted((CONF / "experiment").glob("*.yaml"), key=lambda path: (path.stem[0] != "t", path.stem))
    return [_plan(path.stem, parted) for path in paths]


def _plan(name: str, parted: list[Stratum]) -> Plan:
    params = sweep_params(name)
    env = params["env"]
    maps = params.get("map") or str(compose(f"env={env}").map.name)
    wanted = set(product(maps.split(","), params["algo"].split(","), (int(seed) for seed in params["seed"].split(","))))
    finished, best = {}, 0
    for stratum in parted:
        report = stratum.runs.report[stratum.runs.report["state"] == FINISHED]
        done = set(zip(report[names.MAP], report[names.ALGO], report[names.SEED], strict=True)) & wanted
        if stratum.env != env or stratum.changed_from is not None or not done:
            continue
        finished[f"{stratum.budget}, {stratum.backend}"] = len(done)
        best = max(best, len(done) if stratum.budget == "paper" else 0)
    return Plan(name, len(wanted), finished, len(wanted) - best, f"python run.py -m +experiment={name}")
