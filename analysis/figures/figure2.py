"""Figure 2 of the paper, from a run: a dependent joint policy, its independent counterpart, and the correction.

The paper draws made-up numbers. Here MACPF learnt both policies in a game that pays two agents for doing the same.
"""

import textwrap
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis import style
from analysis.completeness import sentences
from analysis.errors import AnalysisError
from analysis.figures.figure4_data import MACPF, joint_policy, payoff_of, runs_to_show
from analysis.figures.matrix import draw_matrix
from analysis.selection import Selection
from macpf import names

ENV, MAP = "matrix_game", "coordination"
_POLICY = LinearSegmentedColormap.from_list("policy", ["#f7f7f7", "#f3c27a", "#d55e00"])
_CORRECTION = LinearSegmentedColormap.from_list("correction", ["#5b9bd0", "#f7f7f7", "#d55e00"])


def write_figure2(selection: Selection, out: Path, macpf: str = MACPF) -> list[Path]:
    """Write Figure 2 as PDF, PNG and CSV.

    Args:
        selection: runs of the coordination game.
        out: folder for the files, made if need be.
        macpf: the variant of MACPF to show.

    Raises:
        AnalysisError: no run of it has logged its joint policies.
    """
    runs = runs_to_show(selection, macpf)
    shape = payoff_of(selection).shape
    found = (
        [] if runs.empty else [joint_policy(selection, runs, shape, p) for p in (names.DEPENDENT, names.INDEPENDENT)]
    )
    if not found or found[0] is None or found[1] is None:
        raise AnalysisError(f"no run of {macpf} on {MAP} has logged its joint policies; type: python run.py map={MAP}")
    dependent, independent = (joint.probabilities for joint in found if joint is not None)
    not_whole = sentences(selection.report[selection.report[names.ALGO] == macpf])
    caption = (
        f"{style.label(macpf)} on a game that pays for choosing the same, seed {found[0].seed}, "
        f"step {found[0].env_step:,}, budget {selection.budget}."
    )
    caption = " ".join([caption, *(f"{sentence}." for sentence in not_whole)])
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / f"figure2.{suffix}" for suffix in ("pdf", "png", "csv")]
    with mpl.rc_context(style.RC):
        figure = draw(dependent, independent, caption)
        figure.savefig(paths[0], metadata={"CreationDate": None})
        figure.savefig(paths[1], dpi=style.PNG_DPI)
    columns = ["action_1", "action_2", "dependent", "independent", "correction"]
    rows = [(i + 1, j + 1, p, independent[i, j], p - independent[i, j]) for (i, j), p in np.ndenumerate(dependent)]
    table = pd.DataFrame(rows, columns=columns).assign(not_whole="; ".join(not_whole))
    table.to_csv(paths[2], index=False, float_format="%.6f")
    return paths


def draw(dependent: NDArray[np.float64], independent: NDArray[np.float64], caption: str) -> Figure:
    """Both joint policies [rows, columns] and their difference."""
    figure = Figure(figsize=(8.4, 3.4))
    FigureCanvasAgg(figure)
    panels = [
        ("(a) dependent joint policy", dependent, _POLICY, Normalize(0, 1)),
        ("(b) independent joint policy", independent, _POLICY, Normalize(0, 1)),
        ("(c) dependency correction, (a) - (b)", dependent - independent, _CORRECTION, Normalize(-1, 1)),
    ]
    for k, (title, values, colours, norm) in enumerate(panels):
        axes = figure.add_axes((0.06 + 0.325 * k, 0.16, 0.24, 0.62))
        draw_matrix(axes, values, colours, norm, lambda p: f"{p:.2f}".replace("-", "\N{MINUS SIGN}"), values > 0.25)
        figure.text(0.035 + 0.325 * k, 0.97, title, fontsize=9.5, fontweight="bold", va="top", color=style.INK)
    figure.text(0.035, 0.02, textwrap.fill(caption, 140), fontsize=7.5, color=style.FAINT)
    return figure
