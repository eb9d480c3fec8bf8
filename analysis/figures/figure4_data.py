"""What Figure 4 shows, as numbers and words: payoffs, learning curves, the learned joint policy and the caption."""

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis import style
from analysis.completeness import by_cell, sentences
from analysis.errors import AnalysisError
from analysis.identity import evaluation_episodes
from analysis.runs import short_commits
from analysis.selection import Selection
from analysis.statistics import Curve, over_seeds
from macpf import names

#: Every algorithm whose name starts so is a variant of MACPF and has a dependent policy.
MACPF = "macpf"
_SCORE = "return"


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


def variants(selection: Selection) -> list[str]:
    """The variants of MACPF that have runs, ``macpf`` itself first."""
    found = {str(algo) for algo in selection.frame[names.ALGO].unique() if str(algo).startswith(MACPF)}
    return sorted(found, key=lambda algo: (algo != MACPF, algo))


def collect(selection: Selection, macpf: str) -> Figure4:
    """Work out Figure 4 with one variant of MACPF, or without if it has no runs; other variants stay out.

    Raises:
        AnalysisError: no run has logged a return, payoffs differ between runs or are missing, or runs of one method
            share no env step.
    """
    payoff = payoff_of(selection)
    algos = sorted(selection.frame[names.ALGO][_belongs(selection.frame, macpf)].unique())
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
    caption = " ".join(_sentences(selection, macpf, algos, curves, methods, joint))
    not_whole = {str(algo): words for algo, words in by_cell(selection.report, [names.ALGO]).items()}
    return Figure4(payoff, curves, methods, style.label(macpf, names.DEPENDENT), joint, not_whole, caption)


def _belongs(table: pd.DataFrame, macpf: str) -> "pd.Series[bool]":
    """Lines of the chosen variant of MACPF and of every algorithm that is no variant of it."""
    return (table[names.ALGO] == macpf) | ~table[names.ALGO].str.startswith(MACPF)


def runs_to_show(selection: Selection, algo: str) -> pd.DataFrame:
    """Report lines of the runs of an algorithm that count."""
    report = selection.report[selection.report[names.ALGO] == algo]
    return report[report["counts"]].sort_values(names.SEED)


def _lines(frame: pd.DataFrame, runs: pd.DataFrame, metric: str) -> pd.DataFrame:
    return frame[(frame["metric"] == metric) & frame["run"].isin(runs["run"])]


def payoff_of(selection: Selection) -> NDArray[np.float64]:
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
    selection: Selection, runs: pd.DataFrame, shape: tuple[int, ...], policy: str = names.DEPENDENT
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


def _sentences(
    selection: Selection,
    macpf: str,
    algos: list[str],
    curves: dict[str, Curve],
    methods: dict[str, str],
    joint: JointPolicy | None,
) -> list[str]:
    seeds: dict[str, int] = {}
    for method, curve in curves.items():
        seeds.setdefault(style.label(methods[method]), len(curve.final))
    text = [
        f"(b) Mean ± one standard deviation over seeds: {', '.join(f'{m} {n}' for m, n in seeds.items())}.",
        _protocol(selection),
    ]
    if joint is not None:
        text.append(f"(c) Seed {joint.seed} at step {joint.env_step:,}.")
    text += _flaws(selection, macpf, curves)
    if selection.excluded:
        text.append(f"Left out on request: {', '.join(selection.excluded)}.")
    used = selection.report[_belongs(selection.report, macpf)]
    commits = short_commits(used["commit"])
    facts = {
        "Map": selection.map,
        "backend": selection.backend,
        "budget": f"{selection.budget} ({int(used['total'].max()):,} env steps)",
    }
    facts["commits" if len(commits) > 1 else "commit"] = ", ".join(commits)
    text.append(", ".join(f"{key} {value}" for key, value in facts.items() if value) + ".")
    return text


def _flaws(selection: Selection, macpf: str, curves: dict[str, Curve]) -> list[str]:
    """One sentence for each way in which runs are missing, short or damaged; silence about none."""
    report = selection.report[_belongs(selection.report, macpf)].sort_values([names.ALGO, names.SEED])
    missing: list[str] = []
    for algo, group in report.groupby(names.ALGO):
        absent = sorted(set(report[names.SEED]) - set(group[names.SEED]))
        missing += [_name({names.ALGO: algo, names.SEED: seed}) for seed in absent]
    by_run = {run["run"]: _name(run) for run in report.to_dict("records")}
    parts = {
        "Missing": missing,
        "Lacking evaluations, so that only steps shared by all seeds are shown": [
            by_run[run] for run in dict.fromkeys(run for curve in curves.values() for run in curve.ragged)
        ],
        "Log damaged": [by_run[run] for run in report["run"][report["gaps"] > 0]],
    }
    told = [f"{sentence}." for sentence in sentences(report)]
    return told + [f"{what}: {', '.join(who)}." for what, who in parts.items() if who]


def _name(run: Mapping[Hashable, Any]) -> str:
    algo = run[names.ALGO]
    return f"{style.label(algo)} seed {run[names.SEED]}"


def _protocol(selection: Selection) -> str:
    """How policies were evaluated, with the number of episodes if the configurations agree on one."""
    count = evaluation_episodes(selection.configs.values())
    if count is None:
        return "Greedy evaluation."
    return f"Greedy evaluation, {count} episode{'' if count == 1 else 's'} each."
