"""Stand-ins for the packages smac, pysc2 and s2clientprotocol, so that code written for StarCraft II runs without it.

The folder `PATH` goes to the front of Python's path. Its ``smac`` is `StarCraft2Env` on the embedded engine. Its
``pysc2`` plays the engine's battles for programs with their own copy of SMAC's environment (PyMARL2, on-policy). See
docs/environments/smac_drop_in.md.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

#: The folder to put on Python's path.
PATH = Path(__file__).parent / "path"


def install() -> None:
    """Put the stand-ins at the front of the path of this process and of its children.

    Raises:
        ImportError: a different package with one of these names was already imported.
    """
    for name in ("smac", "pysc2", "s2clientprotocol"):
        loaded = getattr(sys.modules.get(name), "__file__", None)
        if loaded and PATH not in Path(loaded).parents:
            raise ImportError(f"{name} was imported from {loaded} already; install the stand-ins before it")
    if str(PATH) not in sys.path:
        sys.path.insert(0, str(PATH))
    entries = [str(PATH), str(PATH.parents[4]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(entry for entry in entries if entry))
