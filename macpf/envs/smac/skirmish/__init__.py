"""The embedded engine: SMAC battles in compiled code, batched, without StarCraft."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

import numba

#: Files here with no compiled code in them, nor constants of it.
NOT_COMPILED = ("battles.py", "battle_pictures.py", "ground.py")


def _cache_folder() -> Path:
    """Numba notices a change of a compiled function's own file only, so the cache is named after all our sources."""
    here = Path(__file__).parent
    compiled = {path for path in here.glob("*.py") if path.name not in NOT_COMPILED}
    sources = sorted([*compiled, here.parent / "units.py", here.parent / "maps.py"])
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    beside = os.access(here, os.W_OK)
    return (here / "__pycache__" if beside else Path.home() / ".cache" / "macpf") / digest


if not os.environ.get("NUMBA_CACHE_DIR"):
    numba.config.CACHE_DIR = str(_cache_folder())  # type: ignore[attr-defined]
#: Numba writes a line for every instruction it compiles; a program that logs all it hears would wait for an hour.
if logging.getLogger("numba").level == logging.NOTSET:
    logging.getLogger("numba").setLevel(logging.WARNING)
