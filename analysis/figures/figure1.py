"""Figure 1 of the paper: where sampled episodes of the multi-goal game go, under three kinds of joint policy."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import AnalysisError, style
from analysis.evidence import Evidence
from analysis.figures.drawing import PAGE, blank, save_figure
from analysis.figures.figure1_data import PANELS, Game, episodes_of, reached
from analysis.saving import save
from macpf import names

#: A colour for each seed.
_SEEDS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8C6D31", "#56B4E9", "#5D3A9B", "#9C9C00"]


def write_figure1(selection: Evidence, out: Path, below: bool = True) -> tuple[list[Path], pd.DataFrame]:
    """Write Figure 1 as PDF and PNG, its episodes and the goals they reach as CSV; returns the paths and `reached`.

    Raises:
        AnalysisError: no run has logged its sampled episodes, or see `Game.of`.
    """
    episodes = episodes_of(selection)
    if episodes.empty:
        raise AnalysisError(
            "no run of the multi-goal game has logged its sampled episodes, which it does at its end; "
            "type: python run.py -m +experiment=figure1"
        )
    game = Game.of(selection)
    table = reached(episodes, game)
    text = caption(selection, episodes, table)
    paths = save_figure(out / "figure1", partial(draw, episodes, game), text, below)
    flaws = {algo: words for (_, algo), words in selection.flaws.items()}
    goals = table.assign(not_whole=[flaws.get(algo, "") for algo in table.pop(names.ALGO)])
    paths += save({out / "figure1.csv": episodes, out / "figure1_goals.csv": goals})
    return paths, table


def caption(selection: Evidence, episodes: pd.DataFrame, table: pd.DataFrame) -> str:
    """The caption of the figure."""
    seeds = ", ".join(f"{method} {len(group)}" for method, group in table.groupby("method", sort=False))
    per_run = episodes.groupby([names.ALGO, names.SEED])["episode"].nunique().max()
    return selection.of(list(PANELS)).caption(
        f"Sampled (not greedy) episodes of the final behaviour policy, {per_run} for each run, a colour for each seed",
        "Contours: reward; stars: goals",
        f"Seeds: {seeds}",
    )


def draw(episodes: pd.DataFrame, game: Game, text: str) -> Figure:
    """One panel for each kind of joint policy: contours of the reward, goals, paths."""
    figure, below = blank(PAGE, 2.5, text)
    height = figure.get_size_inches()[1]
    for k, (algo, (title, _)) in enumerate(PANELS.items()):
        place = ((0.42 + 2.2 * k) / PAGE, below + 0.4 / height, 1.9 / PAGE, 1.9 / height)
        axes = figure.add_axes(place, xlabel="x", ylabel="y" if k == 0 else "")
        _draw_game(axes, game)
        own = episodes[episodes[names.ALGO] == algo]
        for number, (_, run) in enumerate(own.groupby(names.SEED)):
            look: dict[str, Any] = {"color": _SEEDS[number % len(_SEEDS)], "linewidth": 0.7, "alpha": 0.45}
            for _, episode in run.groupby("episode"):
                axes.plot(episode["x"], episode["y"], **look)
                axes.plot(episode["x"].iloc[-1], episode["y"].iloc[-1], "o", markersize=2.2, **look)
        if own.empty:
            axes.text(0, 0, "no runs", ha="center", va="center", color=style.FAINT)
        axes.set_title(title, loc="left", fontsize=8.5, fontweight="bold", color=style.INK)
    return figure


def _draw_game(axes: Axes, game: Game) -> None:
    side = np.linspace(-game.box, game.box, 141)
    reward = game.reward_at(np.stack(np.meshgrid(side, side), axis=-1))
    axes.contour(side, side, reward, levels=8, cmap="Greys", linewidths=0.7, alpha=0.7)
    axes.plot(*game.goals.T, "*", color=style.INK, markersize=9, zorder=5)
    limits, ticks = (-game.box, game.box), [-5, 0, 5]
    axes.set(xlim=limits, ylim=limits, aspect="equal", xticks=ticks, yticks=ticks)
