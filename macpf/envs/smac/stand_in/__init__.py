"""Stand-ins for the packages smac, pysc2 and s2clientprotocol, so that code written for StarCraft II runs without it.

The folder `PATH` goes to the front of the path: ``smac`` there is `StarCraft2Env` on the embedded engine, and ``pysc2``
is a game of the engine for codes that bring their own copy of SMAC's environment (PyMARL2, on-policy). See
docs/environments/smac_drop_in.md.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

#: What to put on the path.
PATH = Path(__file__).parent / "path"


def install() -> None:
    """Put the stand-ins at the front of this process's path, and of its children's.

    Raises:
        ImportError: another package of these names was imported already.
    """
    for name in ("smac", "pysc2", "s2clientprotocol"):
        loaded = getattr(sys.modules.get(name), "__file__", None)
        if loaded and PATH not in Path(loaded).parents:
            raise ImportError(f"{name} was imported from {loaded} already; install the stand-ins before it")
    if str(PATH) not in sys.path:
        sys.path.insert(0, str(PATH))
    entries = [str(PATH), str(PATH.parents[4]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(entry for entry in entries if entry))
