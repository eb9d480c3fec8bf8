"""Choose the runs that may share a figure: one map, one budget, one backend, one configuration per algorithm."""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.completeness import describe
from analysis.errors import AnalysisError
from analysis.evidence import Evidence, Experiment
from analysis.identity import configuration_of
from analysis.lengths import canonical
from analysis.runs import DIVERGED, NO_DATA, UNTRAINED, Runs
from macpf import names
from macpf.configuration import compose, sweep_params

_CHOICES = (names.MAP, names.BUDGET, names.BACKEND)


def select(
    runs: Runs,
    env: str,
    map: str | None = None,
    budget: str | None = None,
    backend: str | None = None,
    plan: str | None = None,
) -> Evidence:
    """The runs of one environment, map, budget and backend.

    Args:
        runs: all there are.
        env: name of the environment.
        map, budget, backend: wanted value; None takes the only one there is, and of several maps the one that the
            environment's own settings name.
        plan: the experiment that says which runs there should be; None takes every seed of every algorithm there is.

    Raises:
        AnalysisError: no such runs, several values to choose from, different lengths or games, or several
            configurations of one algorithm.
    """
    report = runs.report[runs.report[names.ENV] == env]
    logged = report[report["counts"]]
    if logged.empty:
        raise AnalysisError(nothing_counts(report, env, "figure4"))
    budget = budget and canonical(env, budget)
    chosen, wanted = logged, {names.MAP: map, names.BUDGET: budget, names.BACKEND: backend}
    for key, value in wanted.items():
        if value is not None:
            chosen = chosen[chosen[key] == value]
    if chosen.empty:
        asked = " ".join(f"--{key} {value}" for key, value in wanted.items() if value is not None)
        raise AnalysisError(f"no runs of {env} with {asked}; there are: {listing(logged)}")
    for key in _CHOICES:
        if key == names.MAP and chosen[key].nunique() > 1:
            usual = chosen[chosen[key] == compose(f"env={env}").map.name]
            chosen = chosen if usual.empty else usual
        if chosen[key].nunique() > 1:
            raise AnalysisError(f"runs of several {key}s, choose one with --{key}; there are: {listing(chosen)}")
    refuse_mixtures(chosen, runs.configs)
    values = {key: str(chosen[key].iloc[0]) for key in _CHOICES}
    # A run without a row never said its budget or backend; its folder told the map.
    others = report[~report["counts"] & (report[names.MAP] == values[names.MAP])]
    for key in (names.BUDGET, names.BACKEND):
        others = others[others[key].isin([values[key], ""])]
    kept, everything = runs.only(chosen), pd.concat([chosen, others])
    algos, seeds = (dict.fromkeys(sorted(everything[key])) for key in (names.ALGO, names.SEED))
    if plan is not None:
        params = sweep_params(plan)
        algos |= dict.fromkeys(params["algo"].split(","))
        seeds |= dict.fromkeys(int(seed) for seed in params["seed"].split(","))
    experiment = Experiment(plan or env, env, (values[names.MAP],), tuple(algos), tuple(sorted(seeds)))
    return Evidence(experiment, chosen, others, kept.frame, kept.configs, runs.excluded)


def nothing_counts(report: pd.DataFrame, what: str, experiment: str) -> str:
    """Why there is nothing to show, and what to type.

    Args:
        report: of the runs that might have been shown, as of `Runs`.
        what: they are of.
        experiment: that makes such runs.
    """
    command = f"python run.py -m +experiment={experiment}"
    if report.empty or (report["state"] == NO_DATA).all():
        return f"no run of {what} has data yet; type: {command}"
    hint = "" if report["state"].isin((DIVERGED, UNTRAINED, NO_DATA)).all() else "; --allow-incomplete shows it so far"
    return f"no run of {what} is whole: {describe(report)}{hint}"


def listing(report: pd.DataFrame) -> str:
    """``--map x --budget y --backend z (5 runs)`` for every combination, ready to be typed."""
    groups = report.groupby(list(_CHOICES), sort=True).size()
    return "; ".join(
        " ".join(f"--{key} {value}" for key, value in zip(_CHOICES, combination, strict=True) if value)
        + f" ({count} run{'s' if count > 1 else ''})"
        for combination, count in groups.items()
        if isinstance(combination, tuple)
    )


def refuse_mixtures(report: pd.DataFrame, configs: Mapping[str, Mapping[str, Any]]) -> None:
    """Runs of one figure have one length; on a map one game; and there a method one configuration but for the seed.

    Args:
        report, configs: as of `Runs`.

    Raises:
        AnalysisError: they do not.
    """
    _refuse_lengths(report)
    _refuse_origins(report)
    for map_, on_map in report.groupby(names.MAP):
        games: dict[str, str] = {}  # a game's settings -> a run that played it
        for run in on_map["run"]:
            games.setdefault(_game(configs[run]), run)
        if len(games) > 1:
            one, other, *_ = map(configuration_of, games.values())
            raise AnalysisError(
                f"on {map_}, {one} and {other} played different games (config.env.make): leave one kind out, "
                f"e.g. --exclude {one}"
            )
        for algo, group in on_map.groupby(names.ALGO):
            configurations = sorted(set(map(configuration_of, group["run"])))
            if len(configurations) > 1:
                raise AnalysisError(
                    f"{algo} on {map_} was run in {len(configurations)} configurations: {', '.join(configurations)}; "
                    f"keep one by leaving out the others, e.g. --exclude {configurations[0]}"
                )


def _refuse_lengths(report: pd.DataFrame) -> None:
    """A budget's name promises a length, but a single run's may have been changed."""
    if report["total"].nunique() > 1:
        groups = report.groupby("total")["run"]
        lengths = "; ".join(f"{total:,} ({len(runs)} runs, e.g. {runs.iloc[0]})" for total, runs in groups)
        raise AnalysisError(f"runs of one budget differ in env steps: {lengths}; leave one kind out with --exclude")


def _refuse_origins(report: pd.DataFrame) -> None:
    """Two people's runs of one key are two results, and nobody can tell which is meant."""
    keys = report["run"].str.partition("@")[0]
    twice = report[keys.duplicated(keep=False)]
    if len(twice):
        one, other = twice["run"].iloc[:2]
        raise AnalysisError(
            f"{one} and {other} are one run begun by two people, or twice: keep one by leaving out the other, "
            f"e.g. --exclude @{other.partition('@')[2]}"
        )


def _game(config: Mapping[str, Any]) -> str:
    """How the environment was made, as text; which backend was asked for does not count, as runs say which it was."""
    settings = config.get(names.CONFIG)
    env = settings.get(names.ENV) if isinstance(settings, dict) else None
    made = env.get("make") if isinstance(env, dict) else None
    return json.dumps({**made, names.BACKEND: None} if isinstance(made, dict) else None, sort_keys=True, default=str)
