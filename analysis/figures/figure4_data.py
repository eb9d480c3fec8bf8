"""What Figure 4 shows, as numbers and words: payoffs, learning curves, the learned joint policy and the caption."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis import style
from analysis.errors import AnalysisError
from analysis.evidence import Evidence
from analysis.statistics import Curve, over_seeds
from macpf import names

#: Every algorithm whose name starts so is a variant of MACPF and has a dependent policy.
MACPF = "macpf"
_SCORE = "return"
#: Seeds of a method that are drawn one by one.
SHOWN = 10


@dataclass(frozen=True)
class JointPolicy:
    """The dependent joint policy of one run at its last env step, [rows, columns], entries are probabilities."""

    probabilities: NDArray[np.float64]
    seed: int
    env_step: int


@dataclass(frozen=True)
class Figure4:
    """All that one Figure 4 shows.

    Attributes:
        payoff: [rows, columns], rows are the actions of agent 0.
        curves: per method, in the order of drawing.
        algos: the algorithm behind each method.
        macpf: label of the dependent policy of the chosen variant of MACPF.
        joint: its joint policy; None if the variant has no runs.
        not_whole: per algorithm, its runs that are not whole, counted or not.
        caption: what a reader has to know besides.
    """

    payoff: NDArray[np.float64]
    curves: dict[str, Curve]
    algos: dict[str, str]
    macpf: str
    joint: JointPolicy | None
    not_whole: dict[str, str]
    caption: str


def variants(selection: Evidence) -> list[str]:
    """The variants of MACPF that have runs, ``macpf`` itself first."""
    found = {str(algo) for algo in selection.frame[names.ALGO].unique() if str(algo).startswith(MACPF)}
    return sorted(found, key=lambda algo: (algo != MACPF, algo))


def collect(selection: Evidence, macpf: str) -> Figure4:
    """Work out Figure 4 with one variant of MACPF, or without if it has no runs; other variants stay out.

    Raises:
        AnalysisError: no run has logged a return, payoffs differ between runs or are missing, or runs of one method
            share no env step.
    """
    payoff = payoff_of(selection)
    selection = selection.of([algo for algo in selection.experiment.algos if _belongs(algo, macpf)])
    algos = sorted(selection.frame[names.ALGO].unique())
    curves: dict[str, Curve] = {}
    methods: dict[str, str] = {}
    for algo in algos:
        runs = runs_to_show(selection, algo)
        for policy in (names.INDEPENDENT, names.DEPENDENT) if algo == macpf else (names.INDEPENDENT,):
            lines = _lines(selection.frame, runs, names.score(policy, _SCORE))
            if len(lines):
                method = style.label(algo, policy)
                curves[method], methods[method] = over_seeds(lines), algo
    if not curves:
        raise AnalysisError(f"no run has logged {names.score(names.INDEPENDENT, _SCORE)} yet: wait for an evaluation")
    curves = {method: curves[method] for method in style.order(curves)}
    joint = joint_policy(selection, runs_to_show(selection, macpf), payoff.shape) if macpf in algos else None
    not_whole = {algo: words for (_, algo), words in selection.flaws.items()}
    caption = _caption(selection, curves, methods, joint)
    return Figure4(payoff, curves, methods, style.label(macpf, names.DEPENDENT), joint, not_whole, caption)


def _belongs(algo: str, macpf: str) -> bool:
    """Whether it is the chosen variant of MACPF, or no variant of it."""
    return algo == macpf or not algo.startswith(MACPF)


def runs_to_show(selection: Evidence, algo: str) -> pd.DataFrame:
    """Report lines of the runs of an algorithm that count."""
    report = selection.all[selection.all[names.ALGO] == algo]
    return report[report["counts"]].sort_values(names.SEED)


def _lines(frame: pd.DataFrame, runs: pd.DataFrame, metric: str) -> pd.DataFrame:
    return frame[(frame["metric"] == metric) & frame["run"].isin(runs["run"])]


def payoff_of(selection: Evidence) -> NDArray[np.float64]:
    """The payoff that all of these runs played."""
    matrices: dict[str, str] = {}  # payoff as text -> one run that played it
    payoff = np.empty((0, 0))
    for run, config in selection.configs.items():
        game = (config.get(names.CONFIG) or {}).get(names.MAP)
        try:
            payoff = np.array(game.get("payoff") if isinstance(game, dict) else None, dtype=float)
        except (ValueError, TypeError):
            payoff = np.array(math.nan)
        if payoff.ndim != 2 or not payoff.size:
            raise AnalysisError(f"run {run} does not say its payoffs (config.map.payoff): --exclude {run}")
        matrices.setdefault(str(payoff.tolist()), run)
    if len(matrices) > 1:
        one, other, *_ = matrices.values()
        raise AnalysisError(f"runs {one} and {other} played different payoffs: leave one kind out with --exclude")
    return payoff


def joint_policy(
    selection: Evidence, runs: pd.DataFrame, shape: tuple[int, ...], policy: str = names.DEPENDENT
) -> JointPolicy | None:
    """Of the lowest seed, at its last row; None if that row holds no joint policy."""
    first = runs.iloc[0]
    lines = selection.frame[(selection.frame["run"] == first["run"])]
    last = lines[lines[names.ENV_STEP] == first[names.ENV_STEP]].set_index("metric")["value"]
    # Actions that only pad the smaller action space are never available, so the payoff's shape holds all there is.
    cells = [[names.joint(policy, (i, j)) for j in range(shape[1])] for i in range(shape[0])]
    if not any(cell in last.index for row in cells for cell in row):
        return None
    probabilities = np.array([[last.get(cell, math.nan) for cell in row] for row in cells], dtype=float)
    return JointPolicy(probabilities, int(first[names.SEED]), int(first[names.ENV_STEP]))


def _caption(selection: Evidence, curves: dict[str, Curve], methods: dict[str, str], joint: JointPolicy | None) -> str:
    seeds: dict[str, int] = {}
    for method, curve in curves.items():
        seeds.setdefault(style.label(methods[method]), len(curve.final))
    ragged = {run for curve in curves.values() for run in curve.ragged}
    runs = selection.report[selection.report["run"].isin(ragged)].to_dict("records")
    short = ", ".join(f"{style.label(run[names.ALGO])} seed {run[names.SEED]}" for run in runs)
    return selection.caption_after(
        f"(b) Mean over seeds: {', '.join(f'{m} {n}' for m, n in seeds.items())}; thin: each seed, or of more than "
        f"{SHOWN} the middle half",
        "" if joint is None else f"(c) Seed {joint.seed} at step {joint.env_step:,}",
        f"Lacking evaluations, so that only steps shared by all seeds are shown: {short}" if short else "",
    )
