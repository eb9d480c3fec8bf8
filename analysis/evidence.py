"""The runs of an experiment, and what is missing or wrong: figures, tables, claims and the report show both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from analysis import style
from analysis.run_facts import interval, other_rules, protocol
from analysis.runs import DIVERGED, FINISHED, INCOMPLETE, NO_DATA, UNTRAINED, Runs, short_commits
from macpf import names
from macpf.choices import sweep_params

#: A run's final value is the mean of this many evaluations (five agree with the last digits of the paper's Table 2).
LAST = 5
#: How many cells, and how many runs, a caption names; it only counts the others.
NAMED_CELLS, NAMED_RUNS = 5, 6
#: The budget with the paper's numbers of env steps, which results do not mention.
PAPER = "paper"
#: The budget whose runs only show that everything works.
SMOKE = "smoke"
#: Map, algorithm and seed of a run.
Place = tuple[str, str, int]


@dataclass(frozen=True)
class Experiment:
    """The runs that `conf/experiment/<name>.yaml` asks for, or with `of_runs` those that are there."""

    name: str
    env: str
    maps: tuple[str, ...]
    algos: tuple[str, ...]
    seeds: tuple[int, ...]
    of_runs: bool = False

    @classmethod
    def read(cls, name: str) -> Experiment:
        """Read the experiment's file; the methods come in the order of the paper."""
        params = sweep_params(name)
        maps, algos, seeds = (params[key].split(",") for key in ("map", "algo", "seed"))
        return cls(name, params["env"], tuple(maps), style.in_order(algos), tuple(int(seed) for seed in seeds))

    def planned(self, budget: str) -> tuple[int, ...]:
        """The seeds that `make reproduce-...` plans for a budget, or all of the runs that are there."""
        return self.seeds[:1] if budget == SMOKE and not self.of_runs else self.seeds


@dataclass(frozen=True, kw_only=True)
class Evidence(Runs):
    """An experiment's runs, of one budget and one backend, beside what was planned.

    `report` has the runs that are shown, which are those that count; `frame` and `configs` are of them alone.

    Attributes:
        experiment: the planned runs.
        others: lines of `Runs.report`: the runs that do not count.
        refused: why none of its runs is shown, if they cannot be shown together; else empty.
    """

    experiment: Experiment
    others: pd.DataFrame
    refused: str = ""

    @cached_property
    def all(self) -> pd.DataFrame:
        """The report lines of all its runs, shown or not."""
        return pd.concat([self.report, self.others], ignore_index=True)

    def of(self, algos: Sequence[str]) -> Evidence:
        """Only the runs of these algorithms; the plan is restricted to them, too."""
        planned = tuple(algo for algo in algos if algo in (*self.experiment.algos, *self.report[names.ALGO]))
        return self._part(names.ALGO, algos, replace(self.experiment, algos=planned))

    def on(self, map: str) -> Evidence:
        """Only the runs of one map; the plan is restricted to it, too."""
        return self._part(names.MAP, [map], replace(self.experiment, maps=(map,)))

    def _part(self, key: str, values: Sequence[str], experiment: Experiment) -> Evidence:
        report, others = (lines[lines[key].isin(values)] for lines in (self.report, self.others))
        return replace(self.only(report), experiment=experiment, others=others)

    def runs_of(self, algo: str) -> pd.DataFrame:
        """The report lines of an algorithm's runs that are shown, ordered by seed."""
        return self.report[self.report[names.ALGO] == algo].sort_values(names.SEED)

    @property
    def budget(self) -> str:
        """The budget of these runs; empty if none is shown."""
        return str(self.report[names.BUDGET].iloc[0]) if len(self.report) else ""

    @property
    def backend(self) -> str:
        """The backend of these runs; empty if none is shown."""
        return str(self.report[names.BACKEND].iloc[0]) if len(self.report) else ""

    @property
    def map(self) -> str:
        """The first of its maps; what `select` returns has only one."""
        return self.experiment.maps[0]

    @cached_property
    def score(self) -> str:
        """The environment's name of its score."""
        return score_of(self)

    # --- numbers ---------------------------------------------------------------------------------------------------

    @cached_property
    def _cells(self) -> dict[tuple[str, str], pd.Series[str]]:
        """The runs of each map and algorithm."""
        cells = self.report.groupby([names.MAP, names.ALGO])["run"]
        return {(str(map_), str(algo)): runs for (map_, algo), runs in cells}

    @cached_property
    def _of_metric(self) -> dict[str, dict[str, pd.DataFrame]]:
        """By metric and run, the lines that `_lines` has looked up, ordered by env step."""
        return {}

    def _lines(self, run: str, policy: str) -> pd.DataFrame | None:
        """The scores of one policy in a run, None if there are none; see `_policy` for the meaning of `independent`."""
        metric = names.score(_policy(self.configs.get(run, {}), policy), self.score)
        if metric not in self._of_metric:
            lines = self.frame.loc[self.frame["metric"] == metric, ["run", names.ENV_STEP, "metric", "value"]]
            codes, runs = pd.factorize(lines["run"])
            lines = lines.iloc[np.lexsort((lines[names.ENV_STEP], codes))]
            ends = np.cumsum(np.bincount(codes))
            parts = zip(runs, [0, *ends], ends, strict=False)
            self._of_metric[metric] = {run: lines.iloc[start:end] for run, start, end in parts}
        return self._of_metric[metric].get(run)

    def on_grid(self, lines: pd.DataFrame) -> pd.DataFrame:
        """Lines with env steps rounded down to multiples of their run's evaluation interval, each metric once.

        Episodes are played to their end, so an evaluation comes at the first step past a multiple of the interval.
        """
        every = lines["run"].map({run: interval(config) for run, config in self.configs.items()}).astype("int64")
        steps = (lines[names.ENV_STEP] // every * every).astype("int64")
        return lines.assign(**{names.ENV_STEP: steps}).drop_duplicates(["run", "metric", names.ENV_STEP], keep="last")

    def lines(self, map: str, algo: str, policy: str = names.INDEPENDENT) -> pd.DataFrame:
        """The scores of one policy in the runs of a cell (a map and an algorithm): run, env_step, metric, value."""
        parts = [self._lines(run, policy) for run in self._cells.get((map, algo), [])]
        return pd.concat([self.frame.loc[[], ["run", names.ENV_STEP, "metric", "value"]], *parts])

    def scores(self, map: str, algo: str, policy: str = names.INDEPENDENT) -> pd.DataFrame:
        """Scores of one cell: a column for each run, a row for each multiple of the evaluation interval."""
        lines = self.on_grid(self.lines(map, algo, policy)).astype({"value": "float64"})
        return lines.pivot(index=names.ENV_STEP, columns="run", values="value")

    def final(self, map: str, algo: str, policy: str = names.INDEPENDENT) -> pd.Series[float]:
        """The final value of each run of a cell: the mean of its last five evaluations."""
        parts = {run: self._lines(run, policy) for run in self._cells.get((map, algo), [])}
        values = {run: lines["value"].tail(LAST).mean() for run, lines in parts.items() if lines is not None}
        return pd.Series(values, dtype="float64")

    @property
    def few_evaluations(self) -> bool:
        """Whether a run that is shown has fewer evaluations than a final value is the mean of."""
        return bool((self.report["found"] < LAST).any())

    @property
    def digest(self) -> str:
        """A hash of eight digits that identifies these runs, their evaluations and their sampled episodes."""
        of = blake2b("\n".join(sorted(self.report["run"] + self.report["origin"])).encode(), digest_size=4)
        drawn = self.frame["value"][self.frame["metric"].str.startswith(("eval/", "sampled/"))]
        of.update(np.ascontiguousarray(drawn.to_numpy(dtype=np.float64)).tobytes())
        return of.hexdigest()

    # --- what is wrong ---------------------------------------------------------------------------------------------

    @cached_property
    def planned(self) -> frozenset[Place]:
        """All planned runs."""
        seeds = self.experiment.planned(self.budget)
        return frozenset(product(self.experiment.maps, self.experiment.algos, seeds))

    @cached_property
    def missing(self) -> frozenset[Place]:
        """The planned runs that are not finished or have no score."""
        scored = self.frame["run"][self.frame["metric"].str.startswith("eval/")].unique()
        done = self.report[(self.report["state"] == FINISHED) & self.report["run"].isin(scored)]
        return self.planned - set(places(done))

    @cached_property
    def flaws(self) -> dict[tuple[str, str], str]:
        """For files: what is wrong with the runs of each cell, by map and algorithm; planned runs may be missing."""
        told: dict[tuple[str, str], list[str]] = defaultdict(list)
        absent: dict[tuple[str, str], list[int]] = defaultdict(list)
        runs = self.all.sort_values(names.SEED).to_dict("records")
        for run in runs:
            if words := flaw(run):
                on_request = " (counted)" if run["counts"] else ""
                told[run[names.MAP], run[names.ALGO]].append(f"seed {run[names.SEED]}: {words}{on_request}")
        for map_, algo, seed in sorted(self.planned - set(places(self.all))):
            absent[map_, algo].append(seed)
        for cell, seeds in absent.items():
            each = [f"seed {seed}" for seed in seeds] if len(seeds) <= NAMED_CELLS else [numbers(seeds)]
            told[cell] += [f"{text}: missing" for text in each]
        for run in runs:
            if run["gaps"] > 0:
                told[run[names.MAP], run[names.ALGO]].append(f"seed {run[names.SEED]}: its log is damaged")
        return {cell: "; ".join(words) for cell, words in told.items()}

    @property
    def not_whole(self) -> str:
        """What is wrong with its runs, in words; empty if nothing is."""
        return "; ".join(self._trouble())

    def _trouble(self) -> list[str]:
        plan = self.experiment.maps, self.experiment.algos, self.experiment.planned(self.budget)
        return trouble(self.all, self.missing, *plan)

    def caption(self, *first: str) -> str:
        """A caption: `first`, then what is missing or left out, the evaluation protocol and the origin of the runs."""
        shown, budget = self.report, self.budget
        commits, maps = short_commits(shown["commit"]) if len(shown) else [], self.experiment.maps
        runs = "runs that are here" if self.experiment.of_runs else "planned runs"
        rules = sorted({*map(other_rules, self.configs.values())} - {""})
        text = [
            *first,
            f"{len(self.planned) - len(self.missing)} of {len(self.planned)} {runs} are finished",
            *self._trouble(),
            f"Left out on request: {', '.join(self.excluded)}" if self.excluded else "",
            protocol(self.configs.values()),
            f"Map {maps[0]}" if len(maps) == 1 else "",
            f"Budget {budget} ({int(shown['total'].max()):,} env steps), backend {self.backend}" if len(shown) else "",
            f"Not by the paper's rules, but {', '.join(rules)}, whose returns are on another scale" if rules else "",
            "THIS IS A SMOKE RUN, which says nothing about the methods" if budget == SMOKE else "",
            f"Commits {', '.join(commits)}" if commits else "",
            f"Data {self.digest}" if len(shown) else "",
        ]
        return ". ".join(sentence.rstrip(".") for sentence in text if sentence) + "."


def flaw(run: Mapping[Hashable, Any]) -> str:
    """Why a run is not finished, e.g. ``incomplete, 142 of 201 evaluations``; empty if it is."""
    state = str(run["state"])
    if state == FINISHED:
        return ""
    if state == INCOMPLETE:
        counts = f"{run['found']} of {run['expected']} evaluations"
        return f"{state}, {counts if run['expected'] > 0 else 'its log is damaged'}"
    if state in (DIVERGED, UNTRAINED, NO_DATA):
        return state
    return f"{state} at {run[names.ENV_STEP]:,} of {run['total']:,} env steps"


def describe(report: pd.DataFrame, maps: int | None = None) -> str:
    """List all runs of a report that are not finished, by method and seed; empty if all are.

    If only one map is shown (`maps`: how many; None: those of the report), it is not named.
    """
    several = (report[names.MAP].nunique() if maps is None else maps) > 1
    named = []
    for run in report.sort_values([names.MAP, names.ALGO, names.SEED]).to_dict("records"):
        if words := flaw(run):
            on = f" on {run[names.MAP]}" if several else ""
            named.append(f"{style.label(run[names.ALGO])}{on} seed {run[names.SEED]} ({words})")
    more = len(named) - NAMED_RUNS
    rest = f"; and {more} more, see `python -m analysis completeness`" if more > 0 else ""
    return "; ".join(named[:NAMED_RUNS]) + rest


def sentences(report: pd.DataFrame) -> list[str]:
    """Sentences of a caption on runs that are not finished: those left out, and those counted on request."""
    counted, others = report[report["counts"]], report[~report["counts"]]
    maps = report[names.MAP].nunique()
    found = {"Left out": describe(others, maps), "Not whole, but counted on request": describe(counted, maps)}
    return [f"{what}: {who}" for what, who in found.items() if who]


def trouble(
    report: pd.DataFrame, missing: Iterable[Place], maps: Sequence[str], algos: Sequence[str], seeds: Sequence[int]
) -> list[str]:
    """A sentence for each way in which runs deviate from the plan: missing, not finished, damaged log."""
    absent, damaged = (grouped(which, maps, algos, seeds) for which in (missing, places(report[report["gaps"] > 0])))
    told = [f"Missing: {absent}" if absent else "", *sentences(report), f"Log damaged: {damaged}" if damaged else ""]
    return [text for text in told if text]


def grouped(runs: Iterable[Place], maps: Sequence[str], algos: Sequence[str], seeds: Sequence[int]) -> str:
    """Runs of a plan in few words: whole methods, whole maps, then cells; a cell without seeds means all its seeds."""
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
    more = [f"and {len(texts) - NAMED_CELLS} more"] if len(texts) > NAMED_CELLS else []
    return "; ".join([*parts, *texts[:NAMED_CELLS], *more])


def score_of(runs: Runs) -> str:
    """The environment's name of its score: as the runs logged it, or derived from the metrics of older runs."""
    told = {str(config[names.SCORE]) for config in runs.configs.values() if config.get(names.SCORE)}
    if len(told) == 1:
        return told.pop()
    won = names.score(names.INDEPENDENT, "win_rate")
    return "win_rate" if (runs.frame["metric"] == won).any() else "return"


def evaluated(frame: pd.DataFrame) -> tuple[str, ...]:
    """The policies that these runs evaluated, `independent` first."""
    parts = [metric.split("/") for metric in frame["metric"].unique() if metric.startswith("eval/")]
    policies = {part[1] for part in parts if len(part) == 3}
    return tuple(sorted(policies, key=lambda policy: (policy != names.INDEPENDENT, policy)))


def counts_in_words(counts: Mapping[str, Sequence[int]]) -> str:
    """``5``, or ``MACPF 5, QMIX 3 to 5`` if methods differ: the numbers of runs of each method on its maps."""
    words = {k: str(min(n)) if min(n) == max(n) else f"{min(n)} to {max(n)}" for k, n in counts.items()}
    if len(set(words.values())) == 1:
        return next(iter(words.values()))
    return ", ".join(f"{method} {count}" for method, count in words.items())


def numbers(seeds: Sequence[int]) -> str:
    """Seeds in words: ``seed 3``, ``seeds 0, 2``, ``seeds 5 to 49``."""
    if len(seeds) > 2 and seeds[-1] - seeds[0] == len(seeds) - 1:
        return f"seeds {seeds[0]} to {seeds[-1]}"
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"


def places(report: pd.DataFrame) -> list[Place]:
    """Map, algorithm and seed of each run of a report."""
    return list(zip(report[names.MAP], report[names.ALGO], report[names.SEED], strict=True))


def _policy(config: Mapping[str, Any], policy: str) -> str:
    """The policy of that name; `independent` stands for a run's first policy if it has none of that name."""
    labels = config.get(names.LABELS)
    if not isinstance(labels, dict) or policy != names.INDEPENDENT or policy in labels or not labels:
        return policy
    return str(next(iter(labels)))
