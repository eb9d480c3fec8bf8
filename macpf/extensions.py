"""Configuration from installed packages.

A package adds algorithms, environments, maps or other parts of conf/ through an entry point of the group
``macpf.conf``. Its value names a folder in the package that has the layout of conf/::

    [project.entry-points."macpf.conf"]
    my_methods = "my_methods.conf"
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from macpf.suite import CONF

GROUP = "macpf.conf"


class BrokenEntryPoint(ValueError):
    """The entry point of an installed package cannot be used; the message is one line that names it and says why."""


@functools.cache
def extensions() -> dict[str, Path]:
    """The configuration folders of installed packages, by the names of their entry points.

    Raises:
        BrokenEntryPoint: there is no such folder, or two folders have a file of the same name.
    """
    found: dict[str, Path] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        folder = _folder(point)
        for path, other in twins(folder, (CONF, *found.values())):
            raise BrokenEntryPoint(f"{path} has the name of {other}; rename it, or uninstall one of both")
        found[point.name] = folder
    return found


def _folder(point: EntryPoint) -> Path:
    """The folder that an entry point names; nothing of the package is imported."""
    package, *below = point.value.split(".")
    spec = importlib.util.find_spec(package)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        if (folder := Path(place, *below)).is_dir():
            return folder
    owner = f" of {point.dist.name}" if point.dist else ""
    raise BrokenEntryPoint(
        f"the entry point {point.name}{owner} names {point.value}, where there is no folder; install the package again"
    )


def twins(folder: Path, others: Iterable[Path]) -> Iterator[tuple[Path, Path]]:
    """The files of a folder that have the name of one in other folders, each with that one; Hydra would read only one.

    Args:
        folder: laid out like conf/. It may hold much else, so it is not searched.
        others: folders laid out like conf/, all of whose files are looked at.
    """
    for other in others:
        for there in sorted(other.rglob("*.yaml")):
            if (path := folder / there.relative_to(other)).exists() and not path.samefile(there):
                yield path, there


def folders() -> list[Path]:
    """conf/ and the folders of installed packages, in the order in which Hydra looks for files."""
    return [CONF, *extensions().values()]


def find(group: str, name: str, places: Iterable[Path] | None = None) -> Path | None:
    """The file of a choice in the first of these folders that has it, by default of `folders`; None if none has."""
    files = (folder / group / f"{name}.yaml" for folder in (folders() if places is None else places))
    return next((path for path in files if path.exists()), None)


def is_group(name: str) -> bool:
    """Whether there is a group of choices with this name."""
    return any((folder / name).is_dir() for folder in folders())
