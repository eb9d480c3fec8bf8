"""Where the final policies went in the multi-goal game (Figure 1)."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import matplotlib as mpl
import pandas as pd

from analysis import style
from analysis.errors import AnalysisError
from analysis.figures import figure1
from analysis.figures.figure1_data import ENV, Game, episodes_of, reached
from analysis.report.strata import Stratum
from analysis.selection import select
from macpf import names

_DPI = 110


@dataclass(frozen=True)
class Trajectories:
    """Figure 1 from the runs of one stratum and map.

    Attributes:
        stratum, map: what was played.
        problem: why its runs cannot be shown and what to type; empty if they can.
        picture: the figure as a data URI.
        caption: what a reader has to know besides.
        goals: see `figure1_data.reached`.
    """

    stratum: Stratum
    map: str
    problem: str = ""
    picture: str = ""
    caption: str = ""
    goals: pd.DataFrame = field(default_factory=pd.DataFrame)


def trajectories(parted: Sequence[Stratum]) -> list[Trajectories]:
    """Every multi-goal game that was played."""
    return [_trajectories(stratum, map_) for stratum in parted if stratum.env == ENV for map_ in stratum.maps]


def _trajectories(stratum: Stratum, map_: str) -> Trajectories:
    try:
        selection = select(stratum.on(map_), ENV)
        episodes, game = episodes_of(selection), Game.of(selection)
    except AnalysisError as error:
        return Trajectories(stratum, map_, f"{error}.")
    if episodes.empty:
        return Trajectories(stratum, map_, "none of them is at its end yet, where it logs its sampled episodes.")
    goals, drawn = reached(episodes, game), io.BytesIO()
    with mpl.rc_context(style.RC):
        figure1.draw(episodes, game, "").savefig(drawn, format="png", dpi=_DPI)
    return Trajectories(
        stratum=stratum,
        map=map_,
        picture=f"data:image/png;base64,{base64.b64encode(drawn.getvalue()).decode()}",
        caption=figure1.caption(selection, episodes, goals),
        goals=goals.drop(columns=names.ALGO),
    )
