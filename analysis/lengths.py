"""How long a budget's runs are meant to be."""

from functools import cache

import pandas as pd
from omegaconf import OmegaConf

from macpf import names
from macpf.configuration import CONF, canonical_budget


@cache
def full_length(env: str, budget: str) -> int | None:
    """Env steps that a budget promises in an environment, None if `conf/` does not know them."""
    path = CONF / "env" / f"{env}.yaml"
    if not env or not path.exists():
        return None
    steps = OmegaConf.select(OmegaConf.load(path), f"budgets.{budget}.env_steps")
    return None if steps is None else int(steps)


@cache
def canonical(env: str, budget: str) -> str:
    """The name under which runs of a budget are kept: another budget's, if that has the same numbers here."""
    path = CONF / "env" / f"{env}.yaml"
    budgets = OmegaConf.select(OmegaConf.load(path), "budgets") if path.exists() else None
    if budgets is None or budget not in budgets:
        return budget
    return canonical_budget(budgets, {"name": budget, **budgets[budget]})


def of_budget(report: pd.DataFrame, budget: str) -> "pd.Series[bool]":
    """Which runs of a report a budget's name means, in whatever environment they are of."""
    return report[names.BUDGET] == report[names.ENV].map(lambda env: canonical(env, budget))
