"""Tables 1 and 2 from our runs, beside the paper's."""

from collections.abc import Hashable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis import paper, style
from analysis.evidence import LAST, PAPER, SMOKE, Evidence
from analysis.runs import FINISHED
from analysis.saving import save, with_caption
from macpf import names


def write_table(found: Evidence, out: Path) -> list[Path]:
    """Write an experiment's table as CSV, Markdown and LaTeX."""
    name, frame = found.experiment.name, cells(found)
    pages, compared = [_page(frame, found, "**{}**").to_markdown()], _compared(frame, found)
    fewer = ", or of all, where there are fewer" * found.few_evaluations
    protocol = [f"Mean ± standard deviation over seeds of the mean of the last {LAST} evaluations{fewer}"]
    if frame["paper_mean"].notna().any():
        protocol.append("Brackets: the paper's mean")
    if frame[["bold", "paper_bold"]].any(axis=None):
        which = "two or more finished" if found.experiment.of_runs else "all planned"
        protocol.append(f"Bold: at least the best mean minus its deviation, of ours among methods with {which} runs")
    if compared is not None:
        pages.append(compared.to_markdown(index=False, disable_numparse=True))
        protocol.append("Intervals: 95 %, for normal runs. Verdicts: Welch's test at 5 %, each cell by itself")
    caption = found.caption(*protocol)
    latex, markdown = _latex(_page(frame, found, r"\textbf{{{}}}"), caption), with_caption("\n\n".join(pages), caption)
    contents: dict[str, pd.DataFrame | str] = {"csv": frame, "md": markdown, "tex": latex}
    return save({out / f"{name}.{suffix}": content for suffix, content in contents.items()})


def cells(found: Evidence) -> pd.DataFrame:
    """One line for each map and method: mean and std, ours and the paper's, whether they are bold, and their gap.

    Only a cell with all planned seeds, each finished (`whole`), can be bold, because a single lucky run has no
    deviation; without a plan it has to have two. `gap` is our mean minus the paper's; `gap_in_errors` is the gap in
    standard errors of the difference (NaN for a single seed). std is the population's, as in the paper's plots. `low`
    and `high` are the ends of the 95 % interval of our mean (normal runs; NaN for a single seed). `verdict` says
    whether ours and the paper's mean differ (Welch's test at 5 %, each cell by itself), and the budget if it is not the
    paper's. `not_whole` says what is wrong with a cell's runs.
    """
    lines = []
    unfinished = set(found.report["run"][found.report["state"] != FINISHED])
    planned = len(found.experiment.planned(found.budget)) if len(found.report) else 0
    for map_, algo in product(found.experiment.maps, found.experiment.algos):
        final = found.final(map_, algo)
        lines.append({names.MAP: map_, names.ALGO: algo, "seeds": len(final), "mean": final.mean()})
        lines[-1]["std"] = final.std(ddof=0)
        lines[-1]["unfinished"] = len(unfinished & set(final.index))
        lines[-1]["whole"] = len(final) >= planned and not lines[-1]["unfinished"]
    theirs = paper.table(found.experiment.name).rename(columns={"mean": "paper_mean", "std": "paper_std"})
    frame = pd.DataFrame(lines).merge(theirs, on=[names.MAP, names.ALGO], how="left")
    sure = frame["whole"] & ((frame["seeds"] > 1) | (not found.experiment.of_runs))
    marks = paper.marks(frame.assign(mean=frame["mean"].where(sure)))
    frame["bold"] = marks & (found.budget != SMOKE)  # a smoke run says nothing about a method
    frame["paper_bold"] = paper.marks(frame, "paper_mean", "paper_std")
    frame["not_whole"] = [found.flaws.get(place, "") for place in zip(frame[names.MAP], frame[names.ALGO], strict=True)]
    frame["gap"] = frame["mean"] - frame["paper_mean"]
    variances = frame["std"] ** 2 / (frame["seeds"] - 1).clip(lower=0), frame["paper_std"] ** 2 / (paper.SEEDS - 1)
    error = np.sqrt(sum(variances))
    frame["gap_in_errors"] = (frame["gap"] / error).where(frame["seeds"] > 1)
    half = stats.t.ppf(0.975, (frame["seeds"] - 1).clip(lower=1)) * np.sqrt(variances[0])
    frame["low"], frame["high"] = ((frame["mean"] + sign * half).where(frame["seeds"] > 1) for sign in (-1, 1))
    budget = "" if found.budget == PAPER else f" (budget {found.budget})"
    frame["verdict"] = [verdict and verdict + budget for verdict in map(_verdict, frame.to_dict("records"))]
    return frame


def _verdict(line: dict[Hashable, Any]) -> str:
    """How a cell stands to the paper's, in words; empty where the paper has no number or we have no run."""
    if not line["seeds"] or not np.isfinite(line["paper_mean"]):
        return ""
    if line["seeds"] < 2:
        return "a single run"
    if line["seeds"] < 3 and line["std"] == 0:
        return "two equal runs"
    ours, theirs = (
        (line[f"{of}mean"], line[f"{of}std"], n) for of, n in (("", line["seeds"]), ("paper_", paper.SEEDS))
    )
    # std is the population's, and the test takes the sample's.
    samples = [(mean, std * np.sqrt(n / (n - 1)), n) for mean, std, n in (ours, theirs)]
    with np.errstate(divide="ignore", invalid="ignore"):
        p = stats.ttest_ind_from_stats(*samples[0], *samples[1], equal_var=False).pvalue
    if p > 0.05 or (np.isnan(p) and line["gap"] == 0):
        return "not told apart"
    return "above the paper's" if line["gap"] > 0 else "below the paper's"


def _page(frame: pd.DataFrame, found: Evidence, strong: str) -> pd.DataFrame:
    """The table for readers: a row for each map, a column for each method, the paper's mean in brackets."""
    digits = 3 if found.score == "win_rate" else 2

    def shown(line: pd.Series) -> str:
        ours, theirs = "–", ""
        if line["seeds"]:
            ours = f"{line['mean']:.{digits}f} ± {line['std']:.{digits}f}"
            ours = strong.format(ours) if line["bold"] else ours
            if not line["whole"] or line["seeds"] == 1 or found.experiment.of_runs:
                ours += f", n={line['seeds']}" + ", unfinished" * (line["unfinished"] > 0)
        if np.isfinite(line["paper_mean"]):
            theirs = f"{line['paper_mean']:.{digits}f}"
            theirs = f" ({strong.format(theirs) if line['paper_bold'] else theirs})"
        return ours + theirs

    text = frame.assign(cell=frame.apply(shown, axis=1), method=frame[names.ALGO].map(style.label))
    page = text.pivot(index=names.MAP, columns="method", values="cell").reindex(list(found.experiment.maps))
    return page[style.order(page.columns)].rename_axis(None, axis=1)


def _compared(frame: pd.DataFrame, found: Evidence) -> pd.DataFrame | None:
    """A row for each cell that has runs and a number of the paper: both means, our interval and the verdict."""
    told = frame[frame["verdict"] != ""]
    digits = 3 if found.score == "win_rate" else 2
    if told.empty or found.budget == SMOKE:
        return None

    def number(value: float) -> str:
        return f"{value:.{digits}f}"

    ends = zip(told["low"], told["high"], strict=True)
    between = [f"[{number(low)}, {number(high)}]" if low < high else "" for low, high in ends]
    return pd.DataFrame(
        {
            "map": told[names.MAP],
            "method": told[names.ALGO].map(style.label),
            "runs": told["seeds"],
            "ours": told["mean"].map(number),
            "95 % interval": between,
            "the paper's": told["paper_mean"].map(number),
            "verdict": told["verdict"],
        }
    )


def _latex(page: pd.DataFrame, caption: str) -> str:
    """The page as a LaTeX table; pandas' own function would load a template engine."""
    rows = [["", *page.columns], [str(page.index.name), *[""] * len(page.columns)]]
    cells_ = [[str(map_).replace("_", r"\_"), *line] for map_, line in zip(page.index, page.to_numpy(), strict=True)]
    head, body = ([" & ".join(row) + r" \\" for row in part] for part in (rows, cells_))
    lines = [
        *(r"\begin{table}", r"\caption{" + caption.replace("_", r"\_") + "}"),
        *(r"\begin{tabular}{" + "l" * len(rows[0]) + "}", r"\toprule", *head, r"\midrule", *body),
        *(r"\bottomrule", r"\end{tabular}", r"\end{table}", ""),
    ]
    return "\n".join(lines).replace("±", r"$\pm$")
