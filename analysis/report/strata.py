"""Runs that may share a curve or a table: one environment, budget, length and backend."""

from __future__ import annotations

from dataclasses import dataclass, replace

from analysis.evidence import SMOKE
from analysis.lengths import full_length
from analysis.report.training import METRICS
from analysis.runs import NO_DATA, Runs
from macpf import names

_KEYS = [names.ENV, names.BUDGET, "total", names.BACKEND]
#: What the page shows first.
_ENVS, _BUDGETS = ("smac", "mpe", "matrix_game"), ("paper", "laptop", SMOKE)


@dataclass(frozen=True)
class Stratum:
    """All runs of one environment, budget, length and backend.

    Attributes:
        env, budget, backend: their names.
        total: env steps that each run is meant to have.
        runs: the runs that have data; `frame` holds evaluations, sampled episodes and what `training` shows.
    """

    env: str
    budget: str
    total: int
    backend: str
    runs: Runs

    @property
    def is_smoke(self) -> bool:
        """Whether its runs only show that everything works."""
        return self.budget == SMOKE

    @property
    def changed_from(self) -> int | None:
        """The env steps that its budget promises, None if it has them (or nobody knows the budget)."""
        promised = full_length(self.env, self.budget)
        return None if promised in (None, self.total) else promised

    @property
    def is_result(self) -> bool:
        """Whether its runs say something about the methods."""
        return not self.is_smoke and self.changed_from is None

    @property
    def title(self) -> str:
        """Budget, length and backend in words."""
        return f"{self.budget} budget, {self.total:,} env steps, {self.backend} backend"

    @property
    def maps(self) -> list[str]:
        """Its maps, by name."""
        return sorted(self.runs.report[names.MAP].unique())

    def on(self, map_: str) -> Runs:
        """Its runs on one map."""
        return self.runs.only(self.runs.report[self.runs.report[names.MAP] == map_])


def strata(runs: Runs) -> list[Stratum]:
    """All runs with data, parted so that nothing is mixed."""
    evaluated = replace(runs, frame=runs.frame[runs.frame["metric"].str.startswith(("eval/", "sampled/", *METRICS))])
    logged = runs.report[runs.report["state"] != NO_DATA]
    parted = [
        Stratum(
            **{key: str(group[key].iloc[0]) for key in (names.ENV, names.BUDGET, names.BACKEND)},
            total=int(group["total"].iloc[0]),
            runs=evaluated.only(group),
        )
        for _, group in logged.groupby(_KEYS)
    ]
    return sorted(parted, key=lambda s: (_place(s.env, _ENVS), _place(s.budget, _BUDGETS), -s.total, s.backend))


def _place(name: str, order: tuple[str, ...]) -> tuple[int, str]:
    return (order.index(name) if name in order else len(order), name)
