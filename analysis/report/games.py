"""The matrix games: payoffs, how the runs ended, and the joint policies that MACPF learnt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis import style
from analysis.errors import AnalysisError
from analysis.evidence import Evidence
from analysis.figures.figure4 import ENV
from analysis.figures.figure4_data import MACPF, JointPolicy, collect, joint_policy, runs_to_show, variants
from analysis.report.strata import Stratum
from analysis.runs import Runs
from analysis.selection import select
from analysis.tables.outcomes import outcomes
from macpf import names


@dataclass(frozen=True)
class Game:
    """One payoff matrix with the runs of one stratum.

    Attributes:
        stratum, map: what was played.
        problem: why its runs cannot be shown and what to type; empty if they can.
        payoff: [rows, columns], rows are the actions of agent 1.
        outcomes: see `analysis.tables.outcomes`.
        policies: joint policies [rows, columns] of one seed, by what they are called.
    """

    stratum: Stratum
    map: str
    problem: str
    payoff: NDArray[np.float64] | None = None
    outcomes: pd.DataFrame | None = None
    policies: dict[str, JointPolicy] | None = None


def games(parted: Sequence[Stratum]) -> list[Game]:
    """Every matrix game that was played."""
    return [_game(stratum, map_) for stratum in parted if stratum.env == ENV for map_ in stratum.maps]


def _game(stratum: Stratum, map_: str) -> Game:
    try:
        selection = select(stratum.on(map_), ENV)
        shown = [collect(selection, variant) for variant in variants(selection) or [MACPF]]
    except AnalysisError as error:
        return Game(stratum, map_, f"{error}.")
    payoff = shown[0].payoff
    return Game(
        stratum=stratum,
        map=map_,
        problem="",
        payoff=payoff,
        outcomes=_outcomes(stratum.on(map_)),
        policies=_policies(selection, payoff.shape),
    )


def _outcomes(runs: Runs) -> pd.DataFrame:
    """Of the runs that count, with intervals."""
    columns = {"low": "optimum %, low", "high": "optimum %, high", "not_whole": "not whole"}
    return outcomes(runs, ENV).drop(columns=names.MAP).rename(columns=columns).round(1)


def _policies(selection: Evidence, shape: tuple[int, ...]) -> dict[str, JointPolicy]:
    found = {}
    for variant in variants(selection):
        runs = runs_to_show(selection, variant)
        for policy in (names.DEPENDENT, names.INDEPENDENT):
            joint = joint_policy(selection, runs, shape, policy)
            if joint is not None:
                found[f"{style.label(variant)}, {policy} policy"] = joint
    return found
