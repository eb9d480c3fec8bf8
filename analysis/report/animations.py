"""The animations beside the runs, as far as they are small enough to embed in the page."""

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

#: The most bytes of all pictures of a page together.
LIMIT = 4_000_000


class Picture(NamedTuple):
    """One animation: its path below the folder it was found in, a description, its bytes, and it as a data URI."""

    name: str
    alt: str
    size: int
    source: str


def pictures(folders: Iterable[Path], limit: int = LIMIT) -> tuple[list[Picture], list[str]]:
    """All ``*.gif`` below some folders, in order of their paths, and the paths of those that did not fit.

    If there is no room for all, small ones are taken first.
    """
    paths = ((folder, path) for folder in folders for path in sorted(folder.rglob("*.gif")))
    found = {path.resolve(): (folder, path) for folder, path in paths if path.is_file()}
    fits, used = [], 0
    for folder, path in sorted(found.values(), key=lambda pair: pair[1].stat().st_size):
        used += path.stat().st_size
        if used <= limit:
            fits.append((folder, path))
    left_out = sorted(str(path.relative_to(folder)) for folder, path in found.values() if (folder, path) not in fits)
    shown = []
    for folder, path in sorted(fits):
        data, name = path.read_bytes(), path.relative_to(folder)
        source = f"data:image/gif;base64,{base64.b64encode(data).decode()}"
        shown.append(Picture(name.as_posix(), _alt(name), len(data), source))
    return shown, left_out


def _alt(name: Path) -> str:
    """A description of what `mode=render` filmed, from the path."""
    parts = name.parts[:-1]
    if name.stem.startswith("random_"):
        map_, _, seed = name.stem.removeprefix("random_").partition("_seed")
        told = f"One episode on {map_}, played by a random team"
        return f"{told} (seed {seed})" if seed else told
    if len(parts) >= 5 and parts[-1].startswith("seed="):
        env, map_, algo, _, seed = parts[-5:]
        changed = name.stem.partition("_")[2]  # what differs from the run's own, e.g. dependent_8m_seed3
        told = f"One episode on {map_} ({env}), played by {algo}, {seed.replace('=', ' ')}"
        return f"{told} ({changed})" if changed else told
    return f"Animation {name.stem.replace('_', ' ')}"
