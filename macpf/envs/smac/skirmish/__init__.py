"""The embedded engine: SMAC battles in compiled code, batched, without StarCraft."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

import numba

#: Files here without compiled code or constants for it.
NOT_COMPILED = ("battles.py", "battle_pictures.py", "ground.py")


def _cache_folder() -> Path:
    """The cache folder, named by a hash of all sources, as numba only notices changes in a function's own file."""
    here = Path(__file__).parent
    compiled = {path for path in here.glob("*.py") if path.name not in NOT_COMPILED}
    sources = sorted([*compiled, here.parent / "units.py", here.parent / "maps.py"])
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    beside = os.access(here, os.W_OK)
    return (here / "__pycache__" if beside else Path.home() / ".cache" / "macpf") / digest


if not os.environ.get("NUMBA_CACHE_DIR"):
    numba.config.CACHE_DIR = str(_cache_folder())  # type: ignore[attr-defined]
#: Numba logs a line for every instruction that it compiles; a program that records all of them would take an hour.
if logging.getLogger("numba").level == logging.NOTSET:
    logging.getLogger("numba").setLevel(logging.WARNING)
