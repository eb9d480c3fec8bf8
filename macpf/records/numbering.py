"""How evaluations are numbered and origins abbreviated; does not load the types of the records."""

from __future__ import annotations

from collections.abc import Iterable

#: How many digits of an origin are shown to people and are part of the W&B id.
SHOWN = 8


def missing(rows: Iterable[tuple[int, int]], evaluations: int) -> int:
    """Count missing evaluations: each row names the row before it, so a lost row leaves a gap.

    Args:
        rows: the number of each row and of the row before it, in any order.
        evaluations: evaluations of a complete run. Those that one round of episodes passed over are not missing.
    """
    lost, reached = 0, -1
    for number, after in sorted(rows):
        lost += max(after - reached, 0)
        reached = number
    return lost + max(evaluations - 1 - reached, 0)
