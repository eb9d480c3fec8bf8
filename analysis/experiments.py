"""The runs that a figure or table of many maps needs, out of all that there are."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Any

import pandas as pd

from analysis import style
from analysis.completeness import sentences as sentences_of
from analysis.errors import AnalysisError
from analysis.identity import evaluation_episodes
from analysis.lengths import canonical
from analysis.runs import FINISHED, Runs, short_commits
from analysis.selection import listing, nothing_counts, refuse_mixtures
from macpf import names
from macpf.configuration import sweep_params

#: Evaluations whose mean is a run's final value (the last digits of the paper's Table 2 fit five).
LAST = 5
SCORES = {"smac": "win_rate"}
#: Cells of a table that a caption names before it counts.
NAMED = 5
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

    def planned(self, budget: str) -> tuple[int, ...]:
        """The seeds that `make reproduce-...` plans for a budget."""
        return self.seeds[:1] if budget == SMOKE else self.seeds

    @property
    def score(self) -> str:
        """What its environment calls the score."""
        return SCORES.get(self.env, "return")


@dataclass(frozen=True)
class Found:
    """An experiment's runs, of one budget and one backend.

    Attributes:
        experiment: what was looked for.
        report: as of `Runs`, the runs that are shown: those that count.
        others: as of `Runs`, those that do not.
        frame, configs: as of `Runs`, of these.
        caption: what is missing or left out, protocol, budget, backend, commits.
    """

    experiment: Experiment
    report: pd.DataFrame
    others: pd.DataFrame
    frame: pd.DataFrame
    configs: dict[str, dict[str, Any]]
    caption: str

    @property
    def not_whole(self) -> str:
        """The runs that are not whole, in words; empty if all are."""
        return "; ".join(sentences_of(pd.concat([self.report, self.others])))

    def _lines(self, map: str, algo: str, policy: str) -> pd.DataFrame:
        runs = self.report[(self.report[names.MAP] == map) & (self.report[names.ALGO] == algo)]["run"]
        metric = names.score(policy, self.experiment.score)
        return self.frame[self.frame["run"].isin(runs) & (self.frame["metric"] == metric)]

    def scores(self, map: str, algo: str, policy: str = names.INDEPENDENT) -> pd.DataFrame:
        """Scores of one cell: a column for each run, a row for each multiple of the evaluation interval."""
        lines = self._lines(map, algo, policy)
        # Episodes end where they end, so an evaluation comes at the first step past a multiple of the interval.
        intervals = {run: config[names.CONFIG][names.BUDGET]["eval_interval"] for run, config in self.configs.items()}
        interval = lines["run"].map(intervals).astype("int64")
        steps = (lines[names.ENV_STEP] // interval * interval).astype("int64")
        once = lines.assign(step=steps).drop_duplicates(["run", "step"], keep="last")
        return once.astype({"value": "float64"}).pivot(index="step", columns="run", values="value")

    def final(self, map: str, algo: str, policy: str = names.INDEPENDENT) -> "pd.Series[float]":
        """The final value of each run of a cell: the mean of its last five evaluations."""
        lines = self._lines(map, algo, policy).sort_values(names.ENV_STEP)
        values = {run: group["value"].tail(LAST).mean() for run, group in lines.groupby("run")}
        return pd.Series(values, dtype="float64")


def find(runs: Runs, experiment: Experiment, budget: str | None = None, backend: str | None = None) -> Found:
    """The runs of an experiment.

    Raises:
        AnalysisError: there are none, or of several budgets or backends, which no table may mix, or see
            `refuse_mixtures`.
    """
    report = runs.report
    wanted = report[names.MAP].isin(experiment.maps) & report[names.ALGO].isin(experiment.algos)
    all_ = report[wanted & (report[names.ENV] == experiment.env)]
    logged = report = all_[all_["counts"]]
    budget = budget and canonical(experiment.env, budget)
    for key, choice in ((names.BUDGET, budget), (names.BACKEND, backend)):
        if choice is not None:
            report = report[report[key] == choice]
        kinds = sorted(report[key].unique())
        if len(kinds) > 1:
            raise AnalysisError(
                f"there are runs with {key} {', '.join(kinds)}, which no figure mixes: --{key} {kinds[0]}"
            )
    if report.empty and len(logged):
        raise AnalysisError(f"no run of {experiment.name} is of this kind; there are: {listing(logged)}")
    if report.empty:
        raise AnalysisError(nothing_counts(all_, experiment.name, experiment.name))
    refuse_mixtures(report, runs.configs)
    others = all_[~all_["counts"]]
    for key in (names.BUDGET, names.BACKEND):
        others = others[others[key].isin([report[key].iloc[0], ""])]
    kept = runs.only(report)
    return Found(experiment, report, others, kept.frame, kept.configs, _caption(experiment, kept, others))


def _caption(experiment: Experiment, runs: Runs, others: pd.DataFrame) -> str:
    shown = runs.report
    budget, backend = shown[names.BUDGET].iloc[0], shown[names.BACKEND].iloc[0]
    seeds = experiment.planned(budget)
    planned = set(product(experiment.maps, experiment.algos, seeds))
    score = names.score(names.INDEPENDENT, experiment.score)
    scored = runs.frame[runs.frame["metric"] == score]
    finished = shown[(shown["state"] == FINISHED) & shown["run"].isin(scored["run"])]
    missing = planned - set(_places(finished))
    commits = short_commits(shown["commit"])
    sentences = [
        f"{len(planned) - len(missing)} of {len(planned)} planned runs are finished",
        f"Missing: {_cells(missing, len(seeds))}" if missing and len(missing) < len(planned) else "",
        *sentences_of(pd.concat([shown, others])),
        f"Left out on request: {', '.join(runs.excluded)}" if runs.excluded else "",
        _protocol(runs),
        f"Budget {budget} ({int(shown['total'].max()):,} env steps), backend {backend}",
        "THIS IS A SMOKE RUN, which says nothing about the methods" if budget == SMOKE else "",
        f"Commits {', '.join(commits)}" if commits else "",
    ]
    return ". ".join(sentence for sentence in sentences if sentence) + "."


def _places(report: pd.DataFrame) -> list[tuple[str, str, int]]:
    return list(zip(report[names.MAP], report[names.ALGO], report[names.SEED], strict=True))


def _cells(runs: Iterable[tuple[str, str, int]], planned: int) -> str:
    """Runs by method and map, a long list cut short; a cell without seeds means all of them."""
    seeds: dict[str, list[int]] = defaultdict(list)
    for map_, algo, seed in sorted(runs):
        seeds[f"{style.label(algo)} on {map_}"].append(seed)
    texts = [
        cell if len(s) == planned else f"{cell} (seed{'s' * (len(s) > 1)} {', '.join(map(str, s))})"
        for cell, s in seeds.items()
    ]
    return "; ".join(texts[:NAMED]) + (f"; and {len(texts) - NAMED} more" if len(texts) > NAMED else "")


def _protocol(runs: Runs) -> str:
    """How policies were evaluated, as far as all settings agree."""
    configs = runs.configs.values()
    episodes = evaluation_episodes(configs)
    intervals = {config[names.CONFIG][names.BUDGET]["eval_interval"] for config in configs}
    text = "Greedy evaluation"
    if episodes is not None:
        text += f", {episodes} episodes"
    if len(intervals) == 1:
        text += f" every {intervals.pop():,} env steps"
    return text
