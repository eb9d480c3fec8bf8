"""A claim: one sentence of the paper, the runs it speaks of, and the rule that decides."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import pandas as pd

from analysis import paper, style
from macpf import names

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
#: Instead of the verdict of the paper's own numbers, where it prints a curve and no number.
FIGURE_ONLY = "figure only"
#: The evidence where no run counts.
NOTHING = "no finished runs"


class Judgement(NamedTuple):
    """What a rule says, and in one line the numbers it looked at."""

    verdict: str
    numbers: str


@dataclass(frozen=True)
class Evidence:
    """What the finished runs of an experiment came to.

    Attributes:
        lines: what `Claim.judge` reads. Each line is a run, or stands for as many as its ``seeds`` says; it has the
            method's label and, as a run, its ``seed``, and the map in experiments that have several.
        budget, backend: of all these runs.
        refused: why nothing could be read of the runs there are; empty if it could.
        report: as of `Runs`, every run of this kind, those too that do not count.
    """

    lines: pd.DataFrame
    budget: str = "paper"
    backend: str = ""
    refused: str = ""
    report: pd.DataFrame = field(default_factory=pd.DataFrame)


@dataclass(frozen=True)
class Claim:
    """One sentence of the paper.

    Attributes:
        id: short and lasting, for reference.
        where: section, figure or table of the paper.
        text: the claim, in our words where the paper's are long.
        rule: what decides, in words.
        judge: the rule; it is only asked where no run is missing.
        experiment: whose runs it needs (`analysis.claims.evidence`).
        methods, maps: the labels of the methods and the maps that the rule looks at; no maps where there is only one.
        figure_only: the paper gives no number for it.
    """

    id: str
    where: str
    text: str
    rule: str
    judge: Callable[[pd.DataFrame], Judgement]
    experiment: str
    methods: tuple[str, ...]
    maps: tuple[str, ...] = ()
    figure_only: bool = False

    def about(self, lines: pd.DataFrame) -> pd.DataFrame:
        """The lines that this claim is about."""
        chosen = lines[lines["method"].isin(self.methods)]
        return chosen[chosen[names.MAP].isin(self.maps)] if self.maps else chosen

    def runs(self, report: pd.DataFrame) -> pd.DataFrame:
        """The lines of a report, as of `Runs`, that this claim is about."""
        named = report[names.ALGO].map(style.label).isin([played_by(method) for method in self.methods])
        return report[named & report[names.MAP].isin(self.maps)] if self.maps else report[named]

    @property
    def needed(self) -> int:
        """Runs: five, the paper's number of seeds, of each method on each map; MACPF's two policies share a run."""
        return paper.SEEDS * len({played_by(method) for method in self.methods}) * max(len(self.maps), 1)

    def missing(self, lines: pd.DataFrame) -> int:
        """Runs that are needed and not there; one seed too many never stands in for another method's."""
        there: dict[tuple[str, str], int] = {}
        for method in self.methods:
            for map_ in self.maps or ("",):
                cell = lines[(lines["method"] == method) & (not map_ or lines[names.MAP] == map_)]
                seeds = int(cell["seeds"].sum() if "seeds" in lines else cell[names.SEED].nunique())
                run = (played_by(method), map_)
                there[run] = min(there.get(run, paper.SEEDS), seeds)
        return self.needed - sum(there.values())


def played_by(method: str) -> str:
    """The label of the method whose runs also have this policy."""
    return method.replace("_DEP", "")


def unless_nan(
    columns: Sequence[str], judge: Callable[[pd.DataFrame], Judgement]
) -> Callable[[pd.DataFrame], Judgement]:
    """The rule, undecided where one of these columns has a NaN: nobody is ahead of it, or behind."""

    def judged(lines: pd.DataFrame) -> Judgement:
        lost = lines[lines[list(columns)].isna().any(axis=1)]
        cells = dict.fromkeys(
            f"{method} on {map_}" for method, map_ in zip(lost["method"], lost[names.MAP], strict=True)
        )
        return Judgement(UNDECIDED, f"NaN: {', '.join(cells)}") if cells else judge(lines)

    return judged


def three_way(supported: bool, contradicted: bool, numbers: str) -> Judgement:
    """Undecided where an interval leaves both open."""
    return Judgement(SUPPORTED if supported else CONTRADICTED if contradicted else UNDECIDED, numbers)


def two_way(supported: bool, numbers: str) -> Judgement:
    """For claims that every run, or the numbers of a table, either bear out or not."""
    return three_way(supported, not supported, numbers)
