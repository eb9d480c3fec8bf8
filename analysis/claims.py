"""What the paper claims of Tables 1 and 2, and whether its own numbers and ours bear it out.

Every claim is a rule over the cells of a table (`analysis.tables.beside_paper.cells`). The paper's own numbers go
through the same rules as ours; ours count once every cell that a rule looks at has as many seeds as the paper's.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from analysis import paper
from macpf import names

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"


@dataclass(frozen=True)
class Claim:
    """One sentence of the paper.

    Attributes:
        table: ``table1`` or ``table2``.
        text: the claim in our words, with its place.
        holds: the rule: from a table's lines (map, difficulty, algo, mean, std, bold) to whether it holds.
    """

    table: str
    text: str
    holds: Callable[[pd.DataFrame], bool]


def best_on(algo: str, at_least: int) -> Callable[[pd.DataFrame], bool]:
    """The method is among the best (the bold rule) on that many maps or more."""
    return lambda table: int((table["bold"] & (table[names.ALGO] == algo)).sum()) >= at_least


def best_mean_everywhere(algo: str) -> Callable[[pd.DataFrame], bool]:
    """No other method has a better mean on any map."""

    def holds(table: pd.DataFrame) -> bool:
        best = table.groupby(names.MAP)["mean"].transform("max")
        return bool((table["mean"] == best)[table[names.ALGO] == algo].all())

    return holds


def among_the_best_on(algo: str, difficulties: set[str]) -> Callable[[pd.DataFrame], bool]:
    """The method is among the best on every map of these classes."""
    return lambda table: bool(table[table["difficulty"].isin(difficulties) & (table[names.ALGO] == algo)]["bold"].all())


def ahead(algo: str, other: str, difficulties: set[str]) -> Callable[[pd.DataFrame], bool]:
    """The method's mean is above the other's on every map of these classes."""

    def holds(table: pd.DataFrame) -> bool:
        chosen = table[table["difficulty"].isin(difficulties)]
        means = chosen.pivot(index=names.MAP, columns=names.ALGO, values="mean")
        return bool((means[algo] > means[other]).all())

    return holds


CLAIMS = [
    Claim("table2", "MACPF is among the best on 16 of 18 maps (section 5.2)", best_on("macpf", 16)),
    Claim("table2", "QMIX is among the best on 7 of 18 maps (section 5.2)", best_on("qmix", 7)),
    Claim("table2", "QPLEX is among the best on 8 of 18 maps (section 5.2)", best_on("qplex", 8)),
    Claim("table2", "MAPPO is among the best on 9 of 18 maps (section 5.2)", best_on("mappo", 9)),
    Claim("table2", "FOP is among the best on 5 of 18 maps (section 5.2)", best_on("fop", 5)),
    Claim(
        "table2",
        "MACPF at least matches the best baseline on every map of appendix D.2",
        among_the_best_on("macpf", {"easy", "hard", "super-hard"}),
    ),
    Claim("table2", "MACPF is above QMIX on the two myopic maps (Figure 5)", ahead("macpf", "qmix", {"myopic"})),
    Claim(
        "table1", "MACPF has the best score in all three particle tasks (section 5.3)", best_mean_everywhere("macpf")
    ),
]


def ledger(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Every claim with the verdict of the paper's own numbers and of ours.

    Args:
        tables: lines of `cells`, by the table's name; a table that is missing leaves its claims undecided.
    """
    lines = []
    for claim in CLAIMS:
        published = paper.table(claim.table)
        marks = [paper.bold(part["mean"], part["std"]) for _, part in published.groupby(names.MAP, sort=False)]
        of_paper = SUPPORTED if claim.holds(published.assign(bold=pd.concat(marks))) else CONTRADICTED
        ours, missing = UNDECIDED, paper.SEEDS * len(published)
        if (cells := tables.get(claim.table)) is not None:
            missing = int((paper.SEEDS - cells["seeds"].clip(upper=paper.SEEDS)).sum())
            if missing == 0:
                ours = SUPPORTED if claim.holds(cells) else CONTRADICTED
        lines.append({"claim": claim.text, "paper's numbers": of_paper, "our runs": ours, "runs missing": missing})
    return pd.DataFrame(lines)
