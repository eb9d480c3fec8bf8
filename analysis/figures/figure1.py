"""Figure 1 of the paper: where sampled episodes of the multi-goal game go, under three kinds of joint policy."""

import textwrap
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analysis import style
from analysis.completeness import by_cell
from analysis.completeness import sentences as sentences_of
from analysis.errors import AnalysisError
from analysis.experiments import SMOKE
from analysis.figures.figure1_data import PANELS, Game, episodes_of, reached
from analysis.runs import short_commits
from analysis.selection import Selection
from macpf import names

#: A colour for each seed.
_SEEDS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8C6D31", "#56B4E9", "#5D3A9B", "#9C9C00"]


def write_figure1(selection: Selection, out: Path) -> tuple[list[Path], pd.DataFrame]:
    """Write Figure 1 as PDF and PNG, its episodes and the goals they reach as CSV; returns the paths and `reached`.

    Raises:
        AnalysisError: no run has logged where it went, or see `Game.of`.
    """
    episodes = episodes_of(selection)
    if episodes.empty:
        raise AnalysisError(
            "no run of the multi-goal game has logged its sampled episodes, which it does at its end; "
            "type: python run.py -m +experiment=figure1"
        )
    game = Game.of(selection)
    table = reached(episodes, game)
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / name for name in ("figure1.pdf", "figure1.png", "figure1.csv", "figure1_goals.csv")]
    with mpl.rc_context(style.RC):
        figure = draw(episodes, game, caption(selection, episodes, table))
        figure.savefig(paths[0], metadata={"CreationDate": None})
        figure.savefig(paths[1], dpi=style.PNG_DPI)
    flaws = by_cell(selection.report, [names.ALGO]).to_dict()
    episodes.to_csv(paths[2], index=False)
    table.assign(not_whole=[flaws.get(algo, "") for algo in table.pop(names.ALGO)]).to_csv(paths[3], index=False)
    return paths, table


def caption(selection: Selection, episodes: pd.DataFrame, table: pd.DataFrame) -> str:
    """What a reader has to know besides."""
    report = selection.report[selection.report[names.ALGO].isin(PANELS)]
    seeds = ", ".join(f"{method} {len(group)}" for method, group in table.groupby("method", sort=False))
    commits = short_commits(report["commit"])
    per_run = episodes.groupby([names.ALGO, names.SEED])["episode"].nunique().max()
    sentences = [
        f"Sampled (not greedy) episodes of the final behaviour policy, {per_run} for each run, a colour for each seed",
        f"Seeds: {seeds}",
        *sentences_of(report),
        f"Budget {selection.budget} ({int(report['total'].max()):,} env steps)",
        "THIS IS A SMOKE RUN, which says nothing about the methods" if selection.budget == SMOKE else "",
        f"Commits {', '.join(commits)}" if commits else "",
    ]
    return ". ".join(sentence for sentence in sentences if sentence) + "."


def draw(episodes: pd.DataFrame, game: Game, text: str) -> Figure:
    """One panel for each kind of joint policy: contours of the reward, goals, paths."""
    figure = Figure(figsize=(9.6, 3.75))
    FigureCanvasAgg(figure)
    for k, (algo, (title, _)) in enumerate(PANELS.items()):
        axes = figure.add_axes((0.035 + 0.325 * k, 0.13, 0.29, 0.74))
        _draw_game(axes, game)
        own = episodes[episodes[names.ALGO] == algo]
        for number, (_, run) in enumerate(own.groupby(names.SEED)):
            look: dict[str, Any] = {"color": _SEEDS[number % len(_SEEDS)], "linewidth": 0.7, "alpha": 0.45}
            for _, episode in run.groupby("episode"):
                axes.plot(episode["x"], episode["y"], **look)
                axes.plot(episode["x"].iloc[-1], episode["y"].iloc[-1], "o", markersize=2.2, **look)
        if own.empty:
            axes.text(0, 0, "no runs", ha="center", va="center", color=style.FAINT)
        axes.set_title(title, loc="left", fontsize=9.5, fontweight="bold", color=style.INK)
    figure.text(0.035, 0.02, textwrap.fill(text, 170), fontsize=6.8, color=style.FAINT)
    return figure


def _draw_game(axes: Axes, game: Game) -> None:
    side = np.linspace(-game.box, game.box, 141)
    reward = game.reward_at(np.stack(np.meshgrid(side, side), axis=-1))
    axes.contour(side, side, reward, levels=8, cmap="Greys", linewidths=0.7, alpha=0.7)
    axes.plot(*game.goals.T, "*", color=style.INK, markersize=9, zorder=5)
    limits, ticks = (-game.box, game.box), [-5, 0, 5]
    axes.set(xlim=limits, ylim=limits, aspect="equal", xticks=ticks, yticks=ticks)
