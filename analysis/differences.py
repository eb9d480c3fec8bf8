"""Users' own experiments: any file of conf/experiment, or any runs, with methods named by the settings that differ."""

import difflib
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
import yaml

from analysis import AnalysisError
from analysis.evidence import Evidence, Experiment
from analysis.run_facts import canonical, of_budget, setting
from analysis.runs import Runs
from analysis.selection import find
from macpf import names
from macpf.choices import sweep_params

#: Separates an algorithm's name from the settings that distinguish it from others of that name.
MARK = "|"
#: Settings that do not belong to a method.
_NO_METHOD = {*names.NOT_RESULTS, "map", "env.make.task", "hydra"}
#: Settings that are compared with a run's identity, each with its column in `Runs.report`.
_IDENTITY = {"env": names.ENV, "map": names.MAP, "algo": names.ALGO, "budget": names.BUDGET, "seed": names.SEED}


def settings(config: Mapping[str, Any]) -> dict[str, str]:
    """All settings of a run as text, by their dotted names."""
    found: dict[str, str] = {}
    left = [("", setting(config, names.CONFIG))]
    for name, value in left:  # the list grows meanwhile
        if isinstance(value, dict) and value:
            left += [(f"{name}.{key}".lstrip("."), part) for key, part in value.items()]
        elif name:
            found[name] = _text(value)
    return found


def apart(runs: Runs) -> Runs:
    """The same runs; several configurations of one algorithm become methods that are named by the settings that differ.

    A setting that differs only between maps (task settings in conf/) is not part of the name. If no logged setting
    differs, the name has the configuration's hash.
    """
    report = runs.report.copy()
    of_run = {run: settings(runs.configs.get(run, {})) for run in report["run"]}
    hashes = report["run"].map(lambda run: names.configuration(run).rsplit("-", 1)[-1])
    called: dict[str, str] = {}
    for (_, algo), group in report.assign(kind=hashes).groupby([names.ENV, names.ALGO]):
        if group.groupby(names.MAP)["kind"].nunique().max() < 2:
            continue
        keys = _differing(group, of_run)
        for run, kind in zip(group["run"], group["kind"], strict=True):
            words = ", ".join(f"{short}={_value(of_run[run], key)}" for key, short in keys.items())
            called[run] = f"{algo}{MARK}{words or kind}"
    if not called:
        return runs
    report[names.ALGO] = [called.get(run, algo) for run, algo in zip(report["run"], report[names.ALGO], strict=True)]
    renamed = runs.frame["run"].map(called)
    return replace(runs, report=report, frame=runs.frame.assign(algo=renamed.fillna(runs.frame[names.ALGO])))


def _differing(group: pd.DataFrame, of_run: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The settings in which runs on one map differ, with the shortest names that are unique.

    Start and end of a schedule are one setting, of the schedule's name.
    """
    differing: set[str] = set()
    for _, on_map in group.groupby(names.MAP):
        table = pd.DataFrame([of_run[run] for run in on_map["run"]])
        differing |= {str(key) for key in table if table[key].nunique(dropna=False) > 1}
    of_method = {
        key.removesuffix(".start").removesuffix(".end")
        for key in differing
        if not f"{key}.".startswith(tuple(f"{no}." for no in _NO_METHOD))
    }
    ends = Counter(end for key in of_method for end in _ends(key))
    return {key: next((end for end in _ends(key) if ends[end] == 1), key) for key in sorted(of_method)}


def _ends(key: str) -> list[str]:
    """The names by which a setting may be called, from ``lr`` to ``algo.learner.lr``."""
    parts = key.split(".")
    return [".".join(parts[k:]) for k in reversed(range(len(parts)))]


def _value(of_run: Mapping[str, str], key: str) -> str:
    """A setting's value; that of a schedule is ``0.5 to 0.05``, or one number if it is constant."""
    values = [of_run[name] for name in (key, f"{key}.start", f"{key}.end") if name in of_run]
    return " to ".join(dict.fromkeys(values)) or "unset"


def chosen(
    runs: Runs, name: str | None, where: Mapping[str, str], budget: str | None = None, backend: str | None = None
) -> Evidence:
    """The runs of an experiment of conf/experiment (None: of all runs) that have the given settings.

    `where` has the wanted values by setting (``map``, ``algo.learner.lr``), several separated by commas.

    Raises:
        AnalysisError: no run has these settings or logged one of that name, the runs are of several environments, or
            see `find`.
    """
    params = sweep_params(name) if name else {}
    _refuse_unknown(where, runs)
    wanted = {key.lstrip("+"): _values(text) for key, text in {**params, **where}.items()}
    report = runs.report[[_fits(run, runs, wanted) for run in runs.report.to_dict("records")]]
    if budget:  # a run without a row has not logged its budget
        report = report[of_budget(report, budget) | (report[names.BUDGET] == "")]
    if report.empty:
        asked = ", ".join(f"{key}={','.join(map(str, values))}" for key, values in wanted.items())
        raise AnalysisError(f"no run with {asked or 'any settings'}; `python -m analysis completeness` lists them")
    if report[names.ENV].nunique() > 1:
        envs = sorted(report[names.ENV].unique())
        raise AnalysisError(f"runs of several environments, {', '.join(envs)}: type --where env={envs[0]}")
    told = apart(runs.only(report))
    found = told.report
    asked_for = [str(algo) for algo in wanted.get("algo", []) if not (report[names.ALGO] == algo).any()]
    maps = [str(map_) for map_ in wanted.get("map", [])] or sorted(found[names.MAP].unique())
    seeds = [int(seed) for seed in wanted.get("seed", [])] or sorted(found[names.SEED].unique().tolist())
    algos = [*dict.fromkeys(found[names.ALGO]), *asked_for]
    plan = tuple(maps), tuple(algos), tuple(seeds)
    experiment = Experiment(name or "curves", str(report[names.ENV].iloc[0]), *plan, of_runs=name is None)
    return find(told, experiment, budget, backend)


def _refuse_unknown(where: Mapping[str, str], runs: Runs) -> None:
    """Refuse a setting that no run logged: it would select nothing and leave out nothing."""
    named = [name for key in where if (name := key.lstrip("+")) not in _IDENTITY]
    known = set().union(*(settings(config) for config in runs.configs.values())) if named else set()
    for name in named:
        if known and name not in known:
            close = difflib.get_close_matches(name, sorted({*known, *_IDENTITY}), n=1)
            meant = f"did you mean {close[0]}?" if close else "their config.yaml lists what they have"
            raise AnalysisError(f"no run logged a setting {name}; {meant}")


def _fits(run: Mapping[Any, Any], runs: Runs, wanted: Mapping[str, list[Any]]) -> bool:
    """Whether a line of the report has one of the wanted values of each setting; one that it did not log may be any."""
    own = settings(runs.configs.get(run["run"], {})) if set(wanted) - set(_IDENTITY) else {}
    for key, values in wanted.items():
        if key == names.BUDGET:
            values = [canonical(run[names.ENV], str(value)) for value in values]
        if key in _IDENTITY:
            if str(run[_IDENTITY[key]]) not in map(str, values):
                return False
        elif key in own and own[key] not in map(_text, values):
            return False
    return True


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str).strip('"')


def _values(text: str) -> list[Any]:
    """The values that a sweep tries: separated by commas outside brackets."""
    parts = re.findall(r"(?:\{[^{}]*\}|\[[^\[\]]*\]|[^,])+", text)
    return [yaml.safe_load(part) for part in parts]
