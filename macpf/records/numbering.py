"""How evaluations are numbered and origins shown, for readers that need none of the records' types."""

from __future__ import annotations

from collections.abc import Iterable

#: Letters of an origin that are shown to people and stand in the W&B id.
SHOWN = 8


def missing(rows: Iterable[tuple[int, int]], evaluations: int) -> int:
    """How many evaluations are missing: every row names the one before it, so a lost one leaves a hole.

    Args:
        rows: number and predecessor of each row that is there, in any order.
        evaluations: how many a whole run has; due ones that a round of episodes passed over are not missing.
    """
    lost, reached = 0, -1
    for number, after in sorted(rows):
        lost += max(after - reached, 0)
        reached = number
    return lost + max(evaluations - 1 - reached, 0)
