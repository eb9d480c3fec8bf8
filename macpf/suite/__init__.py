"""Where `conf`, `baselines` and `analysis` lie: beside `macpf` in a checkout, in this folder once a wheel is installed.

A wheel brings no package called `analysis` into an environment. Only processes of this suite find it: a command of
``macpf`` puts the folder at the front of the path, and of that of the processes it starts; a library call such as
`macpf.load_policy` puts it at the end, where it takes no name from anybody.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_HERE = Path(__file__).parent
#: Whether this is a wheel that was installed, and no checkout.
INSTALLED = (_HERE / "conf").is_dir()
#: The folder that holds the others.
ROOT = _HERE if INSTALLED else _HERE.parents[1]
CONF = ROOT / "conf"
#: How one begins to type a run, and a command of the analysis.
TRAIN, ANALYSE = ("macpf train", "macpf analysis") if INSTALLED else ("python run.py", "python -m analysis")

# Nothing below has a second name here: `macpf.suite.analysis` is not importable.
__path__ = []


def as_typed(text: str) -> str:
    """A message that names commands as they are typed in a checkout, with those that are typed here."""
    return text.replace("python run.py", TRAIN).replace("python -m analysis", ANALYSE)


def on_path(first: bool = False) -> None:
    """Make `baselines` and `analysis` importable under their own names; in a checkout they are.

    Args:
        first: before all others, and for the processes that this one starts, too.
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
