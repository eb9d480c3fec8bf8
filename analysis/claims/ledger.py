"""All claims with their verdicts, as a table."""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import paper, style
from analysis.claims import curves, games, tables
from analysis.claims.claim import FIGURE_ONLY, NOTHING, UNDECIDED, Claim, Evidence, Judgement, played_by
from analysis.claims.evidence import published
from analysis.evidence import places, trouble
from macpf import names

_ORDER = (
    *("matrix", "smac", "mpe", "figure1", "figure4", "figure5"),
    *("table2", "figure6", "figure7", "table1", "figure8", "figure9"),
)
#: Every claim, in the order of the paper.
CLAIMS: list[Claim] = sorted(
    [*games.CLAIMS, *tables.CLAIMS, *curves.CLAIMS], key=lambda claim: _ORDER.index(claim.id.split("-")[0])
)
#: The budget that needs no mention.
_PAPER = "paper"
_NUMBERS, _EVIDENCE, _OURS = "paper's numbers", "paper's evidence", "our verdict"
#: The columns of a `ledger` that hold verdicts.
VERDICT_COLUMNS = (_NUMBERS, _OURS)


def ledger(evidence: Mapping[str, Evidence], claims: Sequence[Claim] = CLAIMS) -> pd.DataFrame:
    """Every claim with the verdict of the paper's own numbers and of our runs.

    Args:
        evidence: by experiment, as of `analysis.claims.evidence.gather`; claims of an experiment that is missing stay
            undecided.
        claims: to be judged.

    Returns:
        id, where, claim, rule, paper's numbers (a verdict, or that there is only a figure), paper's evidence, test, our
        verdict (with the budget, where it is not the paper's), evidence (and which runs are not whole), p if no
        difference and p if true (`analysis.claims.calibrated.PValues`; NaN without a verdict), runs missing, seeds (of
        the cell that has fewest), power (with so many, or five where runs are missing; NaN where the paper prints no
        number), seeds needed (for a power of 80 %).
    """
    lines = []
    for claim in claims:
        of_paper = _published(claim)
        found = evidence.get(claim.experiment)
        ours, missing, seeds = _judged(claim, found)
        told = [] if found is None or found.report.empty else _trouble(claim, found)
        lines.append(
            {
                **{"id": claim.id, "where": claim.where, "claim": claim.text, "rule": claim.rule},
                **{_NUMBERS: of_paper.verdict, _EVIDENCE: of_paper.numbers},
                **{"test": claim.compared, _OURS: ours.verdict, "evidence": ". ".join([ours.numbers, *told])},
                **{"p if no difference": ours.none, "p if true": ours.true, "runs missing": missing, "seeds": seeds},
                **{"power": claim.power(max(seeds, paper.SEEDS)), "seeds needed": claim.seeds_needed()},
            }
        )
    return pd.DataFrame(lines)


def _published(claim: Claim) -> Judgement:
    lines = None if claim.figure_only else published(claim.experiment)
    return Judgement(FIGURE_ONLY, "") if lines is None else claim.judge(claim.about(lines))


def _judged(claim: Claim, evidence: Evidence | None) -> tuple[Judgement, int, int]:
    """The verdict, the runs that are missing, and the seeds of the cell that has fewest."""
    if evidence is None or evidence.refused:
        return Judgement(UNDECIDED, NOTHING if evidence is None else evidence.refused), claim.needed, 0
    seeds = min(claim.seeds(evidence.lines).values())
    if missing := claim.missing(evidence.lines):
        return Judgement(UNDECIDED, f"{claim.needed - missing} of {claim.needed} runs"), missing, seeds
    judged = claim.judged(evidence.lines)
    budget = "" if evidence.budget == _PAPER else f" ({evidence.budget})"
    numbers = f"{judged.numbers} (backend {evidence.backend})" if evidence.backend else judged.numbers
    return judged._replace(verdict=judged.verdict + budget, numbers=numbers), 0, seeds


def _trouble(claim: Claim, found: Evidence) -> list[str]:
    """What is wrong with the runs that the claim is about; a method or map may have none at all."""
    report = claim.runs(found.report)
    report = report.assign(algo=report[names.ALGO].map(style.label))
    maps = claim.maps or tuple(sorted(found.report[names.MAP].unique()))
    methods = list(dict.fromkeys(played_by(method) for method in claim.methods))
    missing = set(product(maps, methods, range(paper.SEEDS))) - set(places(report))
    return trouble(report, missing, maps, methods, range(paper.SEEDS))


def write_ledger(table: pd.DataFrame, out: Path) -> list[Path]:
    """Write a `ledger` as CSV and Markdown."""
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / "claims.csv", out / "claims.md"]
    table.to_csv(paths[0], index=False)
    paths[1].write_text(table.to_markdown(index=False) + "\n")
    return paths


def readable(table: pd.DataFrame, width: int = 110) -> str:
    """A `ledger` for a terminal: a few lines for each claim, and the counts of each verdict."""
    blocks = []
    for line in table.to_dict("records"):
        missing = f", {line['runs missing']} runs missing" if line["runs missing"] else ""
        published = f" ({line[_EVIDENCE]})" if line[_EVIDENCE] else ""
        power = "" if np.isnan(line["power"]) else f"; if the paper is right, {max(line['seeds'], paper.SEEDS)} seeds "
        power += f"show it in {line['power']:.0%}, 80 % need {line['seeds needed']}" if power else ""
        p = "" if np.isnan(line["p if true"]) else f"; p = {line['p if no difference']:.2g} if there is no difference, "
        p += f"{line['p if true']:.2g} if it is true" if p else ""
        rows = [
            f"{line['id']} ({line['where']}): {line['claim']}",
            f"  paper: {line[_NUMBERS]}{published}",
            f"  ours:  {line['our verdict']} ({line['evidence']}{missing}{p}{power})",
        ]
        blocks.append("\n".join(textwrap.fill(row, width, subsequent_indent=" " * 9) for row in rows))
    counts = ", ".join(f"{count} {verdict}" for verdict, count in table["our verdict"].value_counts().items())
    return "\n\n".join([*blocks, f"{len(table)} claim{'' if len(table) == 1 else 's'}: {counts}."])
