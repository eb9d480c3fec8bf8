"""How the runs of a matrix game ended: at the optimum, at the worst payoff, or in between."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.statistics import Curve

COLUMNS = ["method", "seeds", "optimum", "suboptimal", "worse", "nan", "mean final return"]


def outcome_table(curves: Mapping[str, Curve], payoff: Sequence[Sequence[float]]) -> pd.DataFrame:
    """Count the runs of each method by the final greedy return.

    Args:
        curves: per method, its returns in units of the payoff.
        payoff: rows (agent 0) by columns (agent 1).

    Returns:
        One line per method: method, seeds, then how many of them ended at the largest payoff (optimum), at the
        smallest (worse), elsewhere (suboptimal) or with NaN (nan), and the mean final return.
    """
    lines = []
    for method, curve in curves.items():
        final = np.array(list(curve.final.values()))
        # Payoffs and returns pass through 32-bit floats on their way here.
        optimum = np.isclose(final, np.max(payoff), rtol=1e-5, atol=1e-5)
        worst = np.isclose(final, np.min(payoff), rtol=1e-5, atol=1e-5) & ~optimum
        nan = np.isnan(final)
        counts = [int(mask.sum()) for mask in (optimum, ~(optimum | worst | nan), worst, nan)]
        lines.append([method, len(final), *counts, float(final.mean())])
    return pd.DataFrame(lines, columns=COLUMNS)
