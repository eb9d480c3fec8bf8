"""Which runs are not whole, in words: for every caption, table and file that would otherwise hide them."""

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from analysis import style
from analysis.runs import DIVERGED, FINISHED, INCOMPLETE, NO_DATA, UNTRAINED
from macpf import names

#: Runs that a sentence names before it counts.
NAMED = 6


def flaw(run: Mapping[Hashable, Any]) -> str:
    """What keeps a run from being whole, e.g. ``incomplete, 142 of 201 evaluations``; empty if it is whole."""
    state = str(run["state"])
    if state == FINISHED:
        return ""
    if state == INCOMPLETE:
        counts = f"{run['found']} of {run['expected']} evaluations"
        return f"{state}, {counts if run['expected'] > 0 else 'its log is damaged'}"
    if state in (DIVERGED, UNTRAINED, NO_DATA):
        return state
    return f"{state} at {run[names.ENV_STEP]:,} of {run['total']:,} env steps"


def flaws(report: pd.DataFrame) -> "pd.Series[str]":
    """The flaw of every run in a report, as of `Runs`, by its index."""
    return pd.Series([flaw(run) for run in report.to_dict("records")], index=report.index, dtype=str)


def describe(report: pd.DataFrame, maps: int | None = None) -> str:
    """Every run that is not whole, by method and seed; empty if all are.

    Args:
        report: of the runs, as of `Runs`.
        maps: on how many maps runs are shown (None: those of the report); where it is one, nobody needs its name.
    """
    broken = report[flaws(report) != ""].sort_values([names.MAP, names.ALGO, names.SEED])
    several = (report[names.MAP].nunique() if maps is None else maps) > 1
    named = []
    for run in broken.to_dict("records"):
        place = f" on {run[names.MAP]}" if several else ""
        named.append(f"{style.label(run[names.ALGO])}{place} seed {run[names.SEED]} ({flaw(run)})")
    more = f"; and {len(named) - NAMED} more, see `python -m analysis completeness`" if len(named) > NAMED else ""
    return "; ".join(named[:NAMED]) + more


def sentences(report: pd.DataFrame) -> list[str]:
    """What a caption has to say of runs that are not whole: those left out, and those that count all the same."""
    counted, others = report[report["counts"]], report[~report["counts"]]
    maps = report[names.MAP].nunique()
    found = {"Left out": describe(others, maps), "Not whole, but counted on request": describe(counted, maps)}
    return [f"{what}: {who}" for what, who in found.items() if who]


def by_cell(report: pd.DataFrame, keys: list[str]) -> "pd.Series[str]":
    """For files: the runs of each cell that are not whole, e.g. ``seed 3: diverged``, by the values of `keys`.

    Those that count all the same say so.
    """
    told = report.assign(flaw=flaws(report))
    told = told[told["flaw"] != ""].sort_values(names.SEED)
    lines = zip(told[names.SEED], told["flaw"], told["counts"], strict=True)
    told = told.assign(flaw=[f"seed {seed}: {flaw}{' (counted)' if counts else ''}" for seed, flaw, counts in lines])
    return told.groupby(keys)["flaw"].agg("; ".join)
