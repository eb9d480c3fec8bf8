"""The configuration of a trained run, reopened with overrides for evaluation or rendering."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from macpf.choices import choices
from macpf.records.files import Damaged
from macpf.records.ledger import NAME, Ledger, Manifest
from macpf.runs.command_line import runs_named
from macpf.runs.errors import ConfigError, RunRefused

#: Settings that may change besides `env` and `map`: they affect how a trained run is played, not its identity.
HOW = ("mode", "run", "policy", "checkpoint", "evaluate", "seed", "device", "threads", "outputs", "tracking", "hydra")
WHERE = ("env", "map")


def manifest_of(folder: Path) -> Manifest:
    """The manifest of a run.

    Raises:
        ConfigError: there is no run in this folder.
        RunRefused: its ledger is damaged.
    """
    try:
        return Ledger.read(folder / NAME).manifest
    except FileNotFoundError as error:
        raise ConfigError(
            f"run={folder} is not a run folder; type run=outputs/<env>/<map>/<algo>/<hash>/seed=<k>"
        ) from error
    except Damaged as error:
        raise RunRefused(f"{error}; the command that trained it writes it again") from error


def with_choices_of_the_run(arguments: Sequence[str]) -> list[str]:
    """The arguments of ``mode=evaluate`` and ``mode=render`` with the run's ``env=`` and ``map=``.

    Hydra then knows the settings that belong to them. For several runs, only common choices are added.

    Raises:
        ConfigError: a named folder contains no run.
        RunRefused: its ledger is damaged.
    """
    if not {"mode=evaluate", "mode=render"} & set(arguments):
        return list(arguments)
    runs = [manifest_of(Path(folder)) for folder in runs_named(arguments) if folder != "null"]
    found = []
    for group in WHERE:
        names = {getattr(run, group) for run in runs}
        if len(names) == 1 and not any(argument.startswith(f"{group}=") for argument in arguments):
            found += [f"{group}={name}" for name in names if name in choices(group)]
    place = next((k for k, argument in enumerate(arguments) if argument.startswith("run=")), 0)
    return [*arguments[:place], *found, *arguments[place:]]


def reopened(cfg: DictConfig, typed: Iterable[str] = ()) -> DictConfig:
    """The training configuration of the run `cfg.run`, with the overrides of its environment, map and seed.

    Settings that refer to others (``${map.name}``) follow an override if they referred to them in training.

    Args:
        cfg: as Hydra composed it.
        typed: the command line's overrides.

    Raises:
        ConfigError: there is no such run, or an override would change its identity.
        RunRefused: its ledger is damaged.
    """
    folder = Path(cfg.run)
    trained = manifest_of(folder).config
    changed = [override.key_or_group for override in OverridesParser.create().parse_overrides(list(typed))]
    for key in changed:
        top = key.split(".")[0].split("/")[0]
        if top not in (*HOW, *WHERE):
            raise ConfigError(
                f"{key} is part of the identity of run={folder}, which is already trained; leave it out. "
                "You may change: policy, checkpoint, evaluate.<setting>, seed, map, env.<setting>, device"
            )
    now = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=False))
    again: dict[str, Any] = {**now, **{name: copy.deepcopy(trained[name]) for name in ("algo", "budget", *WHERE)}}
    changes = [key for key in changed if key.split(".")[0] in WHERE]
    if cfg.env.name == trained["env"]["name"]:
        again["env"] = _with_its_references(now, trained)
    elif changes:
        key = "env" if "env" in changes else changes[0]
        raise ConfigError(f"{key} is of env={cfg.env.name}, but run={folder} plays {trained['env']['name']}")
    for key in changes:
        if key != "env":
            _copy(now, again, key.split("."))
    return OmegaConf.create(again)


def _with_its_references(now: dict[str, Any], trained: dict[str, Any]) -> dict[str, Any]:
    """A run's environment, with references to other settings wherever they resolve to the trained values."""
    env = _overlaid(now["env"], trained["env"])
    known = OmegaConf.create({**now, **{name: trained[name] for name in ("algo", "budget", "map")}, "env": env})
    for path in _references(env, ["env"]):
        value = OmegaConf.select(known, ".".join(path))
        value = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
        parent = _at(trained, path[:-1]) or {}
        if path[-1] in parent and value != parent[path[-1]]:
            _at({"env": env}, path[:-1])[path[-1]] = copy.deepcopy(parent[path[-1]])
    return env


def _overlaid(now: dict[str, Any], trained: dict[str, Any]) -> dict[str, Any]:
    """Trained values over current ones, except for references; settings newer than the run are kept."""
    result = dict(now)
    for key, value in trained.items():
        there = now.get(key)
        if isinstance(value, dict) and isinstance(there, dict):
            result[key] = _overlaid(there, value)
        elif not _is_reference(there):
            result[key] = copy.deepcopy(value)
    return result


def _references(node: dict[str, Any], above: list[str]) -> list[list[str]]:
    found = []
    for key, value in node.items():
        if isinstance(value, dict):
            found += _references(value, [*above, key])
        elif _is_reference(value):
            found.append([*above, key])
    return found


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and "${" in value


def _at(node: dict[str, Any], path: Sequence[str]) -> Any:
    """The value at a path, or None."""
    found: Any = node
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _copy(now: dict[str, Any], again: dict[str, Any], path: list[str]) -> None:
    """Copy the override at a path."""
    target = again
    for key in path[:-1]:
        if not isinstance(target.get(key), dict):
            target[key] = {}
        target = target[key]
    value = _at(now, path)
    if value is None and path[-1] not in (_at(now, path[:-1]) or {}):
        target.pop(path[-1], None)  # it was deleted (~key)
    else:
        target[path[-1]] = copy.deepcopy(value)
