"""Tables 1 and 2 beside the paper's, one for each budget, length and backend that has runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis import paper
from analysis.comparison import compare
from analysis.errors import AnalysisError
from analysis.evidence import Evidence, Experiment
from analysis.experiments import find
from analysis.normalisation import refuse_other_rules
from analysis.report.strata import Stratum
from analysis.tables.aggregates import aggregates, caption, page
from analysis.tables.beside_paper import cells
from macpf import names

TABLES = {"table1": "Table 1: particle tasks, reward per episode", "table2": "Table 2: SMAC maps, win rate"}


@dataclass(frozen=True)
class PaperTable:
    """One of the paper's tables with runs of one stratum, or with none.

    Attributes:
        name: ``table1`` or ``table2``.
        stratum: where its runs come from; None for the paper's numbers alone.
        cells: lines as `analysis.tables.beside_paper.cells` has them.
        caption: what a reader has to know; if the runs cannot be shown, why and what to type.
        digits: decimal places.
        statistics: over all maps, see `analysis.tables.aggregates.page`; None without runs that can be compared.
        about: what a reader of them has to know, or why there are none.
    """

    name: str
    stratum: Stratum | None
    cells: pd.DataFrame
    caption: str
    digits: int
    statistics: pd.DataFrame | None = None
    about: str = ""

    @property
    def title(self) -> str:
        """What it shows."""
        return TABLES[self.name]


def paper_tables(parted: Sequence[Stratum]) -> list[PaperTable]:
    """Both tables, for every stratum that has runs of theirs."""
    return [table for name in TABLES for table in _of(Experiment.read(name), parted)]


def _of(experiment: Experiment, parted: Sequence[Stratum]) -> list[PaperTable]:
    published, tables = paper.table(experiment.name), []
    digits = paper.digits(published["mean"])
    for stratum in parted:
        report = stratum.runs.report
        wanted = report[names.MAP].isin(experiment.maps) & report[names.ALGO].isin(experiment.algos)
        if stratum.env != experiment.env or not wanted.any():
            continue
        try:
            found = find(stratum.runs, experiment)
        except AnalysisError as error:  # two configurations of one algorithm, which no table may pool
            alone = cells(_nothing(experiment), published)
            tables.append(PaperTable(experiment.name, stratum, alone, f"Runs are not shown: {error}.", digits))
        else:
            tables.append(
                PaperTable(
                    experiment.name, stratum, cells(found, published), found.caption, digits, *_statistics(found)
                )
            )
    if not tables:
        tables.append(PaperTable(experiment.name, None, cells(_nothing(experiment), published), "", digits))
    return tables


def _statistics(found: Evidence) -> tuple[pd.DataFrame | None, str]:
    """Over all maps that all methods have, with what a reader has to know."""
    try:
        refuse_other_rules(found.configs)
        comparison = compare(found)
    except AnalysisError as error:
        return None, f"No statistics over maps: {error}."
    return page(aggregates(comparison)).rename_axis("method").reset_index(), caption(comparison, found)


def _nothing(experiment: Experiment) -> Evidence:
    columns = [names.MAP, names.ALGO, names.BUDGET, names.BACKEND, names.SEED, "run", "state", "counts", "gaps"]
    report = pd.DataFrame(columns=columns)
    frame = pd.DataFrame(columns=["run", "metric", names.ENV_STEP, "value"])
    return Evidence(experiment, report, report, frame, {})
