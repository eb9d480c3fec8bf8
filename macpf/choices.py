"""The choices in conf/, read without Hydra, which takes a second to start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from macpf.extensions import find, folders
from macpf.suite import CONF as CONF


def choices(group: str) -> list[str]:
    """The names of a group's choices, in conf/ and in installed packages."""
    return sorted(path.stem for folder in folders() for path in (folder / group).glob("*.yaml"))


def read(path: Path) -> Any:
    """The plain values of a YAML file, as they are written in it."""
    return yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def family(algo: str, places: Iterable[Path] | None = None) -> str:
    """The algorithm of which `algo` is a variant, according to its file or the one it builds on; else `algo` itself.

    Variants share the algorithm's settings for tasks and profiles, and its place in figures.

    Args:
        algo: a choice.
        places: the folders in which its file is searched, with the layout of conf/; None: conf/ and installed packages.

    Raises:
        macpf.yaml_files.BrokenFile: its file cannot be read.
    """
    places = None if places is None else list(places)
    path = find("algo", algo, places)
    if path is None:
        return algo
    try:
        said = read(path) or {}
        base = next((str(name) for name in said.get("defaults", []) if name not in ("_self_", algo)), None)
        own = said.get("family")
    except _NO_SETTINGS:
        _explain(path)
        raise
    return str(own or (family(base, places) if base else algo))


def sweep_params(name: str) -> dict[str, str]:
    """What the sweep of `conf/experiment/<name>.yaml` varies: lists with commas, as typed on the command line.

    Raises:
        macpf.yaml_files.BrokenFile: the file cannot be read or sweeps nothing.
    """
    path = find("experiment", name) or CONF / "experiment" / f"{name}.yaml"
    try:
        params = read(path)["hydra"]["sweeper"]["params"]
        return {str(key): str(value) for key, value in params.items()}
    except _NO_SETTINGS as error:
        _explain(path)
        from macpf.yaml_files import BrokenFile  # imports Hydra

        raise BrokenFile(f"{path} sweeps nothing; list what varies under hydra.sweeper.params") from error


#: Errors of a file that cannot be read or does not hold what it should.
_NO_SETTINGS = (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError)


def _explain(path: Path) -> None:
    """Raise an error that says in one line what is wrong with a file, if its YAML is."""
    from macpf import yaml_files  # imports Hydra

    yaml_files.load(path)


def canonical_budget(budgets: Mapping[str, Any], budget: Mapping[str, Any]) -> str:
    """The name of a budget: that of the first in an environment's list with the same numbers, or else its own.

    A matrix game's ``laptop`` budget equals its ``paper`` budget, so both make the same run, which needs one name.
    """
    asked = {key: value for key, value in budget.items() if key != "name"}
    return next((str(name) for name, numbers in budgets.items() if dict(numbers) == asked), str(budget["name"]))
