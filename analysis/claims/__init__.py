"""What the paper claims of its experiments, and whether its own numbers and our runs bear it out."""

from analysis.claims.claim import CONTRADICTED, FIGURE_ONLY, SUPPORTED, UNDECIDED, Claim, Evidence, Judgement
from analysis.claims.ledger import CLAIMS, VERDICT_COLUMNS, ledger, readable, write_ledger

__all__ = [
    "CLAIMS",
    "CONTRADICTED",
    "FIGURE_ONLY",
    "SUPPORTED",
    "UNDECIDED",
    "VERDICT_COLUMNS",
    "Claim",
    "Evidence",
    "Judgement",
    "ledger",
    "readable",
    "write_ledger",
]
