"""What there is of an experiment, and what is not: what figures, tables, claims and the report render."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from analysis import style
from analysis.completeness import by_cell, sentences
from analysis.identity import evaluation_episodes
from analysis.runs import FINISHED, short_commits
from macpf import names
from macpf.configuration import sweep_params

#: Evaluations whose mean is a run's final value (the last digits of the paper's Table 2 fit five).
LAST = 5
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


@dataclass(frozen=True)
class Evidence:
    """An experiment's runs, of one budget and one backend, beside what was planned.

    Attributes:
        experiment: what was looked for.
        report: as of `Runs`, the runs that are shown: those that count.
        others: as of `Runs`, those that do not.
        frame, configs: as of `Runs`, of the runs that are shown.
        excluded: what was left out on request.
    """

    experiment: Experiment
    report: pd.DataFrame
    others: pd.DataFrame
    frame: pd.DataFrame
    configs: dict[str, dict[str, Any]]
    excluded: tuple[str, ...] = field(default=())

    @cached_property
    def all(self) -> pd.DataFrame:
        """The report of all its runs, shown or not."""
        return pd.concat([self.report, self.others], ignore_index=True)

    def of(self, algos: Sequence[str]) -> "Evidence":
        """Only the runs of these algorithms, and only they are planned."""
        report, others = (part[part[names.ALGO].isin(algos)] for part in (self.report, self.others))
        kept = set(report["run"])
        frame = self.frame[self.frame["run"].isin(kept)]
        configs = {run: config for run, config in self.configs.items() if run in kept}
        planned = tuple(algo for algo in algos if algo in (*self.experiment.algos, *report[names.ALGO]))
        return Evidence(replace(self.experiment, algos=planned), report, others, frame, configs, self.excluded)

    @property
    def budget(self) -> str:
        """Of all these runs."""
        return str(self.report[names.BUDGET].iloc[0]) if len(self.report) else ""

    @property
    def backend(self) -> str:
        """Of all these runs."""
        return str(self.report[names.BACKEND].iloc[0]) if len(self.report) else ""

    @property
    def map(self) -> str:
        """The first of its maps, the only one of a selection."""
        return self.experiment.maps[0]

    @cached_property
    def score(self) -> str:
        """What its environment calls the score."""
        return score_of(self.frame, self.configs)

    @cached_property
    def planned(self) -> frozenset[tuple[str, str, int]]:
        """Map, algorithm and seed of every run that should be there."""
        seeds = self.experiment.planned(self.budget)
        return frozenset(product(self.experiment.maps, self.experiment.algos, seeds))

    @cached_property
    def missing(self) -> frozenset[tuple[str, str, int]]:
        """Those of them that are not finished, or have no score."""
        scored = set(self._evaluations["run"].unique())
        done = self.report[(self.report["state"] == FINISHED) & self.report["run"].isin(scored)]
        return self.planned - set(places(done))

    @cached_property
    def _evaluations(self) -> pd.DataFrame:
        return self.frame[self.frame["metric"].str.startswith("eval/")]

    @cached_property
    def _by_run(self) -> dict[Any, pd.DataFrame]:
        return dict(iter(self._evaluations.groupby("run")))

    def lines(self, map: str, algo: str, policy: str = names.INDEPENDENT) -> pd.DataFrame:
        """The scores of one policy in the runs of a cell; `independent` is whichever policy a run puts first."""
        runs = self.report["run"][(self.report[names.MAP] == map) & (self.report[names.ALGO] == algo)]
        metric = {run: names.score(_policy(self.configs.get(run, {}), policy), self.score) for run in runs}
        own = pd.concat([self._evaluations.iloc[:0], *(self._by_run[run] for run in runs if run in self._by_run)])
        return own[own["metric"] == own["run"].map(metric)]

    def scores(self, map: str, algo: str, policy: str = names.INDEPENDENT) -> pd.DataFrame:
        """Scores of one cell: a column for each run, a row for each multiple of the evaluation interval."""
        lines = self.lines(map, algo, policy)
        # Episodes end where they end, so an evaluation comes at the first step past a multiple of the interval.
        intervals = {run: config[names.CONFIG][names.BUDGET]["eval_interval"] for run, config in self.configs.items()}
        interval = lines["run"].map(intervals).astype("int64")
        steps = (lines[names.ENV_STEP] // interval * interval).astype("int64")
        once = lines.assign(step=steps).drop_duplicates(["run", "step"], keep="last")
        return once.astype({"value": "float64"}).pivot(index="step", columns="run", values="value")

    def final(self, map: str, algo: str, policy: str = names.INDEPENDENT) -> "pd.Series[float]":
        """The final value of each run of a cell: the mean of its last five evaluations."""
        lines = self.lines(map, algo, policy).sort_values(names.ENV_STEP)
        values = {run: group["value"].tail(LAST).mean() for run, group in lines.groupby("run")}
        return pd.Series(values, dtype="float64")

    @cached_property
    def flaws(self) -> dict[tuple[str, str], str]:
        """For files: what is wrong with the runs of each cell, by map and algorithm; planned runs may be missing."""
        keys = [names.MAP, names.ALGO]
        told: dict[Any, list[str]] = defaultdict(list)
        for cell, words in by_cell(self.all, keys).items():
            told[cell].append(words)
        there = set(places(self.all))
        for map_, algo, seed in sorted(self.planned - there):
            told[map_, algo].append(f"seed {seed}: missing")
        for run in self.all[self.all["gaps"] > 0].to_dict("records"):
            told[run[names.MAP], run[names.ALGO]].append(f"seed {run[names.SEED]}: its log is damaged")
        return {cell: "; ".join(words) for cell, words in told.items()}

    @property
    def not_whole(self) -> str:
        """What is wrong with its runs, in words; empty if all is well."""
        return "; ".join(self._trouble())

    @property
    def digest(self) -> str:
        """Eight digits that tell these evaluations and sampled episodes from any others."""
        of = blake2b("\n".join(sorted(self.report["run"] + self.report["origin"])).encode(), digest_size=4)
        drawn = self.frame["value"][self.frame["metric"].str.startswith(("eval/", "sampled/"))]
        of.update(np.ascontiguousarray(drawn.to_numpy(dtype=np.float64)).tobytes())
        return of.hexdigest()

    @property
    def caption(self) -> str:
        """`caption_after` nothing."""
        return self.caption_after()

    def caption_after(self, *first: str) -> str:
        """All that a reader has to know: `first`, then what is missing or left out, protocol, origin."""
        shown, budget = self.report, self.budget
        commits, maps = short_commits(shown["commit"]), self.experiment.maps
        text = [
            *first,
            f"{len(self.planned) - len(self.missing)} of {len(self.planned)} planned runs are finished",
            *self._trouble(),
            f"Left out on request: {', '.join(self.excluded)}" if self.excluded else "",
            _protocol(self.configs),
            f"Map {maps[0]}" if len(maps) == 1 else "",
            f"Budget {budget} ({int(shown['total'].max()):,} env steps), backend {self.backend}" if len(shown) else "",
            "THIS IS A SMOKE RUN, which says nothing about the methods" if budget == SMOKE else "",
            f"Commits {', '.join(commits)}" if commits else "",
            f"Data {self.digest}" if len(shown) else "",
        ]
        return ". ".join(sentence.rstrip(".") for sentence in text if sentence) + "."

    def _trouble(self) -> list[str]:
        plan = self.experiment.maps, self.experiment.algos, self.experiment.planned(self.budget)
        return trouble(self.all, self.missing, *plan)


def trouble(
    report: pd.DataFrame,
    missing: Iterable[tuple[str, str, int]],
    maps: Sequence[str],
    algos: Sequence[str],
    seeds: Sequence[int],
) -> list[str]:
    """A sentence for each way in which runs are not what was planned: missing, not whole, damaged."""
    absent, damaged = grouped(missing, maps, algos, seeds), places(report[report["gaps"] > 0])
    told = [f"Missing: {absent}" if absent else "", *sentences(report)]
    return [text for text in (*told, f"Log damaged: {grouped(damaged, maps, algos, seeds)}" if damaged else "") if text]


def grouped(
    runs: Iterable[tuple[str, str, int]], maps: Sequence[str], algos: Sequence[str], seeds: Sequence[int]
) -> str:
    """Runs of a plan in few words: whole methods, whole maps, then cells; a cell without seeds means all of them."""
    left, parts, several = set(runs), [], len(maps) > 1
    for algo in algos:
        row = set(product(maps, [algo], seeds))
        if seeds and row <= left:
            parts.append(f"{style.label(algo)} on {f'all {len(maps)} maps' if several else maps[0]}")
            left -= row
    for map_ in maps:
        column = {run for run in product([map_], algos, seeds) if run in left}
        if several and len(algos) > 1 and len(column) == len(algos) * len(seeds):
            parts.append(f"all methods on {map_}")
            left -= column
    cells: dict[str, list[int]] = defaultdict(list)
    for map_, algo, seed in sorted(left):
        cells[f"{style.label(algo)} on {map_}"].append(seed)
    texts = [cell if len(s) == len(seeds) else f"{cell} ({numbers(s)})" for cell, s in cells.items()]
    more = [f"and {len(texts) - NAMED} more"] if len(texts) > NAMED else []
    return "; ".join([*parts, *texts[:NAMED], *more])


def score_of(frame: pd.DataFrame, configs: Mapping[str, Mapping[str, Any]]) -> str:
    """What the environment of some runs calls its score: they say so, and older ones show it by what they logged."""
    told = {str(config[names.SCORE]) for config in configs.values() if config.get(names.SCORE)}
    if len(told) == 1:
        return told.pop()
    won = names.score(names.INDEPENDENT, "win_rate")
    return "win_rate" if (frame["metric"] == won).any() else "return"


def evaluated(frame: pd.DataFrame) -> tuple[str, ...]:
    """The policies that some runs evaluated, `independent` first."""
    parts = [metric.split("/") for metric in frame["metric"].unique() if metric.startswith("eval/")]
    policies = {part[1] for part in parts if len(part) == 3}
    return tuple(sorted(policies, key=lambda policy: (policy != names.INDEPENDENT, policy)))


def numbers(seeds: Sequence[int]) -> str:
    """``seed 3``, ``seeds 0, 2``, ``seeds 5 to 49``."""
    if len(seeds) > 2 and seeds[-1] - seeds[0] == len(seeds) - 1:
        return f"seeds {seeds[0]} to {seeds[-1]}"
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"


def _policy(config: dict[str, Any], policy: str) -> str:
    """The policy of that name, or the first one of a run that has none of the name `independent`."""
    labels = config.get(names.LABELS)
    if not isinstance(labels, dict) or policy != names.INDEPENDENT or policy in labels or not labels:
        return policy
    return str(next(iter(labels)))


def places(report: pd.DataFrame) -> list[tuple[str, str, int]]:
    """Map, algorithm and seed of every run of a report."""
    return list(zip(report[names.MAP], report[names.ALGO], report[names.SEED], strict=True))


def _protocol(configs: dict[str, dict[str, Any]]) -> str:
    """How policies were evaluated, as far as all settings agree."""
    episodes = evaluation_episodes(configs.values())
    settings = [config.get(names.CONFIG) or {} for config in configs.values()]
    intervals = {(each.get(names.BUDGET) or {}).get("eval_interval") for each in settings}
    text = "Greedy evaluation"
    if episodes is not None:
        text += f", {episodes} episode{'' if episodes == 1 else 's'}"
    if len(intervals) == 1 and (interval := intervals.pop()):
        text += f" every {interval:,} env steps"
    return text
