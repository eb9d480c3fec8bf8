"""Runs that may share a curve or a table: one environment, budget, length and backend."""

from dataclasses import dataclass, replace

from analysis.evidence import SMOKE
from analysis.run_facts import full_length
from analysis.runs import NO_DATA, Runs
from analysis.style import place
from macpf import names
from macpf.choices import sweep_params

#: Beginnings of the metrics of training that the page shows: losses, temperatures and gradient norms.
TRAINING = ("train/loss/", "train/alpha", "train/gradient_norm/")
_KEYS = [names.ENV, names.BUDGET, "total", names.BACKEND]
#: The environments and budgets that the page shows first.
_ENVS = [sweep_params(experiment)["env"] for experiment in ("table2", "table1", "figure4")]
_BUDGETS = ["paper", "laptop", SMOKE]


@dataclass(frozen=True)
class Group:
    """All runs of one environment, budget, length and backend.

    Attributes:
        total: env steps that each run is meant to have.
        runs: the runs that have data; `frame` holds evaluations, sampled episodes and the metrics of `TRAINING`.
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
        """The env steps of its budget if its runs are meant to have another number; else, or if it is unknown, None."""
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


def groups(runs: Runs) -> list[Group]:
    """All runs with data, split so that nothing is mixed."""
    shown = replace(runs, frame=runs.frame[runs.frame["metric"].str.startswith(("eval/", "sampled/", *TRAINING))])
    logged = runs.report[runs.report["state"] != NO_DATA]
    parted = [
        Group(
            **{key: str(report[key].iloc[0]) for key in (names.ENV, names.BUDGET, names.BACKEND)},
            total=int(report["total"].iloc[0]),
            runs=shown.only(report),
        )
        for _, report in logged.groupby(_KEYS)
    ]
    return sorted(parted, key=lambda g: (place(g.env, _ENVS), place(g.budget, _BUDGETS), -g.total, g.backend))
