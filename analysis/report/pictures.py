"""The animated pictures beside the runs, small enough to stand in a page."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

#: Bytes of all pictures of a page together.
LIMIT = 4_000_000


@dataclass(frozen=True)
class Picture:
    """One animation.

    Attributes:
        name: its path below the folder it was found in.
        alt: what it shows, for those who do not see it.
        size: bytes.
        source: the animation as a data URI.
    """

    name: str
    alt: str
    size: int
    source: str


@dataclass(frozen=True)
class Pictures:
    """What was found, and the paths of what had no room."""

    shown: list[Picture]
    left_out: list[str]


def pictures(folders: Iterable[Path], limit: int = LIMIT) -> Pictures:
    """All ``*.gif`` below some folders; small ones first if there is no room for all, shown in order of their paths."""
    paths = ((folder, path) for folder in folders for path in sorted(folder.rglob("*.gif")))
    found = {path.resolve(): (folder, path) for folder, path in paths if path.is_file()}
    fits, used = [], 0
    for folder, path in sorted(found.values(), key=lambda pair: pair[1].stat().st_size):
        used += path.stat().st_size
        if used <= limit:
            fits.append((folder, path))
    shown = [_picture(folder, path) for folder, path in sorted(fits)]
    left_out = sorted(str(path.relative_to(folder)) for folder, path in found.values() if (folder, path) not in fits)
    return Pictures(shown, left_out)


def _picture(folder: Path, path: Path) -> Picture:
    data = path.read_bytes()
    name = path.relative_to(folder).as_posix()
    return Picture(name, _alt(path, folder), len(data), f"data:image/gif;base64,{base64.b64encode(data).decode()}")


def _alt(path: Path, folder: Path) -> str:
    """What `mode=render` filmed, from where it puts it."""
    parts = path.relative_to(folder).parts[:-1]
    if path.stem.startswith("random_"):
        return f"One episode on {path.stem.removeprefix('random_')}, played by a random team"
    if len(parts) >= 5 and parts[-1].startswith("seed="):
        env, map_, algo, _, seed = parts[-5:]
        return f"One episode on {map_} ({env}), played by {algo}, {seed.replace('=', ' ')}"
    return f"Animation {path.stem.replace('_', ' ')}"
