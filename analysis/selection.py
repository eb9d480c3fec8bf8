"""Choose the runs that may share a figure: one map, one budget, one backend, one configuration per algorithm."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.errors import AnalysisError
from analysis.runs import NO_DATA, Runs
from macpf import names
from macpf.configuration import compose

_CHOICES = (names.MAP, names.BUDGET, names.BACKEND)


@dataclass(frozen=True)
class Selection:
    """Runs that may share a figure.

    Attributes:
        map, budget, backend: the ones chosen.
        frame, report, configs: as of ``Runs``, of the chosen runs. The report also lists runs of the map without data.
        excluded: what was left out on request.
    """

    map: str
    budget: str
    backend: str
    frame: pd.DataFrame
    report: pd.DataFrame
    configs: dict[str, dict[str, Any]]
    excluded: tuple[str, ...] = ()


def select(
    runs: Runs,
    env: str,
    map: str | None = None,
    budget: str | None = None,
    backend: str | None = None,
    exclude: Sequence[str] = (),
) -> Selection:
    """The runs of one environment, map, budget and backend.

    Args:
        runs: all there are.
        env: name of the environment.
        map, budget, backend: wanted value; None takes the only one there is, and of several maps the one that the
            environment's own settings name.
        exclude: runs whose key contains one of these are left out.

    Raises:
        AnalysisError: no such runs, several values to choose from, different lengths, or several configurations of
            one algorithm.
    """
    report = runs.report
    report = report[[not any(text in run for text in exclude) for run in report["run"]]]
    report = report[report[names.ENV] == env]
    logged = report[report["state"] != NO_DATA]
    if logged.empty:
        raise AnalysisError(
            f"no runs of {env} with data: make some with `make demo` or `python run.py -m +experiment=figure4`; "
            "`python -m analysis completeness` lists what there is"
        )
    chosen, wanted = logged, {names.MAP: map, names.BUDGET: budget, names.BACKEND: backend}
    for key, value in wanted.items():
        if value is not None:
            chosen = chosen[chosen[key] == value]
    if chosen.empty:
        asked = " ".join(f"--{key} {value}" for key, value in wanted.items() if value is not None)
        raise AnalysisError(f"no runs of {env} with {asked}; there are: {_listing(logged)}")
    for key in _CHOICES:
        if key == names.MAP and chosen[key].nunique() > 1:
            usual = chosen[chosen[key] == compose(f"env={env}").map.name]
            chosen = chosen if usual.empty else usual
        if chosen[key].nunique() > 1:
            raise AnalysisError(f"runs of several {key}s, choose one with --{key}; there are: {_listing(chosen)}")
    _refuse_mixed_lengths(chosen)
    _refuse_mixed_configurations(chosen)
    values = {key: str(chosen[key].iloc[0]) for key in _CHOICES}
    # A run without a row never said its budget or backend; its folder told the map.
    silent = report[(report["state"] == NO_DATA) & (report[names.MAP] == values[names.MAP])]
    kept = set(chosen["run"])
    return Selection(
        **values,
        frame=runs.frame[runs.frame["run"].isin(kept)],
        report=pd.concat([chosen, silent], ignore_index=True),
        configs={run: config for run, config in runs.configs.items() if run in kept},
        excluded=tuple(exclude),
    )


def _listing(report: pd.DataFrame) -> str:
    """``--map x --budget y --backend z (5 runs)`` for every combination, ready to be typed."""
    groups = report.groupby(list(_CHOICES), sort=True).size()
    return "; ".join(
        " ".join(f"--{key} {value}" for key, value in zip(_CHOICES, combination, strict=True) if value)
        + f" ({count} run{'s' if count > 1 else ''})"
        for combination, count in groups.items()
        if isinstance(combination, tuple)
    )


def _refuse_mixed_lengths(report: pd.DataFrame) -> None:
    """A budget's name promises a length, but a single run's may have been changed."""
    if report["total"].nunique() > 1:
        groups = report.groupby("total")["run"]
        lengths = "; ".join(f"{total:,} ({len(runs)} runs, e.g. {runs.iloc[0]})" for total, runs in groups)
        raise AnalysisError(f"runs of one budget differ in env steps: {lengths}; leave one kind out with --exclude")


def _refuse_mixed_configurations(report: pd.DataFrame) -> None:
    """Averaging over seeds is sound only if nothing but the seed differs.

    A run key is its configuration's name and ``-s<seed>``.
    """
    for algo, group in report.groupby(names.ALGO):
        runs = zip(group["run"], group[names.SEED], strict=True)
        configurations = sorted({run.removesuffix(f"-s{seed}") for run, seed in runs})
        if len(configurations) > 1:
            raise AnalysisError(
                f"{algo} was run in {len(configurations)} configurations: {', '.join(configurations)}; "
                f"keep one by leaving out the others, e.g. --exclude {configurations[0]}"
            )
