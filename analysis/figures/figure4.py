"""Figure 4 of the paper: a matrix game with several optima, who learns to play it, and what MACPF learned."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from analysis import style
from analysis.errors import AnalysisError
from analysis.evidence import Evidence
from analysis.figures.figure4_data import MACPF, SHOWN, Figure4, collect, variants
from analysis.figures.matrix import draw_matrix
from analysis.figures.saved import PAGE, blank, save, save_tables
from analysis.tables.outcomes import outcome_table, untrained
from macpf import names

ENV = "matrix_game"
_PANELS = 2.35  # inches
# From low to high payoff: grey, white, blue; both ends dark enough to tell and light enough to read on.
_PAYOFF_COLORS = LinearSegmentedColormap.from_list("payoff", ["#c9c9c9", "#f7f7f7", "#5b9bd0"])
_POLICY_COLORS = LinearSegmentedColormap.from_list("policy", ["#f7f7f7", "#f3c27a", "#d55e00"])


@dataclass(frozen=True)
class Written:
    """One figure on disk: its files, and how the runs in it ended."""

    paths: tuple[Path, ...]
    outcomes: pd.DataFrame


def write_figure4(selection: Evidence, out: Path, macpf: str | None = None, caption: bool = True) -> list[Written]:
    """Write Figure 4 as PDF, PNG and CSV (the numbers behind its curves).

    Args:
        selection: runs of one map, budget and backend.
        out: folder for the files, made if need be.
        macpf: the variant of MACPF to show; None makes one figure for each that has runs. The figure of ``macpf``
            itself is called ``figure4``, others ``figure4_<variant>``.
        caption: whether it stands below the figure.

    Raises:
        AnalysisError: the variant has no runs, or see ``figure4_data.collect``.
    """
    found = variants(selection)
    if macpf is not None and macpf not in found:
        raise AnalysisError(
            f"no runs of {macpf} with data; variants of MACPF that have some: {', '.join(found) or 'none'}"
        )
    chosen = [macpf] if macpf is not None else found or [MACPF]
    written = []
    for variant in chosen:
        figure4 = collect(selection, variant)
        stem = "figure4" if variant == MACPF else f"figure4_{variant}"
        paths = save(out / stem, partial(draw, figure4), figure4.caption, caption)
        paths += save_tables({out / f"{stem}.csv": curve_table(figure4)})
        written.append(Written(tuple(paths), _outcomes(figure4, selection)))
    return written


def _outcomes(figure4: Figure4, selection: Evidence) -> pd.DataFrame:
    final = {method: list(curve.final.values()) for method, curve in figure4.curves.items()}
    return outcome_table(final | untrained(selection), figure4.payoff.tolist())


def curve_table(figure4: Figure4) -> pd.DataFrame:
    """The numbers behind the curves: method, algo, env_step, mean, std (over seeds, population), seeds, not_whole."""
    parts = [
        pd.DataFrame(
            {
                "method": method,
                names.ALGO: figure4.algos[method],
                names.ENV_STEP: curve.env_step,
                "mean": curve.mean,
                "std": curve.std,
                "seeds": len(curve.final),
                "not_whole": figure4.not_whole.get(figure4.algos[method], ""),
            }
        )
        for method, curve in figure4.curves.items()
    ]
    return pd.concat(parts, ignore_index=True)


def draw(figure4: Figure4, caption: str) -> Figure:
    """The figure, as wide as a page."""
    figure, below = blank(PAGE, _PANELS, caption)
    height = figure.get_size_inches()[1]

    def place(left: float, width: float, bottom: float, tall: float) -> Axes:
        """Axes at a place in inches, counted from the caption up."""
        return figure.add_axes((left / PAGE, below + bottom / height, width / PAGE, tall / height))

    _draw_payoff(place(0.36, 1.4, 0.35, 1.4), figure4)
    _draw_curves(place(2.3, 1.8, 0.38, 1.62), figure4)
    _draw_joint(place(5.42, 1.4, 0.35, 1.4), figure4)
    titles = {0.1: "(a) payoff", 1.98: "(b) learning curves", 5.16: f"(c) {figure4.macpf}"}
    for left, title in titles.items():
        y = below + (_PANELS - 0.05) / height
        figure.text(left / PAGE, y, title, fontsize=8.5, fontweight="bold", ha="left", va="top", color=style.INK)
    return figure


def _draw_payoff(axes: Axes, figure4: Figure4) -> None:
    payoff = figure4.payoff
    norm = Normalize(payoff.min(), payoff.max()) if np.ptp(payoff) else Normalize(payoff.min() - 1, payoff.max() + 1)
    draw_matrix(
        axes, payoff, _PAYOFF_COLORS, norm, lambda value: f"{value:g}".replace("-", "−"), payoff == payoff.max()
    )


def _draw_joint(axes: Axes, figure4: Figure4) -> None:
    if figure4.joint is None:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no run of MACPF\nlogged one", ha="center", va="center", color=style.FAINT)
        return
    optimal = figure4.payoff == figure4.payoff.max()
    draw_matrix(axes, figure4.joint.probabilities, _POLICY_COLORS, Normalize(0, 1), lambda p: f"{p:.2f}", optimal)


def _draw_curves(axes: Axes, figure4: Figure4) -> None:
    lines = style.lines(figure4.curves)
    best = float(figure4.payoff.max())
    axes.axhline(best, color="#b0b0b0", linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
    # Baselines first, so that MACPF lies on top; within each, broken lines over solid ones: where curves coincide,
    # as they do at the optimum, both can be seen.
    for depth, method in enumerate(sorted(figure4.curves, key=style.depth)):
        curve, line = figure4.curves[method], lines[method]
        if curve.seeds.shape[1] > SHOWN:  # no band leaves the payoffs
            low, high = np.percentile(curve.seeds, [25, 75], axis=1)
            axes.fill_between(curve.env_step, low, high, color=line.color, alpha=0.12, linewidth=0, zorder=2)
        else:
            axes.plot(curve.env_step, curve.seeds, color=line.color, linewidth=0.5, alpha=0.3, zorder=2)
        marker = "o" if len(curve.env_step) == 1 else None
        axes.plot(
            *(curve.env_step, curve.mean),
            color=line.color,
            linestyle=line.style,
            linewidth=line.width,
            marker=marker,
            zorder=3 + depth,
            label=method,
        )
    axes.set_xlabel("env steps (= episodes)")
    axes.set_ylabel("greedy return", labelpad=2)
    last = max(int(curve.env_step[-1]) for curve in figure4.curves.values())
    axes.set_xlim(0, max(last, 1))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(axis="y", color="#ececec", linewidth=0.7)
    axes.set_axisbelow(True)
    handles, labels = axes.get_legend_handles_labels()
    drawn = dict(zip(labels, handles, strict=True))
    axes.legend(
        *([drawn[method] for method in figure4.curves], [method.replace(" (", "\n(") for method in figure4.curves]),
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        frameon=False,
        handlelength=2.6,
        labelspacing=0.55,
        borderaxespad=0,
    )
