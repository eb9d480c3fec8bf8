"""What a run says of itself in its W&B config, and what it has to say before its numbers can be used."""

from collections.abc import Iterable, Mapping
from typing import Any

from analysis.sources import whole
from macpf import names

#: What tells which result a run is part of.
IDENTITY = [names.ALGO, names.ENV, names.MAP, names.BACKEND, names.BUDGET, names.SEED]
#: Positive whole numbers that every figure over env steps needs, by their place in the config.
_COUNTS = [(names.TOTAL_ENV_STEPS,), (names.CONFIG, names.BUDGET, "eval_interval")]


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of `IDENTITY`; unknown names are empty and an unknown seed is -1, so that columns keep one type."""
    texts = {key: "" if config.get(key) is None else str(config[key]) for key in IDENTITY}
    return {**texts, names.SEED: integer(config, names.SEED)}


def configuration_of(run: str) -> str:
    """A run's key without its seed: runs of one method and map that differ in it differ in more than the seed."""
    return run.rsplit("-s", 1)[0]


def integer(config: Mapping[str, Any], key: str) -> int:
    """A number that is never negative, -1 if the config does not say it."""
    value = whole(config.get(key))
    return -1 if value is None else value


def parameters(config: Mapping[str, Any]) -> dict[str, int]:
    """Trainable numbers of each module; empty if the config does not say them all."""
    counts = config.get(names.PARAMETERS)
    if not isinstance(counts, dict) or any(whole(count) is None for count in counts.values()):
        return {}
    return {str(module): int(count) for module, count in counts.items()}


def evaluation_episodes(configs: Iterable[Mapping[str, Any]]) -> int | None:
    """Episodes of an evaluation, None if the configs do not agree on a number."""
    counts = {_at(config, (names.CONFIG, names.BUDGET, "eval_episodes")) for config in configs}
    count = counts.pop() if len(counts) == 1 else None
    return count if isinstance(count, int) else None


def lacking(config: Mapping[str, Any]) -> str:
    """Why the numbers of a run with this config cannot be used, empty if they can."""
    if names.RUN_KEY not in config:
        return f"no run of this project: its config has no {names.RUN_KEY}"
    known = {**identity(config), names.RUN_KEY: config[names.RUN_KEY] or ""}
    missing = [key for key, value in known.items() if value in ("", -1)]
    missing += [".".join(place) for place in _COUNTS if (whole(_at(config, place)) or 0) <= 0]
    return f"its config does not say {', '.join(missing)}, so its values are left out" if missing else ""


def _at(config: Any, place: tuple[str, ...]) -> Any:
    for key in place:
        config = config.get(key) if isinstance(config, dict) else None
    return config
