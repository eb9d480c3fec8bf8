"""A claim: one sentence of the paper, the runs it is about, and the rule and the test that judge it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from analysis import paper, style
from analysis.claims.calibrated import PValues
from macpf import names

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
#: Replaces the verdict on the paper's own numbers where it prints a curve and no number.
FIGURE_ONLY = "figure only"
#: Columns of the evidence in which NaN does not leave a claim undecided, as they are not scores.
_MAY_BE_NAN = ["gap", "gap_in_errors", "paper_mean", "paper_std", "mean final return", "return"]


class Judgement(NamedTuple):
    """The verdict of a rule or a test, the numbers behind it in one line, and the test's two p-values (`PValues`)."""

    verdict: str
    numbers: str
    none: float = float("nan")
    true: float = float("nan")


#: A rule: judges the paper's own numbers as printed.
Rule = Callable[[pd.DataFrame], Judgement]
#: A test: returns the p-values of our lines, and the numbers in words.
Comparison = Callable[[pd.DataFrame], tuple[PValues, str]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Claim:
    """One sentence of the paper, as in data/claims.yaml.

    Attributes:
        maps: the maps it is about; empty if there is only one.
        judge: the rule; None if the paper gives no number.
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
        """The test of our lines, and the numbers in words; only called if no run is missing."""
        assert self.compare is not None
        return self.compare(lines)

    def power(self, seeds: int) -> float:
        """How often this number of seeds supports it if the paper's numbers are exact; NaN if the paper prints none."""
        return float("nan")

    def seeds_needed(self) -> str:
        """The number of seeds for a power of 80 %, in words."""
        return ""

    def judged(self, lines: pd.DataFrame) -> Judgement:
        """The verdict on our lines; undecided if a score is NaN, which cannot be compared with any other."""
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
        """The lines of `Runs.report` that this claim is about."""
        named = report[names.ALGO].map(style.label).isin(self.players)
        return report[named & report[names.MAP].isin(self.maps)] if self.maps else report[named]

    @property
    def players(self) -> list[str]:
        """The labels of the methods whose runs it needs; MACPF's two policies share a run."""
        return list(dict.fromkeys(played_by(method) for method in self.methods))

    @property
    def needed(self) -> int:
        """How many runs it needs: five, the paper's number of seeds, of each method on each map."""
        return paper.SEEDS * len(self.players) * max(len(self.maps), 1)

    def seeds(self, lines: pd.DataFrame) -> dict[tuple[str, str], int]:
        """The number of seeds by the method whose runs are needed and the map ("" if there is only one)."""
        there: dict[tuple[str, str], int] = {}
        cells = lines.groupby(["method", names.MAP] if self.maps else "method")
        counted = cells["seeds"].sum() if "seeds" in lines else cells[names.SEED].nunique()
        for method in self.methods:
            for map_ in self.maps or ("",):
                seeds = int(counted.get((method, map_) if map_ else method, 0))
                run = (played_by(method), map_)
                there[run] = min(there.get(run, seeds), seeds)
        return there

    def missing(self, lines: pd.DataFrame) -> int:
        """How many runs are missing; a surplus seed of one method does not replace another method's."""
        return self.needed - sum(min(seeds, paper.SEEDS) for seeds in self.seeds(lines).values())


def played_by(method: str) -> str:
    """The label of the method whose runs have this policy."""
    return method.replace("_DEP", "")


def two_way(supported: bool, numbers: str) -> Judgement:
    """The judgement of a rule, which is never undecided."""
    return Judgement(SUPPORTED if supported else CONTRADICTED, numbers)


def more_seeds(needed: int | None, tried: int) -> str:
    """How many seeds are needed, in words; None means more than the largest number tried."""
    return f"more than {tried:,}" if needed is None else str(needed)
