"""A claim: one sentence of the paper, the runs it speaks of, and what decides."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from analysis import paper, style
from analysis.claims.calibrated import PValues
from macpf import names

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
#: Instead of the verdict of the paper's own numbers, where it prints a curve and no number.
FIGURE_ONLY = "figure only"
#: Columns of evidence that are no score.
_MAY_BE_NAN = ["gap", "gap_in_errors", "paper_mean", "paper_std", "mean final return", "return"]


class Judgement(NamedTuple):
    """What a rule or a test says, and in one line the numbers it looked at; a test's two p-values."""

    verdict: str
    numbers: str
    none: float = float("nan")
    true: float = float("nan")


#: How the paper's own numbers are read, as they stand.
Rule = Callable[[pd.DataFrame], Judgement]
#: The test of our lines, and the numbers in words.
Comparison = Callable[[pd.DataFrame], tuple[PValues, str]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Claim:
    """One sentence of the paper, as data/claims.yaml has it.

    Attributes:
        maps: it is about; none where there is only one.
        judge: the rule; None where the paper gives no number.
        compare: the test.
    """

    id: str
    where: str
    claim: str
    rule: str
    compared: str
    experiment: str
    methods: tuple[str, ...]
    maps: tuple[str, ...] = ()
    figure_only: bool = False
    judge: Rule | None = None
    compare: Comparison | None = None

    def test(self, lines: pd.DataFrame) -> tuple[PValues, str]:
        """The test of our lines, and the numbers in words; only asked where no run is missing."""
        assert self.compare is not None
        return self.compare(lines)

    def power(self, seeds: int) -> float:
        """How often so many seeds support it if the paper's numbers are exact; NaN where it prints none."""
        return float("nan")

    def seeds_needed(self) -> str:
        """With how many seeds the power is 80 %, in words."""
        return ""

    def judged(self, lines: pd.DataFrame) -> Judgement:
        """The verdict of our lines: undecided where one has a NaN, as nobody is ahead of it, or behind."""
        lines = self.about(lines)
        lost = lines[lines.select_dtypes("number").drop(columns=_MAY_BE_NAN, errors="ignore").isna().any(axis=1)]
        if len(lost):
            where = [f" on {map_}" if self.maps else "" for map_ in lost.get(names.MAP, pd.Series("", lost.index))]
            cells = dict.fromkeys(f"{method}{on}" for method, on in zip(lost["method"], where, strict=True))
            return Judgement(UNDECIDED, f"NaN: {', '.join(cells)}")
        test, numbers = self.test(lines)
        verdict = SUPPORTED if test.supported[0] else CONTRADICTED if test.contradicted[0] else UNDECIDED
        return Judgement(verdict, numbers, float(test.none[0]), float(test.true[0]))

    def about(self, lines: pd.DataFrame) -> pd.DataFrame:
        """The lines that this claim is about."""
        chosen = lines[lines["method"].isin(self.methods)]
        return chosen[chosen[names.MAP].isin(self.maps)] if self.maps else chosen

    def runs(self, report: pd.DataFrame) -> pd.DataFrame:
        """The lines of a report, as of `Runs`, that this claim is about."""
        named = report[names.ALGO].map(style.label).isin(self.players)
        return report[named & report[names.MAP].isin(self.maps)] if self.maps else report[named]

    @property
    def players(self) -> list[str]:
        """The labels of the methods whose runs it needs: MACPF's two policies share a run."""
        return list(dict.fromkeys(played_by(method) for method in self.methods))

    @property
    def needed(self) -> int:
        """Runs: five, the paper's number of seeds, of each method on each map."""
        return paper.SEEDS * len(self.players) * max(len(self.maps), 1)

    def seeds(self, lines: pd.DataFrame) -> dict[tuple[str, str], int]:
        """The seeds of each run that is needed: by method that plays it and map ("" where there is only one)."""
        there: dict[tuple[str, str], int] = {}
        for method in self.methods:
            for map_ in self.maps or ("",):
                cell = lines[(lines["method"] == method) & (not map_ or lines[names.MAP] == map_)]
                seeds = int(cell["seeds"].sum() if "seeds" in lines else cell[names.SEED].nunique())
                run = (played_by(method), map_)
                there[run] = min(there.get(run, seeds), seeds)
        return there

    def missing(self, lines: pd.DataFrame) -> int:
        """Runs that are needed and not there; one seed too many never stands in for another method's."""
        return self.needed - sum(min(seeds, paper.SEEDS) for seeds in self.seeds(lines).values())


def played_by(method: str) -> str:
    """The label of the method whose runs also have this policy."""
    return method.replace("_DEP", "")


def two_way(supported: bool, numbers: str) -> Judgement:
    """What a rule says of the paper's own numbers."""
    return Judgement(SUPPORTED if supported else CONTRADICTED, numbers)


def more_seeds(needed: int | None, tried: int) -> str:
    """How many seeds are needed, in words."""
    return f"more than {tried:,}" if needed is None else str(needed)
