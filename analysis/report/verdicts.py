"""The paper's claims, judged by the runs of each budget and backend that say something about the methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.claims import CONTRADICTED, FIGURE_ONLY, SUPPORTED, UNDECIDED, VERDICT_COLUMNS, ledger
from analysis.claims.evidence import gather
from analysis.report.strata import Stratum
from analysis.runs import Runs

GAMES = ("matrix_game", "multigoal")
#: In the order of the filter; ours may go on with the budget.
VERDICTS = (SUPPORTED, CONTRADICTED, UNDECIDED, FIGURE_ONLY)


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
    def verdict_columns(self) -> tuple[str, ...]:
        """The columns that hold verdicts."""
        return VERDICT_COLUMNS


def ledgers(runs: Runs, parted: Sequence[Stratum]) -> list[Ledger]:
    """One ledger for each budget and backend with results; one without runs if there is none.

    The games have a backend of their own, and join the others of their budget.
    """
    judges = [stratum for stratum in parted if stratum.is_result]
    kinds = {(s.budget, s.backend) for s in judges if s.env not in GAMES}
    kinds |= {(s.budget, s.backend) for s in judges if s.budget not in {budget for budget, _ in kinds}}
    kept = {run for stratum in judges for run in stratum.runs.report["run"]}
    results = runs.only(runs.report[runs.report["run"].isin(kept)])
    judged = [
        Ledger(f"{budget} budget, {backend} backend", ledger(gather(results, budget, backend)))
        for budget, backend in sorted(kinds)
    ]
    return judged or [Ledger("", ledger({}))]
