"""Choose the runs that may share a figure: one budget, one backend, one length, one configuration per algorithm."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import pandas as pd

from analysis import AnalysisError, style
from analysis.evidence import Evidence, Experiment, describe
from analysis.run_facts import canonical, setting
from analysis.runs import BEGUN_TWICE, DIVERGED, NO_DATA, UNTRAINED, Runs, begun_twice
from macpf import names
from macpf.choices import choices, sweep_params

#: What runs log of the real game, on which their results depend: its build, the map's file, and the package.
REAL_GAME = ("game_build", "map_sha256", "smac_version")


def find(runs: Runs, experiment: Experiment, budget: str | None = None, backend: str | None = None) -> Evidence:
    """The runs of an experiment; `budget` and `backend` of None take the only one there is.

    Raises:
        AnalysisError: there are none, or they cannot share a figure: they are of several budgets, backends, lengths or
            games, or an algorithm has several configurations.
    """
    report = runs.report
    report = report[report[names.MAP].isin(experiment.maps) & report[names.ALGO].isin(experiment.algos)]
    report = report[report[names.ENV] == experiment.env]
    chosen = of_kind(runs, report, (experiment.name, experiment.name), budget=budget, backend=backend)
    return replace(chosen, experiment=experiment)


def select(
    runs: Runs,
    env: str,
    map: str | None = None,
    budget: str | None = None,
    backend: str | None = None,
    plan: str | None = None,
) -> Evidence:
    """The runs of one environment, map, budget and backend.

    None takes the only one there is, or of several maps the environment's default. With `plan`, the algorithms and
    seeds of that experiment are planned in addition to those of the runs.

    Raises:
        AnalysisError: there are none, or several maps to choose from, or see `find`.
    """
    report = runs.report[runs.report[names.ENV] == env]
    chosen = of_kind(runs, report, (env, plan or "figure4"), map=map, budget=budget, backend=backend)
    there = chosen.experiment
    if plan is None:
        return chosen
    params = sweep_params(plan)
    algos = style.in_order([*there.algos, *params["algo"].split(",")])
    seeds = tuple(sorted({*there.seeds, *(int(seed) for seed in params["seed"].split(","))}))
    return replace(chosen, experiment=replace(there, name=plan, algos=algos, seeds=seeds, of_runs=False))


def of_kind(runs: Runs, report: pd.DataFrame, called: tuple[str, str], **wanted: str | None) -> Evidence:
    """The runs of one kind among some lines of a report; every seed of each algorithm on each map is planned.

    Args:
        runs: all runs.
        report: the lines, of one environment.
        called: for messages, what the runs are of, and the experiment that makes such runs.
        wanted: see `select`; without `map`, all maps are taken.

    Raises:
        AnalysisError: see `find`.
    """
    what, experiment = called
    env = str(report[names.ENV].iloc[0]) if len(report) else ""
    if wanted[names.BUDGET]:
        wanted[names.BUDGET] = canonical(env, wanted[names.BUDGET])
    logged = report[report["counts"]]
    if logged.empty:
        raise AnalysisError(nothing_counts(report, what, experiment))
    chosen = logged
    for key, value in wanted.items():
        chosen = chosen if value is None else chosen[chosen[key] == value]
    if chosen.empty:
        asked = " ".join(f"--{key} {value}" for key, value in wanted.items() if value is not None)
        raise AnalysisError(f"no runs of {what} with {asked}; there are: {_listing(logged, list(wanted))}")
    for key in wanted:
        if key == names.MAP and chosen[key].nunique() > 1:
            usual = chosen[chosen[key] == usual_map(env)]
            chosen = chosen if usual.empty else usual
        if chosen[key].nunique() > 1:
            there = _listing(chosen, list(wanted))
            raise AnalysisError(f"runs of several {key}s, choose one with --{key}; there are: {there}")
    refuse_mixtures(chosen, runs.configs)
    others = report[~report["counts"]]
    for key in wanted:
        # A run without a row has not logged its budget or backend; its map is known from its folder.
        others = others[others[key].isin([chosen[key].iloc[0], *([""] if key != names.MAP else [])])]
    together = pd.concat([chosen, others])
    maps, algos, seeds = (tuple(sorted(set(together[key]))) for key in (names.MAP, names.ALGO, names.SEED))
    plan = Experiment(env, env, maps, algos, seeds, of_runs=True)
    return Evidence(**vars(runs.only(chosen)), experiment=plan, others=others)


@cache
def usual_map(env: str) -> str:
    """The default map of an environment."""
    from macpf.configuration import compose  # Hydra is slow to load

    return str(compose(f"env={env}").map.name)


def nothing_counts(report: pd.DataFrame, what: str, experiment: str) -> str:
    """Why none of these lines of `Runs.report` is shown, and what to type; see `of_kind` for the others."""
    if report.empty or (report["state"] == NO_DATA).all():
        if experiment not in choices("experiment"):
            return "none of these runs has data yet; the commands that began them go on with them"
        return f"no run of {what} has data yet; type: python run.py -m +experiment={experiment}"
    hint = "" if report["state"].isin((DIVERGED, UNTRAINED, NO_DATA)).all() else "; --allow-incomplete shows it so far"
    return f"no run of {what} is whole: {describe(report)}{hint}"


def _listing(report: pd.DataFrame, keys: list[str]) -> str:
    """``--map x --budget y --backend z (5 runs)`` for every combination, ready to be typed."""
    words = (" ".join(f"--{key} {line[key]}" for key in keys if line[key]) for line in report.to_dict("records"))
    return "; ".join(
        f"{kind} ({count} run{'s' if count > 1 else ''})" for kind, count in sorted(Counter(words).items())
    )


def refuse_mixtures(report: pd.DataFrame, configs: Mapping[str, Mapping[str, Any]]) -> None:
    """Require one length of a figure's runs, on each map one game, and there one configuration (but for the seed).

    Raises:
        AnalysisError: the runs differ in one of these, or two of them are one run with two origins.
    """
    if report["total"].nunique() > 1:  # a budget has one length, but a single run's may have been changed
        groups = report.groupby("total")["run"]
        lengths = "; ".join(f"{total:,} ({len(runs)} runs, e.g. {runs.iloc[0]})" for total, runs in groups)
        raise AnalysisError(f"runs of one budget differ in env steps: {lengths}; leave one kind out with --exclude")
    if twice := begun_twice(report):  # two origins of one key are two results, and it is unknown which is meant
        raise AnalysisError(
            f"{' and '.join(twice)} {BEGUN_TWICE}: keep one by leaving out the other, "
            f"e.g. --exclude @{twice[1].partition('@')[2]}"
        )
    for map_, on_map in report.groupby(names.MAP):
        games = on_map["run"][~on_map["run"].map(lambda run: _game(configs[run])).duplicated()]
        if len(games) > 1:
            one, other, *_ = map(names.configuration, games)
            raise AnalysisError(
                f"on {map_}, {one} and {other} played different games (config.env.make, {', '.join(REAL_GAME)}): "
                f"leave one kind out, e.g. --exclude {one}"
            )
        for algo, group in on_map.groupby(names.ALGO):
            configurations = sorted(set(map(names.configuration, group["run"])))
            if len(configurations) > 1:
                raise AnalysisError(
                    f"{algo} on {map_} was run in {len(configurations)} configurations: {', '.join(configurations)}; "
                    f"keep one by leaving out the others, e.g. --exclude {configurations[0]}"
                )


def _game(config: Mapping[str, Any]) -> str:
    """What made the environment, as text, without the backend asked for: runs log the one they used."""
    made = setting(config, names.CONFIG, names.ENV, "make")
    made = {**made, names.BACKEND: None} if isinstance(made, dict) else None
    return json.dumps([made, *(config.get(key) for key in REAL_GAME)], sort_keys=True, default=str)
