"""``python -m macpf.envs.smac.stand_in [script.py | -m module] [arguments]``: run a program for SMAC on the engine.

Without arguments it prints the folder to put on PYTHONPATH.
"""

from __future__ import annotations

import collections
import collections.abc
import importlib
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np

from macpf.envs.smac.stand_in import PATH, install

USAGE = "usage: python -m macpf.envs.smac.stand_in [script.py | -m module] [arguments]"


def mend_the_past() -> None:
    """Restore names for programs of 2019 that Python, NumPy and PyYAML have removed since; existing ones are kept.

    These are abstract classes in `collections`, ``np.float`` and the like, and ``yaml.load`` without a loader.
    """
    for name in ("Mapping", "MutableMapping", "Sequence", "Iterable", "Callable"):
        if not hasattr(collections, name):
            setattr(collections, name, getattr(collections.abc, name))
    for name, kind in (("float", float), ("int", int), ("bool", bool), ("object", object)):
        if name not in np.__dict__:
            setattr(np, name, kind)
    try:
        yaml: Any = importlib.import_module("yaml")
    except ImportError:
        return
    load = yaml.load
    yaml.load = lambda stream, Loader=yaml.FullLoader: load(stream, Loader=Loader)


def main(arguments: list[str]) -> int:
    """Run the given program, or print the folder of the stand-ins.

    Returns:
        The exit code: 2 if there is no such program, else 0. A program that exits by itself sets its own.
    """
    if not arguments:
        print(PATH)
        return 0
    as_module = arguments[0] == "-m"
    program = arguments[1:2] if as_module else arguments[:1]
    if not program or (not as_module and not Path(program[0]).is_file()):
        print(f"{program[0]} is no file; {USAGE}" if program else USAGE, file=sys.stderr)
        return 2
    install()
    mend_the_past()
    if as_module:
        sys.argv = arguments[1:]
        sys.path.insert(0, "")
        runpy.run_module(program[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        sys.path.insert(0, str(Path(program[0]).resolve().parent))
        runpy.run_path(program[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
