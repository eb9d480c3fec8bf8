"""The paper's claims, judged by the runs of each budget and backend that say something about the methods."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.claims import CONTRADICTED, SUPPORTED, UNDECIDED, ledger
from analysis.report.tables import PaperTable

#: In the order of the filter.
VERDICTS = (SUPPORTED, CONTRADICTED, UNDECIDED)


@dataclass(frozen=True)
class Ledger:
    """Every claim with its verdicts.

    Attributes:
        title: which runs judge; empty if none do.
        lines: as `analysis.claims.ledger` has them.
    """

    title: str
    lines: pd.DataFrame

    @property
    def verdict_columns(self) -> list[str]:
        """The columns that hold verdicts."""
        return [str(name) for name in self.lines if self.lines[name].isin(VERDICTS).all()]


def ledgers(tables: Sequence[PaperTable]) -> list[Ledger]:
    """One ledger for each budget and backend with results; one without runs if there is none."""
    judges: dict[str, dict[str, pd.DataFrame]] = defaultdict(dict)
    for table in tables:
        if table.stratum is not None and table.stratum.is_result:
            judges[f"{table.stratum.budget} budget, {table.stratum.backend} backend"][table.name] = table.cells
    return [Ledger(title, ledger(by_name)) for title, by_name in judges.items()] or [Ledger("", ledger({}))]
