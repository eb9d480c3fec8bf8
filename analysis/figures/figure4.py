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
from numpy.typing import NDArray

from analysis import AnalysisError, style
from analysis.evidence import Evidence
from analysis.figures.drawing import PAGE, blank, draw_matrix, save_figure
from analysis.outcomes import JointPolicy, joint_policy, outcome_table, payoff_of, untrained
from analysis.saving import save
from analysis.style import MACPF
from macpf import names
from macpf.choices import family

#: The most seeds of a method that are drawn one by one.
SHOWN = 10
_PANELS = 2.35  # height in inches
# From low to high payoff: grey, white, blue; both ends are dark enough to see and light enough for text.
_PAYOFF_COLORS = LinearSegmentedColormap.from_list("payoff", ["#c9c9c9", "#f7f7f7", "#5b9bd0"])
_POLICY_COLORS = LinearSegmentedColormap.from_list("policy", ["#f7f7f7", "#f3c27a", "#d55e00"])


@dataclass(frozen=True)
class Figure4:
    """All that one Figure 4 shows.

    Attributes:
        payoff: [rows, columns], rows are the actions of agent 0.
        curves: per method, in the order of the paper, a row for each env step that all its runs have, a column for
            each.
        algos: the algorithm behind each method.
        macpf: label of the dependent policy of the chosen variant of MACPF.
        joint: its joint policy; None if no run logged one.
        not_whole: per algorithm, what is wrong with its runs, counted or not.
        caption: the caption.
    """

    payoff: NDArray[np.float64]
    curves: dict[str, pd.DataFrame]
    algos: dict[str, str]
    macpf: str
    joint: JointPolicy | None
    not_whole: dict[str, str]
    caption: str


def variants(selection: Evidence) -> list[str]:
    """The variants of MACPF that have runs, ``macpf`` itself first."""
    families = _families(selection)
    found = {str(algo) for algo in selection.report[names.ALGO].unique() if families[algo] == MACPF}
    return sorted(found, key=lambda algo: (algo != MACPF, algo))


def _families(selection: Evidence) -> dict[str, str]:
    """The algorithm of which each algorithm is a variant: as its runs logged it, or else from its file."""
    said = {config[names.ALGO]: config[names.FAMILY] for config in selection.configs.values() if names.FAMILY in config}
    return {
        algo: said.get(algo) or family(algo) for algo in (*selection.experiment.algos, *selection.report[names.ALGO])
    }


def collect(selection: Evidence, macpf: str) -> Figure4:
    """Compute Figure 4 with one variant of MACPF, if it has runs; other variants are left out.

    Raises:
        AnalysisError: no run has logged a return, payoffs differ between runs or are missing, or runs of one method
            share no env step.
    """
    payoff = payoff_of(selection)
    families = _families(selection)
    planned = [algo for algo in selection.experiment.algos if algo == macpf or families[algo] != MACPF]
    selection = selection.of(planned)
    curves, algos, ragged = {}, {}, set()
    for algo in sorted(selection.report[names.ALGO].unique()):
        for policy in (names.INDEPENDENT, names.DEPENDENT) if algo == macpf else (names.INDEPENDENT,):
            scores = selection.scores(selection.map, algo, policy)
            if len(scores):
                method = style.label(algo, policy)
                curves[method], short = over_seeds(scores)
                algos[method] = algo
                ragged |= short
    if not curves:
        raise AnalysisError(f"no run has logged {names.score(names.INDEPENDENT, 'return')} yet: wait for an evaluation")
    curves = {method: curves[method] for method in style.order(curves)}
    joint = joint_policy(selection, selection.runs_of(macpf), payoff.shape)
    seeds: dict[str, int] = {}
    for method, curve in curves.items():
        seeds.setdefault(style.label(algos[method]), curve.shape[1])
    lacking = selection.report[selection.report["run"].isin(ragged)].to_dict("records")
    short_runs = ", ".join(f"{style.label(run[names.ALGO])} seed {run[names.SEED]}" for run in lacking)
    caption = selection.caption(
        f"(b) Mean over seeds: {', '.join(f'{m} {n}' for m, n in seeds.items())}; thin: each seed, or of "
        f"more than {SHOWN} the middle half",
        "" if joint is None else f"(c) Seed {joint.seed} at step {joint.env_step:,}",
        f"Lacking evaluations, so that only steps shared by all seeds are shown: {short_runs}" if lacking else "",
    )
    not_whole = {algo: words for (_, algo), words in selection.flaws.items()}
    return Figure4(payoff, curves, algos, style.label(macpf, names.DEPENDENT), joint, not_whole, caption)


def over_seeds(scores: pd.DataFrame) -> tuple[pd.DataFrame, set[str]]:
    """The scores at the env steps that all runs have, and the runs that lack some of the others.

    Raises:
        AnalysisError: no env step is shared by all runs; the message names the run with the fewest.
    """
    shared = scores.dropna()
    if shared.empty:
        shortest = scores.count().idxmin()
        raise AnalysisError(
            f"runs share no env step, the shortest is {shortest}: leave it out with --exclude {shortest}"
        )
    return shared, set(scores.columns[scores.isna().any()])


def write_figure4(
    selection: Evidence, out: Path, macpf: str | None = None, caption: bool = True
) -> list[tuple[list[Path], pd.DataFrame]]:
    """Write Figure 4 as PDF, PNG and CSV (the numbers behind its curves); returns its files and how runs ended.

    `macpf` is the variant of MACPF to show; None makes one figure for each that has runs. The figure of ``macpf``
    itself is called ``figure4``, others ``figure4_<variant>``.

    Raises:
        AnalysisError: the variant has no runs, or see `collect`.
    """
    found = variants(selection)
    if macpf is not None and macpf not in found:
        raise AnalysisError(
            f"no runs of {macpf} with data; variants of MACPF that have some: {', '.join(found) or 'none'}"
        )
    written = []
    for variant in [macpf] if macpf is not None else found or [MACPF]:
        figure4 = collect(selection, variant)
        stem = "figure4" if variant == MACPF else f"figure4_{variant}"
        paths = save_figure(out / stem, partial(draw, figure4), figure4.caption, caption)
        paths += save({out / f"{stem}.csv": curve_table(figure4)})
        final = {method: seeds.iloc[-1].tolist() for method, seeds in figure4.curves.items()}
        written.append((paths, outcome_table(final | untrained(selection), figure4.payoff.tolist())))
    return written


def curve_table(figure4: Figure4) -> pd.DataFrame:
    """The numbers behind the curves: method, algo, env_step, mean, std (over seeds, population), seeds, not_whole."""
    parts = []
    for method, seeds in figure4.curves.items():
        algo = figure4.algos[method]
        part = pd.DataFrame({"mean": seeds.mean(axis=1), "std": seeds.std(axis=1, ddof=0)}).reset_index()
        part.insert(0, "method", method)
        part.insert(1, names.ALGO, algo)
        parts.append(part.assign(seeds=seeds.shape[1], not_whole=figure4.not_whole.get(algo, "")))
    return pd.concat(parts, ignore_index=True)


def draw(figure4: Figure4, caption: str) -> Figure:
    """The figure, as wide as a page."""
    figure, below = blank(PAGE, _PANELS, caption)
    height = figure.get_size_inches()[1]

    def place(left: float, width: float, bottom: float, tall: float) -> Axes:
        """Axes at a place in inches, measured from the top of the caption."""
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
    lines, drawn = style.lines(figure4.curves), {}
    axes.axhline(float(figure4.payoff.max()), color="#b0b0b0", linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
    # Baselines first, so that MACPF lies on top; within each, broken lines over solid ones: where curves coincide,
    # as they do at the optimum, both can be seen.
    for depth, method in enumerate(sorted(figure4.curves, key=style.depth)):
        curve, line = figure4.curves[method], lines[method]
        if curve.shape[1] > SHOWN:  # unlike a standard deviation, quartiles stay within the payoffs
            low, high = np.percentile(curve, [25, 75], axis=1)
            axes.fill_between(curve.index, low, high, color=line.color, alpha=0.12, linewidth=0, zorder=2)
        else:
            axes.plot(curve.index, curve, color=line.color, linewidth=0.5, alpha=0.3, zorder=2)
        (drawn[method],) = axes.plot(
            *(curve.index, curve.mean(axis=1)),
            color=line.color,
            linestyle=line.style,
            linewidth=line.width,
            marker="o" if len(curve) == 1 else None,
            zorder=3 + depth,
            label=method,
        )
    last = max(int(curve.index[-1]) for curve in figure4.curves.values())
    axes.set_xlabel("env steps (= episodes)")
    axes.set_ylabel("greedy return", labelpad=2)
    axes.set_xlim(0, max(last, 1))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(axis="y", color="#ececec", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.legend(
        *([drawn[method] for method in figure4.curves], [method.replace(" (", "\n(") for method in figure4.curves]),
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        frameon=False,
        handlelength=2.6,
        labelspacing=0.55,
        borderaxespad=0,
    )
