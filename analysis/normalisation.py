"""Scores of tasks whose scales differ, on one scale: 0 is a random team, 1 the best there can be.

Win rates stay what they are. A return of a particle task becomes (return - random) / (best - random), with two
constants for each task that were measured once: the return of a random team, and that of a planner that knows
everything and looks four steps ahead (docs/environments/mpe.md has both with their standard errors). Constants and not
the extremes of the runs that are shown: with those, adding a method would change the scores of all others. And not the
paper's best score: a method that beats it would seem to have passed an optimum. Scores may leave [0, 1] at both ends.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.errors import AnalysisError
from analysis.identity import configuration_of
from analysis.paper import DATA
from macpf import names

WIN_RATE, RETURN = "win_rate", "return"
#: The rules (conf/env/mpe.yaml) under which the constants were measured.
_RULES = "paper"


def bounds(score: str, map: str) -> tuple[float, float]:
    """The scores that become 0 and 1.

    Raises:
        AnalysisError: returns of a task whose constants nobody has measured.
    """
    if score == WIN_RATE:
        return 0.0, 1.0
    table = pd.read_csv(DATA / "return_bounds.csv").set_index(names.MAP)
    if map not in table.index:
        raise AnalysisError(
            f"no random and best return of {map} to put its scores on one scale: add them to "
            "analysis/data/return_bounds.csv"
        )
    return float(table["random"][map]), float(table["best"][map])


def refuse_other_rules(configs: Mapping[str, Mapping[str, Any]]) -> None:
    """The constants of particle tasks hold for the paper's rules only.

    Args:
        configs: of runs, by run, as of `Runs`.

    Raises:
        AnalysisError: a run was made with other rules.
    """
    for run, config in configs.items():
        env = (config.get(names.CONFIG) or {}).get(names.ENV)
        rules = env.get("rules", _RULES) if isinstance(env, dict) else _RULES
        if rules != _RULES:
            raise AnalysisError(
                f"{run} was made with env.rules={rules}, whose returns have no bounds to put them on one scale: "
                f"--exclude {configuration_of(run)}"
            )
