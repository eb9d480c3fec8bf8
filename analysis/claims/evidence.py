"""What the claims look at: the paper's own numbers, and those of finished runs."""

from dataclasses import replace

import numpy as np
import pandas as pd

from analysis import paper, style
from analysis.claims import curves, games, tables
from analysis.claims.claim import NOTHING, Evidence
from analysis.claims.curves import THIRDS
from analysis.claims.games import CAPTURED
from analysis.errors import AnalysisError
from analysis.evidence import SMOKE, Experiment
from analysis.evidence import Evidence as Found
from analysis.experiments import find
from analysis.figures import figure1_data
from analysis.figures.figure4_data import MACPF, joint_policy, payoff_of
from analysis.lengths import full_length, of_budget
from analysis.runs import Runs
from analysis.selection import select
from analysis.tables.beside_paper import cells
from analysis.tables.outcomes import final_returns, outcome_table
from macpf import names
from macpf.configuration import compose

_TABLES, _CURVES = ("table1", "table2"), ("figure5", "figure6", "figure7", "figure9")
_MATRIX_GAME = "matrix_game"
#: Environments with one backend, which nobody chooses, by experiment.
_GAMES = {"figure4": _MATRIX_GAME, "figure1": figure1_data.ENV}


def published(experiment: str) -> pd.DataFrame | None:
    """The paper's numbers as lines of evidence; None where it only has a figure."""
    if experiment in _TABLES:
        return tables.published(experiment)
    return games.published() if experiment == "figure4" else None


def gather(
    runs: Runs,
    budget: str | None = None,
    backend: str | None = None,
    map: str | None = None,
) -> dict[str, Evidence]:
    """The evidence of every experiment that has runs of methods and maps that its claims name.

    Only runs that count are evidence, smoke runs and runs of another length than their budget's never; the evidence
    names the others of its kind, too. Where runs cannot be chosen, as they are of several budgets, backends or
    configurations, it says so.

    Args:
        runs: all there are.
        budget, backend: wanted value; None takes the only one there is of each experiment.
        map: the payoff of the matrix game; None takes the one that its own settings name.
    """
    report = runs.report
    wanted = (report[names.BUDGET] != SMOKE) & _whole(report)
    if budget is not None:
        wanted &= of_budget(report, budget)
    if backend is not None:
        wanted &= (report[names.BACKEND] == backend) | report[names.ENV].isin(_GAMES.values())
    if _MATRIX_GAME in report[names.ENV].array:
        map = map or str(compose(f"env={_MATRIX_GAME}").map.name)
        wanted &= (report[names.ENV] != _MATRIX_GAME) | (report[names.MAP] == map)
    judging = report["counts"] & ((report[names.ENV] != figure1_data.ENV) | report["run"].isin(_tracked(runs)))
    evidence = {}
    for name in (*_TABLES, *_CURVES, *_GAMES):
        named = wanted & _named(report, name)
        if named.any():
            evidence[name] = _judging(name, replace(runs, report=report[named & judging]), report[named])
    return evidence


def _judging(name: str, judges: Runs, report: pd.DataFrame) -> Evidence:
    """The evidence of the runs that count, with the report of all runs of their kind."""
    if judges.report.empty:
        return Evidence(pd.DataFrame(), refused=NOTHING, report=report)
    try:
        found = _evidence(name, judges)
    except AnalysisError as error:
        return Evidence(pd.DataFrame(), refused=str(error), report=report)
    kind = report[names.BUDGET].isin([found.budget, ""]) & report[names.BACKEND].isin([found.backend, ""])
    return replace(found, report=report[kind])


def _whole(report: pd.DataFrame) -> "pd.Series[bool]":
    """Runs of their budget's length, or of a budget whose length nobody knows."""
    lengths = zip(report[names.ENV], report[names.BUDGET], report["total"], strict=True)
    whole = [full_length(env, budget) in (None, total) for env, budget, total in lengths]
    return pd.Series(whole, index=report.index, dtype=bool)


def _named(report: pd.DataFrame, experiment: str) -> "pd.Series[bool]":
    """Runs of the methods and maps that the claims on an experiment name."""
    env = _GAMES.get(experiment) or Experiment.read(experiment).env
    named = pd.Series(False, index=report.index)
    for claim in (*games.CLAIMS, *tables.CLAIMS, *curves.CLAIMS):
        if claim.experiment == experiment:
            named[claim.runs(report).index] = True
    return named & (report[names.ENV] == env)


def _evidence(name: str, runs: Runs) -> Evidence:
    if name in _GAMES:
        selection = select(runs, _GAMES[name])
        lines = outcome_lines(selection) if name == "figure4" else _goal_lines(selection)
        return Evidence(lines, selection.budget, selection.backend)
    found = find(runs, Experiment.read(name))
    lines = _cells(found) if name in _TABLES else curve_lines(found)
    return Evidence(lines, *found.report[[names.BUDGET, names.BACKEND]].iloc[0])


def _tracked(runs: Runs) -> set[str]:
    """The runs that logged where sampled episodes went."""
    return set(runs.frame["run"][runs.frame["metric"] == names.sampled(0, 0, "x")])


def _goal_lines(selection: Found) -> pd.DataFrame:
    return figure1_data.reached(figure1_data.episodes_of(selection), figure1_data.Game.of(selection))


def _cells(found: Found) -> pd.DataFrame:
    table = cells(found, paper.table(found.experiment.name))
    return table.assign(method=table[names.ALGO].map(style.label))


def curve_lines(found: Found) -> pd.DataFrame:
    """One line for each run and policy: map, method, seed, final, training, early, middle, late (see `curves`)."""
    seeds = found.report.set_index("run")[names.SEED]
    parts = []
    for map_ in found.experiment.maps:
        for algo in found.experiment.algos:
            for policy in (names.INDEPENDENT, names.DEPENDENT):
                scores = found.scores(map_, algo, policy)  # a lost evaluation is a hole, which a run's mean leaves out
                means = {"final": found.final(map_, algo, policy), "training": scores.mean()}
                thirds = np.array_split(np.arange(len(scores)), len(THIRDS))
                means |= {name: scores.iloc[rows].mean() for name, rows in zip(THIRDS, thirds, strict=True)}
                part = pd.DataFrame(means)
                parts.append(part.assign(map=map_, method=style.label(algo, policy), seed=seeds.reindex(part.index)))
    return pd.concat(parts, ignore_index=True)


def outcome_lines(selection: Found) -> pd.DataFrame:
    """One line for each method: seeds, optimum, suboptimal, worse, nan, and both.

    ``both`` counts the runs whose dependent policy keeps every optimum; of other methods it is 0.
    """
    payoff = payoff_of(selection)
    table = outcome_table(final_returns(selection), payoff.tolist()).assign(both=0)
    own = selection.all[(selection.all[names.ALGO] == MACPF) & selection.all["counts"]]
    joints = [joint_policy(selection, own.iloc[[k]], payoff.shape) for k in range(len(own))]
    optimal = payoff == payoff.max()
    both = sum(joint is not None and bool((joint.probabilities[optimal] >= CAPTURED).all()) for joint in joints)
    table.loc[table["method"] == style.label(MACPF, names.DEPENDENT), "both"] = both
    return table
