"""The head of the page: what runs there are, what to be careful about, and what is missing."""

from collections import Counter
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import style
from analysis.evidence import places, sentences
from analysis.report.groups import Group
from analysis.runs import FINISHED, Runs, short_commits
from analysis.selection import usual_map
from analysis.status import known
from macpf import names
from macpf.choices import choices, sweep_params
from macpf.records.outlook import outlook
from macpf.suite import TRAIN


def overview(runs: Runs, parted: Sequence[Group], states: Sequence[str], root: Path | None) -> dict[str, Any]:
    """Summarise all runs; `parted` are their `groups`, `states` those of the inventory, and `root` is their folder.

    Returns:
        count (of runs), states (the number of runs in each), groups (one line for each), smoke (number of smoke runs),
        warnings (what else to be careful about, one sentence each), plans (see `_plan`), and progress (how far the runs
        in the folder are, planned ones included, and when they will be done; empty if all are over).
    """
    experiments = sorted(choices("experiment"), key=lambda name: (name[0] != "t", name))
    known_runs, _ = ([], []) if root is None else known(root)
    going_on = any(not run.is_over for run in known_runs)
    return {
        "count": len(runs.report),
        "states": dict(Counter(states).most_common()),
        "groups": pd.DataFrame([_line(group) for group in parted]),
        "smoke": sum(len(group.runs.report) for group in parted if group.is_smoke),
        "warnings": _warnings(runs, parted),
        "plans": [_plan(name, parted) for name in experiments],
        "progress": f"Of {_count(len(known_runs))}, begun or planned: {outlook(known_runs)}." if going_on else "",
    }


def _line(group: Group) -> dict[str, object]:
    report = group.runs.report
    return {
        "environment": group.env,
        "budget": group.budget,
        "env steps": f"{group.total:,}",
        "backend": group.backend,
        "maps": ", ".join(group.maps),
        "algorithms": ", ".join(style.in_order(report[names.ALGO])),
        "finished": f"{int((report['state'] == FINISHED).sum())} of {len(report)}",
        "commits": ", ".join(short_commits(report["commit"])),
    }


def _warnings(runs: Runs, parted: Sequence[Group]) -> list[str]:
    """One sentence for each thing that a reader has to know before believing a number; none if all is well."""
    changed = [
        f"{_count(len(g.runs.report))} of {g.env} with {g.total:,} env steps instead of the {g.changed_from:,} of the "
        f"{g.budget} budget: kept apart from the others, and no result"
        for g in parted
        if g.changed_from is not None
    ]
    report, commits = runs.report, short_commits(runs.report["commit"])
    damaged, nan = (int((report[key] > 0).sum()) for key in ("gaps", "nan"))
    found = [
        *changed,
        *sentences(report),
        runs.warning[:1].upper() + runs.warning[1:],
        f"The runs were made at {len(commits)} commits: {', '.join(commits)}" if len(commits) > 1 else "",
        f"Damaged logs: {_count(damaged)}; values in them are lost" if damaged else "",
        f"NaN or infinite values: {_count(nan)}" if nan else "",
    ]
    return [f"{text}." for text in found if text]


def _count(runs: int) -> str:
    return f"{runs} run{'' if runs == 1 else 's'}"


def _plan(name: str, parted: Sequence[Group]) -> dict[str, Any]:
    """How far one experiment of `conf/experiment` has come.

    Returns:
        name, planned (number of its runs), finished (number of finished runs, by "budget, backend"), missing (runs that
        the paper's budget lacks, on the backend that has most) and command (what to type for them).
    """
    params = sweep_params(name)
    env = params["env"]
    maps = params.get("map") or usual_map(env)
    wanted = set(product(maps.split(","), params["algo"].split(","), map(int, params["seed"].split(","))))
    finished, best = {}, 0
    for group in parted:
        done = set(places(group.runs.report[group.runs.report["state"] == FINISHED])) & wanted
        if group.env != env or group.changed_from is not None or not done:
            continue
        finished[f"{group.budget}, {group.backend}"] = len(done)
        best = max(best, len(done) if group.budget == "paper" else 0)
    missing, command = len(wanted) - best, f"{TRAIN} -m +experiment={name}"
    return {"name": name, "planned": len(wanted), "finished": finished, "missing": missing, "command": command}
