"""What conf/ offers, read without Hydra, which takes a second to start."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from macpf.extensions import find, folders
from macpf.suite import CONF as CONF


def choices(group: str) -> list[str]:
    """The names that a group has, here and in installed packages."""
    return sorted(path.stem for folder in folders() for path in (folder / group).glob("*.yaml"))


def read(path: Path) -> Any:
    """The plain values of a YAML file, as they stand in it."""
    return yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def sweep_params(name: str) -> dict[str, str]:
    """What the sweep of `conf/experiment/<name>.yaml` varies: lists with commas, as one would type them.

    Raises:
        macpf.yaml_files.BrokenFile: the file says nothing that could be swept.
    """
    path = find("experiment", name) or CONF / "experiment" / f"{name}.yaml"
    try:
        params = read(path)["hydra"]["sweeper"]["params"]
        return {str(key): str(value) for key, value in params.items()}
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        from macpf import yaml_files  # which says what is wrong with it

        yaml_files.load(path)
        raise


def canonical_budget(budgets: Mapping[str, Any], budget: Mapping[str, Any]) -> str:
    """The name of a budget: that of the first in an environment's list with these numbers, or else its own.

    A matrix game's ``laptop`` budget is its ``paper`` budget, so both make the same run, and it needs one name.
    """
    asked = {key: value for key, value in budget.items() if key != "name"}
    return next((str(name) for name, numbers in budgets.items() if dict(numbers) == asked), str(budget["name"]))
