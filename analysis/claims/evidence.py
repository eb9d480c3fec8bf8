"""What the claims look at: the paper's own numbers, and those of finished runs."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis import paper
from analysis.claims.claim import Evidence
from analysis.claims.curves import THIRDS
from analysis.claims.games import CAPTURED
from analysis.experiments import SMOKE, Experiment, Found, find
from analysis.figures import figure1_data, style
from analysis.figures.figure4_data import MACPF, joint_policy, payoff_of
from analysis.runs import FINISHED, Runs
from analysis.selection import Selection, select
from analysis.tables.beside_paper import cells
from analysis.tables.outcomes import final_returns, outcome_table
from macpf import names
from macpf.configuration import compose

_TABLES, _CURVES = ("table1", "table2"), ("figure5", "figure6", "figure7", "figure9")
_MATRIX_GAME = "matrix_game"
#: Environments with one backend, which nobody chooses.
_ONE_BACKEND = (_MATRIX_GAME, figure1_data.ENV)


def published(experiment: str) -> pd.DataFrame | None:
    """The paper's numbers as lines of evidence; None where it only has a figure."""
    if experiment in _TABLES:
        table = paper.table(experiment).assign(seeds=paper.SEEDS)
        marks = [paper.bold(part["mean"], part["std"]) for _, part in table.groupby(names.MAP, sort=False)]
        return table.assign(method=table[names.ALGO].map(style.label), bold=pd.concat(marks))
    if experiment == "figure4":
        ends = paper.outcomes().mul(paper.SEEDS / 100).fillna(0)  # that some of MAPPO's are worse it does not say
        between = paper.SEEDS - ends["optimum"] - ends["worse"]
        return ends.assign(suboptimal=between, nan=0, seeds=paper.SEEDS).reset_index()
    return None


def gather(
    runs: Runs,
    budget: str | None = None,
    backend: str | None = None,
    exclude: Sequence[str] = (),
    map: str | None = None,
) -> dict[str, Evidence]:
    """The evidence of every experiment that has finished runs; smoke runs are never evidence.

    Args:
        runs: all there are.
        budget, backend: wanted value; None takes the only one there is of each experiment.
        exclude: runs whose key contains one of these are left out.
        map: the payoff of the matrix game; None takes that of `conf/experiment/figure4.yaml`.

    Raises:
        AnalysisError: an experiment has runs of several budgets, backends or configurations to choose from.
    """
    wanted = (runs.report["state"] == FINISHED) & (runs.report[names.BUDGET] != SMOKE)
    for key, choice in ((names.BUDGET, budget), (names.BACKEND, backend)):
        if choice is not None:
            any_ = (key == names.BACKEND) & runs.report[names.ENV].isin(_ONE_BACKEND)
            wanted &= (runs.report[key] == choice) | any_
    wanted &= np.array([not any(text in run for text in exclude) for run in runs.report["run"]], dtype=bool)
    finished = replace(runs, report=runs.report[wanted])
    evidence = {}
    for name in (*_TABLES, *_CURVES):
        experiment = Experiment.read(name)
        if _has(finished.report, experiment):
            found = find(finished, experiment)
            lines = _cells(found) if name in _TABLES else curve_lines(found)
            evidence[name] = Evidence(lines, *found.report[[names.BUDGET, names.BACKEND]].iloc[0])
    map = map or str(compose(f"env={_MATRIX_GAME}").map.name)
    games = finished.report[finished.report[names.ENV] == _MATRIX_GAME]
    if (games[names.MAP] == map).any():
        selection = select(finished, _MATRIX_GAME, map)
        evidence["figure4"] = Evidence(outcome_lines(selection), selection.budget, selection.backend)
    goals = finished.report[
        (finished.report[names.ENV] == figure1_data.ENV) & finished.report["run"].isin(_tracked(runs))
    ]
    if len(goals):
        selection = select(replace(finished, report=goals), figure1_data.ENV)
        lines = figure1_data.reached(figure1_data.episodes_of(selection), figure1_data.Game.of(selection))
        evidence["figure1"] = Evidence(lines, selection.budget, selection.backend)
    return evidence


def _tracked(runs: Runs) -> set[str]:
    """The runs that logged where sampled episodes went."""
    return set(runs.frame["run"][runs.frame["metric"] == names.sampled(0, 0, "x")])


def _has(report: pd.DataFrame, experiment: Experiment) -> bool:
    of_env = report[report[names.ENV] == experiment.env]
    return bool((of_env[names.MAP].isin(experiment.maps) & of_env[names.ALGO].isin(experiment.algos)).any())


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
                scores = found.scores(map_, algo, policy)
                means = {"final": found.final(map_, algo, policy), "training": scores.mean(skipna=False)}
                thirds = np.array_split(np.arange(len(scores)), len(THIRDS))
                means |= {name: scores.iloc[rows].mean(skipna=False) for name, rows in zip(THIRDS, thirds, strict=True)}
                part = pd.DataFrame(means)
                parts.append(part.assign(map=map_, method=style.label(algo, policy), seed=seeds.reindex(part.index)))
    return pd.concat(parts, ignore_index=True)


def outcome_lines(selection: Selection) -> pd.DataFrame:
    """One line for each method: seeds, optimum, suboptimal, worse, nan, and both.

    ``both`` counts the runs whose dependent policy keeps every optimum; of other methods it is 0.
    """
    payoff = payoff_of(selection)
    table = outcome_table(final_returns(selection), payoff.tolist()).assign(both=0)
    own = selection.report[(selection.report[names.ALGO] == MACPF) & (selection.report["state"] == FINISHED)]
    joints = [joint_policy(selection, own.iloc[[k]], payoff.shape) for k in range(len(own))]
    optimal = payoff == payoff.max()
    both = sum(joint is not None and bool((joint.probabilities[optimal] >= CAPTURED).all()) for joint in joints)
    table.loc[table["method"] == style.label(MACPF, names.DEPENDENT), "both"] = both
    return table
