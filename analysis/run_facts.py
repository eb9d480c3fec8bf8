"""What a run's W&B config says, what the analysis needs from it, and what `conf/` says about the run's budget."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from analysis.sources import whole
from macpf import names
from macpf.choices import canonical_budget, read
from macpf.extensions import find

if TYPE_CHECKING:
    import pandas as pd

#: The config's keys that say which result a run is part of.
IDENTITY = [names.ALGO, names.ENV, names.MAP, names.BACKEND, names.BUDGET, names.SEED]
_INTERVAL = (names.CONFIG, names.BUDGET, "eval_interval")
#: The paper's settings of the particle tasks, by their place below `env`; returns of others are on another scale.
_RULES = {("rules",): "paper", ("make", "reward"): "sum"}
#: Positive whole numbers that every figure over env steps needs, by their place in the config.
_COUNTS = [(names.TOTAL_ENV_STEPS,), _INTERVAL]


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """The values of `IDENTITY`; unknown names are empty and an unknown seed is -1, so that columns keep one type."""
    texts = {key: "" if config.get(key) is None else str(config[key]) for key in IDENTITY}
    return {**texts, names.SEED: integer(config, names.SEED)}


def integer(config: Mapping[str, Any], key: str) -> int:
    """A number that is never negative; -1 if the config lacks it."""
    value = whole(config.get(key))
    return -1 if value is None else value


def parameters(config: Mapping[str, Any]) -> dict[str, int]:
    """The number of trainable parameters of each module; empty if one is missing from the config."""
    counts = config.get(names.PARAMETERS)
    if not isinstance(counts, dict) or any(whole(count) is None for count in counts.values()):
        return {}
    return {str(module): int(count) for module, count in counts.items()}


def setting(config: Any, *place: str) -> Any:
    """The value at a path in a config; None if there is none."""
    for key in place:
        config = config.get(key) if isinstance(config, dict) else None
    return config


def interval(config: Mapping[str, Any]) -> int:
    """Env steps from one evaluation to the next."""
    return int(setting(config, *_INTERVAL))


def protocol(configs: Iterable[Mapping[str, Any]]) -> str:
    """How policies were evaluated, in words; settings in which the configs differ are left out."""
    found = {(setting(config, *_INTERVAL[:2], "eval_episodes"), setting(config, *_INTERVAL)) for config in configs}
    episodes, intervals = ({pair[k] for pair in found} for k in (0, 1))
    text = "Greedy evaluation"
    if len(episodes) == 1 and isinstance(count := episodes.pop(), int):
        text += f", {count} episode{'' if count == 1 else 's'}"
    if len(intervals) == 1 and (every := intervals.pop()):
        text += f" every {every:,} env steps"
    return text


def other_rules(config: Mapping[str, Any]) -> str:
    """``env.rules=mpe2`` or the like, if a run of a particle task did not play by the paper's rules; else empty."""
    for place, value in _RULES.items():
        played = setting(config, names.CONFIG, names.ENV, *place)
        if played not in (None, value):
            return f"env.{'.'.join(place)}={played}"
    return ""


def lacking(config: Mapping[str, Any]) -> str:
    """Why the numbers of a run with this config cannot be used; empty if they can."""
    if names.RUN_KEY not in config:
        return f"no run of this project: its config has no {names.RUN_KEY}"
    known = {**identity(config), names.RUN_KEY: config[names.RUN_KEY] or ""}
    missing = [key for key, value in known.items() if value in ("", -1)]
    missing += [".".join(place) for place in _COUNTS if (whole(setting(config, *place)) or 0) <= 0]
    return f"its config does not say {', '.join(missing)}, so its values are left out" if missing else ""


@cache
def _budgets(env: str) -> dict[str, dict[str, Any]]:
    """The budgets of an environment; {} if `conf/` does not know it."""
    path = find("env", env)
    return (read(path).get("budgets") or {}) if path else {}


@cache
def full_length(env: str, budget: str) -> int | None:
    """Env steps of a budget in an environment; None if `conf/` does not know them."""
    steps = _budgets(env).get(budget, {}).get("env_steps")
    return None if steps is None else int(steps)


@cache
def canonical(env: str, budget: str) -> str:
    """The name under which runs of a budget are stored: another budget's, if that has the same numbers here."""
    budgets = _budgets(env)
    return canonical_budget(budgets, {"name": budget, **budgets[budget]}) if budget in budgets else budget


def of_budget(report: "pd.DataFrame", budget: str) -> "pd.Series[bool]":
    """Which runs of a report have this budget, under whatever name it is stored in their environment."""
    return report[names.BUDGET] == report[names.ENV].map(lambda env: canonical(env, budget))
