"""Locates `conf`, `baselines` and `analysis`: beside `macpf` in a checkout, in this folder in an installed wheel.

A wheel does not add a package called `analysis` to the Python environment. Only processes of this suite can import it.
A command of ``macpf`` puts this folder at the front of the import path, also for the processes that it starts. A
library call such as `macpf.load_policy` puts it at the end, where it hides no other package.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_HERE = Path(__file__).parent
#: Whether this is an installed wheel rather than a checkout.
INSTALLED = (_HERE / "conf").is_dir()
#: The folder that contains `conf`, `baselines` and `analysis`.
ROOT = _HERE if INSTALLED else _HERE.parents[1]
CONF = ROOT / "conf"
#: How the commands that train and analyse begin.
TRAIN, ANALYSE = ("macpf train", "macpf analysis") if INSTALLED else ("python run.py", "python -m analysis")

# No package has a second name here: `macpf.suite.analysis` is not importable.
__path__ = []


def as_typed(text: str) -> str:
    """Replace the commands in a message, written for a checkout, by those of this installation."""
    return text.replace("python run.py", TRAIN).replace("python -m analysis", ANALYSE)


def on_path(first: bool = False) -> None:
    """Make `baselines` and `analysis` importable under their own names; in a checkout they already are.

    Args:
        first: put them before all other packages, also for processes that this one starts.
    """
    if not INSTALLED:
        return
    root = str(ROOT)
    if first:
        sys.path[:] = [root, *(entry for entry in sys.path if entry != root)]
        inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([root, *filter(None, inherited)]))
    elif root not in sys.path:
        sys.path.append(root)
