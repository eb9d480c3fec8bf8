"""All claims with their verdicts, as a table."""

import textwrap
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from analysis.claims import curves, games, tables
from analysis.claims.claim import FIGURE_ONLY, NOTHING, UNDECIDED, Claim, Evidence, Judgement
from analysis.claims.evidence import published
from analysis.completeness import sentences

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


def ledger(evidence: Mapping[str, Evidence]) -> pd.DataFrame:
    """Every claim with the verdict of the paper's own numbers and of our runs.

    Args:
        evidence: by experiment, as of `analysis.claims.evidence.gather`; claims of an experiment that is missing stay
            undecided.

    Returns:
        id, where, claim, rule, paper's numbers (a verdict, or that there is only a figure), paper's evidence, our
        verdict (with the budget, where it is not the paper's), evidence (and which runs are not whole), runs missing.
    """
    lines = []
    for claim in CLAIMS:
        of_paper = _published(claim)
        found = evidence.get(claim.experiment)
        ours, missing = _judged(claim, found)
        told = [] if found is None or found.report.empty else sentences(claim.runs(found.report))
        lines.append(
            {
                **{"id": claim.id, "where": claim.where, "claim": claim.text, "rule": claim.rule},
                **{_NUMBERS: of_paper.verdict, _EVIDENCE: of_paper.numbers},
                **{_OURS: ours.verdict, "evidence": ". ".join([ours.numbers, *told]), "runs missing": missing},
            }
        )
    return pd.DataFrame(lines)


def _published(claim: Claim) -> Judgement:
    lines = None if claim.figure_only else published(claim.experiment)
    return Judgement(FIGURE_ONLY, "") if lines is None else claim.judge(claim.about(lines))


def _judged(claim: Claim, evidence: Evidence | None) -> tuple[Judgement, int]:
    if evidence is None:
        return Judgement(UNDECIDED, NOTHING), claim.needed
    if evidence.refused:
        return Judgement(UNDECIDED, evidence.refused), claim.needed
    if missing := claim.missing(evidence.lines):
        return Judgement(UNDECIDED, f"{claim.needed - missing} of {claim.needed} runs"), missing
    verdict, numbers = claim.judge(claim.about(evidence.lines))
    budget = "" if evidence.budget == _PAPER else f" ({evidence.budget})"
    return Judgement(verdict + budget, f"{numbers} (backend {evidence.backend})" if evidence.backend else numbers), 0


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
        rows = [
            f"{line['id']} ({line['where']}): {line['claim']}",
            f"  paper: {line[_NUMBERS]}{published}",
            f"  ours:  {line['our verdict']} ({line['evidence']}{missing})",
        ]
        blocks.append("\n".join(textwrap.fill(row, width, subsequent_indent=" " * 9) for row in rows))
    counts = ", ".join(f"{count} {verdict}" for verdict, count in table["our verdict"].value_counts().items())
    return "\n\n".join([*blocks, f"{len(table)} claims: {counts}."])
