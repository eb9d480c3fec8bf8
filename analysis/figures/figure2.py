"""Figure 2 of the paper, from a run: a dependent joint policy, its independent counterpart, and the correction.

The paper draws made-up numbers. Here MACPF learnt both policies in a game that pays two agents for doing the same.
"""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis import AnalysisError, style
from analysis.evidence import Evidence
from analysis.figures.drawing import PAGE, blank, draw_matrix, save_figure
from analysis.outcomes import joint_policy, payoff_of
from analysis.saving import save
from analysis.style import MACPF
from macpf import names

_POLICY = LinearSegmentedColormap.from_list("policy", ["#f7f7f7", "#f3c27a", "#d55e00"])
_CORRECTION = LinearSegmentedColormap.from_list("correction", ["#5b9bd0", "#f7f7f7", "#d55e00"])


def write_figure2(selection: Evidence, out: Path, macpf: str = MACPF, caption: bool = True) -> list[Path]:
    """Write Figure 2 as PDF, PNG and CSV, from runs of the coordination game with this variant of MACPF.

    Raises:
        AnalysisError: no run of this variant has logged its joint policies.
    """
    runs, shape, map_ = selection.runs_of(macpf), payoff_of(selection).shape, selection.map
    policies = (names.DEPENDENT, names.INDEPENDENT)
    found = [joint for policy in policies if (joint := joint_policy(selection, runs, shape, policy))]
    if len(found) < 2:
        raise AnalysisError(
            f"no run of {macpf} on {map_} has logged its joint policies; type: python run.py map={map_}"
        )
    dependent, independent = (joint.probabilities for joint in found)
    own = selection.of([macpf])
    caption_text = own.caption(
        f"{style.label(macpf)} on a game that pays for choosing the same, seed {found[0].seed}, step "
        f"{found[0].env_step:,}"
    )
    paths = save_figure(out / "figure2", partial(draw, dependent, independent), caption_text, caption)
    columns = ["action_1", "action_2", "dependent", "independent", "correction"]
    rows = [(i + 1, j + 1, p, independent[i, j], p - independent[i, j]) for (i, j), p in np.ndenumerate(dependent)]
    table = pd.DataFrame(rows, columns=columns).assign(not_whole=own.not_whole)
    return paths + save({out / "figure2.csv": table}, float_format="%.6f")


def draw(dependent: NDArray[np.float64], independent: NDArray[np.float64], caption: str) -> Figure:
    """Both joint policies [rows, columns] and their difference."""
    figure, below = blank(PAGE, 2.3, caption)
    height = figure.get_size_inches()[1]
    panels = [
        ("(a) dependent policy", dependent, _POLICY, Normalize(0, 1)),
        ("(b) independent policy", independent, _POLICY, Normalize(0, 1)),
        ("(c) correction, (a) - (b)", dependent - independent, _CORRECTION, Normalize(-1, 1)),
    ]
    for k, (title, values, colours, norm) in enumerate(panels):
        axes = figure.add_axes(((0.4 + 2.28 * k) / PAGE, below + 0.15 / height, 1.6 / PAGE, 1.6 / height))
        draw_matrix(axes, values, colours, norm, lambda p: f"{p:.2f}".replace("-", "\N{MINUS SIGN}"), values > 0.25)
        x, y = (0.1 + 2.28 * k) / PAGE, below + 2.25 / height
        figure.text(x, y, title, fontsize=8.5, fontweight="bold", va="top", color=style.INK)
    return figure
