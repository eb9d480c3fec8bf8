"""Figure 4 of the paper: a matrix game with several optima, who learns to play it, and what MACPF learned."""

import textwrap
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from analysis import style
from analysis.errors import AnalysisError
from analysis.figures.figure4_data import MACPF, Figure4, collect, variants
from analysis.figures.matrix import draw_matrix
from analysis.selection import Selection
from analysis.tables.outcomes import outcome_table, untrained
from macpf import names

ENV = "matrix_game"
_WIDTH, _PANELS, _CAPTION_LINE = 10.6, 3.3, 0.15  # inches
_CAPTION_CHARACTERS = 165
# From low to high payoff: grey, white, blue; both ends dark enough to tell and light enough to read on.
_PAYOFF_COLORS = LinearSegmentedColormap.from_list("payoff", ["#c9c9c9", "#f7f7f7", "#5b9bd0"])
_POLICY_COLORS = LinearSegmentedColormap.from_list("policy", ["#f7f7f7", "#f3c27a", "#d55e00"])


@dataclass(frozen=True)
class Written:
    """One figure on disk: its files, and how the runs in it ended."""

    paths: tuple[Path, ...]
    outcomes: pd.DataFrame


def write_figure4(selection: Selection, out: Path, macpf: str | None = None) -> list[Written]:
    """Write Figure 4 as PDF, PNG and CSV (the numbers behind its curves).

    Args:
        selection: runs of one map, budget and backend.
        out: folder for the files, made if need be.
        macpf: the variant of MACPF to show; None makes one figure for each that has runs. The figure of ``macpf``
            itself is called ``figure4``, others ``figure4_<variant>``.

    Raises:
        AnalysisError: the variant has no runs, or see ``figure4_data.collect``.
    """
    found = variants(selection)
    if macpf is not None and macpf not in found:
        raise AnalysisError(
            f"no runs of {macpf} with data; variants of MACPF that have some: {', '.join(found) or 'none'}"
        )
    chosen = [macpf] if macpf is not None else found or [MACPF]
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for variant in chosen:
        figure4 = collect(selection, variant)
        stem = "figure4" if variant == MACPF else f"figure4_{variant}"
        pdf, png, csv = (out / f"{stem}.{suffix}" for suffix in ("pdf", "png", "csv"))
        with mpl.rc_context(style.RC):
            figure = draw(figure4)
            figure.savefig(pdf, metadata={"CreationDate": None})  # the same runs give the same bytes
            figure.savefig(png, dpi=style.PNG_DPI)
        curve_table(figure4).to_csv(csv, index=False)
        written.append(Written((pdf, png, csv), _outcomes(figure4, selection)))
    return written


def _outcomes(figure4: Figure4, selection: Selection) -> pd.DataFrame:
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


def draw(figure4: Figure4) -> Figure:
    """The figure; its caption sits below the panels, and the figure grows with it."""
    caption = textwrap.wrap(figure4.caption, _CAPTION_CHARACTERS)
    below = _CAPTION_LINE * len(caption) + 0.25
    height = _PANELS + below
    figure = Figure(figsize=(_WIDTH, height))
    FigureCanvasAgg(figure)

    def place(left: float, width: float, bottom: float, tall: float) -> Axes:
        """Axes at a place in inches, counted from the caption up."""
        return figure.add_axes((left / _WIDTH, (below + bottom) / height, width / _WIDTH, tall / height))

    _draw_payoff(place(0.5, 2.2, 0.45, 2.2), figure4)
    _draw_curves(place(3.35, 3.3, 0.45, 2.45), figure4)
    _draw_joint(place(8.2, 2.2, 0.45, 2.2), figure4)
    titles = {0.2: "(a) payoff", 2.95: "(b) learning curves", 7.9: f"(c) {figure4.macpf}"}
    for left, title in titles.items():
        x, y = left / _WIDTH, (below + _PANELS - 0.1) / height
        figure.text(x, y, title, fontsize=10, fontweight="bold", ha="left", va="top", color=style.INK)
    figure.text(
        *(0.2 / _WIDTH, (below - 0.1) / height, "\n".join(caption)),
        fontsize=7.5,
        va="top",
        color=style.FAINT,
        linespacing=1.35,
    )
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
    for depth, method in enumerate(sorted(figure4.curves, key=lambda method: method.startswith("MACPF"))):
        curve, line = figure4.curves[method], lines[method]
        low, high = curve.mean - curve.std, curve.mean + curve.std
        axes.fill_between(curve.env_step, low, high, color=line.color, alpha=0.12, linewidth=0, zorder=2)
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
    axes.set_xlabel("environment steps (= episodes)")
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
