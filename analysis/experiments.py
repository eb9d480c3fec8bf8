"""The runs that a figure or table of many maps needs, out of all that there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import pandas as pd

from analysis.errors import AnalysisError
from analysis.runs import FINISHED, NO_DATA, Runs, short_commits
from macpf import names
from macpf.configuration import sweep_params

#: Evaluations whose mean is a run's final value (the last digits of the paper's Table 2 fit five).
LAST = 5
SCORES = {"smac": "win_rate"}
#: The budget whose runs only show that everything works.
SMOKE = "smoke"


@dataclass(frozen=True)
class Experiment:
    """What `conf/experiment/<name>.yaml` asks for."""

    name: str
    env: str
    maps: tuple[str, ...]
    algos: tuple[str, ...]
    seeds: tuple[int, ...]

    @classmethod
    def read(cls, name: str) -> "Experiment":
        """From its file."""
        params = sweep_params(name)
        maps, algos, seeds = (params[key].split(",") for key in ("map", "algo", "seed"))
        return cls(name, params["env"], tuple(maps), tuple(algos), tuple(int(seed) for seed in seeds))

    @property
    def score(self) -> str:
        """What its environment calls the score."""
        return SCORES.get(self.env, "return")


@dataclass(frozen=True)
class Found:
    """An experiment's runs, of one budget and one backend.

    Attributes:
        experiment: what was looked for.
        report: as of `Runs`, the runs that are shown: finished ones, and where a cell has none, those that go on.
        frame: as of `Runs`, of these.
        intervals: env steps between two evaluations, by run.
        caption: seeds, what is missing, protocol, budget, backend, commits.
    """

    experiment: Experiment
    report: pd.DataFrame
    frame: pd.DataFrame
    intervals: dict[str, int]
    caption: str

    def _lines(self, map: str, algo: str, policy: str) -> pd.DataFrame:
        runs = self.report[(self.report[names.MAP] == map) & (self.report[names.ALGO] == algo)]["run"]
        metric = names.score(policy, self.experiment.score)
        return self.frame[self.frame["run"].isin(runs) & (self.frame["metric"] == metric)]

    def scores(self, map: str, algo: str, policy: str = names.INDEPENDENT) -> pd.DataFrame:
        """Scores of one cell: a column for each run, a row for each multiple of the evaluation interval."""
        lines = self._lines(map, algo, policy)
        # Episodes end where they end, so an evaluation comes at the first step past a multiple of the interval.
        interval = lines["run"].map(self.intervals).astype("int64")
        steps = (lines[names.ENV_STEP] // interval * interval).astype("int64")
        once = lines.assign(step=steps).drop_duplicates(["run", "step"], keep="last")
        return once.pivot(index="step", columns="run", values="value").astype("float64")

    def final(self, map: str, algo: str, policy: str = names.INDEPENDENT) -> "pd.Series[float]":
        """The final value of each run of a cell: the mean of its last five evaluations; NaN stays NaN."""
        lines = self._lines(map, algo, policy).sort_values(names.ENV_STEP)
        values = {run: group["value"].tail(LAST).mean(skipna=False) for run, group in lines.groupby("run")}
        return pd.Series(values, dtype="float64")


def find(
    runs: Runs,
    experiment: Experiment,
    budget: str | None = None,
    backend: str | None = None,
    exclude: Sequence[str] = (),
) -> Found:
    """The runs of an experiment.

    Raises:
        AnalysisError: there are none, or of several budgets, backends or configurations, which no table may mix.
    """
    report = runs.report
    report = report[[not any(text in run for text in exclude) for run in report["run"]]]
    wanted = report[names.MAP].isin(experiment.maps) & report[names.ALGO].isin(experiment.algos)
    report = report[wanted & (report[names.ENV] == experiment.env) & (report["state"] != NO_DATA)]
    for key, choice in ((names.BUDGET, budget), (names.BACKEND, backend)):
        if choice is not None:
            report = report[report[key] == choice]
        kinds = sorted(report[key].unique())
        if len(kinds) > 1:
            raise AnalysisError(
                f"there are runs with {key} {', '.join(kinds)}, which no figure mixes: --{key} {kinds[0]}"
            )
    if report.empty:
        raise AnalysisError(
            f"no run of {experiment.name} has data yet; type: python run.py -m +experiment={experiment.name}"
        )
    _refuse_two_configurations(report)
    shown = pd.concat(
        [
            group[group["state"] == FINISHED] if (group["state"] == FINISHED).any() else group
            for _, group in report.groupby([names.MAP, names.ALGO])
        ]
    )
    intervals = {run: int(runs.configs[run][names.CONFIG][names.BUDGET]["eval_interval"]) for run in shown["run"]}
    frame = runs.frame[runs.frame["run"].isin(shown["run"])]
    return Found(experiment, shown, frame, intervals, _caption(experiment, shown))


def _refuse_two_configurations(report: pd.DataFrame) -> None:
    for (map_, algo), group in report.groupby([names.MAP, names.ALGO]):
        kinds = group.groupby(group["run"].str.rsplit("-s", n=1).str[0])["run"].first()
        if len(kinds) > 1:
            one, other = kinds.iloc[:2]
            raise AnalysisError(f"{algo} on {map_} ran with two configurations ({one}, {other}): --exclude one of them")


def _caption(experiment: Experiment, shown: pd.DataFrame) -> str:
    budget, backend = shown[names.BUDGET].iloc[0], shown[names.BACKEND].iloc[0]
    seeds = experiment.seeds[:1] if budget == SMOKE else experiment.seeds  # as `make reproduce-...` plans them
    planned = set(product(experiment.maps, experiment.algos, seeds))
    finished = shown[shown["state"] == FINISHED]
    done = set(zip(finished[names.MAP], finished[names.ALGO], finished[names.SEED], strict=True))
    unfinished = len(shown) - len(finished)
    commits = short_commits(shown["commit"])
    sentences = [
        f"{len(planned & done)} of {len(planned)} planned runs are finished",
        f"{unfinished} unfinished ones are shown where a method has no finished run" if unfinished else "",
        f"Budget {budget} ({int(shown['total'].max()):,} env steps), backend {backend}",
        "THIS IS A SMOKE RUN, which says nothing about the methods" if budget == SMOKE else "",
        f"Commits {', '.join(commits)}" if commits else "",
    ]
    return ". ".join(sentence for sentence in sentences if sentence) + "."
