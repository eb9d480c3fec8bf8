"""The page's sections that consist of figures and tables: claims, Tables 1 and 2, and the two games.

Each part of a section is a dict for a template: what is shown, and the group of runs it is from.
"""

import base64
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import matplotlib as mpl
import pandas as pd

from analysis import AnalysisError, style
from analysis.beside_paper import cells
from analysis.claims.verdicts import game_envs, gather, ledger
from analysis.comparison import aggregates, caption, compare, page
from analysis.evidence import Evidence, Experiment
from analysis.figures import figure1
from analysis.figures.figure1_data import ENV as MULTI_GOAL
from analysis.figures.figure1_data import Game, episodes_of, reached
from analysis.figures.figure4 import collect, variants
from analysis.outcomes import ENV as MATRIX_GAME
from analysis.outcomes import joint_policy, outcomes
from analysis.report.groups import Group
from analysis.runs import Runs
from analysis.selection import find, select
from macpf import names

TABLES = {"table1": "Table 1: particle tasks, reward per episode", "table2": "Table 2: SMAC maps, win rate"}
_DPI = 110
Part = dict[str, Any]


def ledgers(runs: Runs, parted: Sequence[Group]) -> list[Part]:
    """One ledger for each budget and backend with results: title (both) and lines; if there is none, an empty one.

    The games have backends of their own; their runs join the ledgers of their budget.
    """
    judges, games = [group for group in parted if group.is_result], game_envs()
    kinds = {(group.budget, group.backend) for group in judges if group.env not in games}
    kinds |= {(g.budget, g.backend) for g in judges if g.budget not in {budget for budget, _ in kinds}}
    kept = {run for group in judges for run in group.runs.report["run"]}
    results = runs.only(runs.report[runs.report["run"].isin(kept)])
    judged = [
        {"title": f"{budget} budget, {backend} backend", "lines": ledger(gather(results, budget, backend))}
        for budget, backend in sorted(kinds)
    ]
    return judged or [{"title": "", "lines": ledger({})}]


def paper_tables(parted: Sequence[Group]) -> list[Part]:
    """Tables 1 and 2 for every group with runs on their maps; if there is none, the paper's numbers alone.

    Each has name, title, group, cells (see `analysis.beside_paper`), digits, caption (or why runs are not shown),
    statistics over all maps (see `analysis.comparison.page`; None if there are none) and about (the caption of the
    statistics, or why there are none).
    """
    return [table for name in TABLES for table in _tables(Experiment.read(name), parted)]


def _tables(experiment: Experiment, parted: Sequence[Group]) -> Iterable[Part]:
    shown, nothing = False, cells(_nothing(experiment))
    digits = 3 if nothing["paper_mean"].between(0, 1).all() else 2  # win rates, or returns
    part = {"name": experiment.name, "title": TABLES[experiment.name], "digits": digits, "cells": nothing}
    part |= {"group": None, "caption": "", "statistics": None, "about": ""}
    for group in parted:
        report = group.runs.report
        wanted = report[names.MAP].isin(experiment.maps) & report[names.ALGO].isin(experiment.algos)
        if group.env != experiment.env or not wanted.any():
            continue
        shown = True
        try:
            found = find(group.runs, experiment)
        except AnalysisError as error:  # two configurations of one algorithm, which no table may pool
            yield part | {"group": group, "caption": f"Runs are not shown: {error}."}
            continue
        table = part | {"group": group, "caption": found.caption(), "cells": cells(found)}
        try:
            comparison = compare(found)
        except AnalysisError as error:
            yield table | {"about": f"No statistics over maps: {error}."}
        else:
            statistics = page(aggregates(comparison)).rename_axis("method").reset_index()
            yield table | {"statistics": statistics, "about": caption(comparison, found)}
    if not shown:
        yield part


def _nothing(experiment: Experiment) -> Evidence:
    columns = [names.MAP, names.ALGO, names.BUDGET, names.BACKEND, names.SEED, "run", "state", "counts", "gaps"]
    report = pd.DataFrame(columns=columns)
    frame = pd.DataFrame(columns=["run", "metric", names.ENV_STEP, "value"])
    return Evidence(frame, report, {}, experiment=experiment, others=report)


def matrix_games(parted: Sequence[Group]) -> list[Part]:
    """Every payoff that was played: group, map, payoff, outcomes, and joint policies of one seed by name.

    If runs cannot be shown, problem says why and what to type.
    """
    return _of_games(parted, MATRIX_GAME, _matrix_game)


def multi_goal_games(parted: Sequence[Group]) -> list[Part]:
    """Every multi-goal game that was played: group, map, picture (Figure 1 as a data URI), caption and goals."""
    return _of_games(parted, MULTI_GOAL, _multi_goal_game)


def _of_games(parted: Sequence[Group], env: str, shown: Callable[[Evidence], Part]) -> list[Part]:
    parts = []
    for group in (group for group in parted if group.env == env):
        for map_ in group.maps:
            part = {"group": group, "map": map_, "problem": ""}
            try:
                parts.append(part | shown(select(group.on(map_), env)))
            except AnalysisError as error:
                parts.append(part | {"problem": f"{error}."})
    return parts


def _matrix_game(selection: Evidence) -> Part:
    collected = [collect(selection, variant) for variant in variants(selection) or [style.MACPF]]
    payoff = collected[0].payoff
    columns = {"low": "optimum %, low", "high": "optimum %, high", "not_whole": "not whole"}
    found = {}
    for variant in variants(selection):
        for policy in (names.DEPENDENT, names.INDEPENDENT):
            joint = joint_policy(selection, selection.runs_of(variant), payoff.shape, policy)
            if joint is not None:
                found[f"{style.label(variant)}, {policy} policy"] = joint
    table = outcomes(selection).drop(columns=names.MAP).rename(columns=columns).round(1)
    return {"payoff": payoff, "outcomes": table, "policies": found}


def _multi_goal_game(selection: Evidence) -> Part:
    episodes, game = episodes_of(selection), Game.of(selection)
    if episodes.empty:
        raise AnalysisError("none of them is at its end yet, where it logs its sampled episodes")
    goals, drawn = reached(episodes, game), io.BytesIO()
    with mpl.rc_context(style.RC):
        figure1.draw(episodes, game, "").savefig(drawn, format="png", dpi=_DPI)
    return {
        "picture": f"data:image/png;base64,{base64.b64encode(drawn.getvalue()).decode()}",
        "caption": figure1.caption(selection, episodes, goals),
        "goals": goals.drop(columns=names.ALGO),
    }
