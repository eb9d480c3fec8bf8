"""How runs stand, from the ``status.json`` in their folders; for those who start runs and those who look at them.

This module imports nothing of ours, so the analysis can use it without loading torch.
"""

from __future__ import annotations

import json
import math
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

FINISHED, RUNNING, INTERRUPTED, FAILED, STALE, MISSING = (
    *("finished", "running", "interrupted", "failed", "stale", "missing"),
)
#: In the order in which they are counted out.
STATES = (FINISHED, RUNNING, INTERRUPTED, FAILED, STALE, MISSING)

#: A run on another machine that said nothing for so many seconds is taken for dead. Runs report every few seconds, but
#: not while they evaluate.
SILENCE = 1800.0

#: Below the root of all run folders: what was planned, one file for each command.
PLANS = ".plans"


@dataclass(frozen=True)
class Standing:
    """How one run stands.

    Attributes:
        folder: ``outputs/<env>/<map>/<algo>/<config hash>/seed=<k>``.
        state: ``finished``, ``running``, ``interrupted`` (saved and stopped), ``failed``, ``stale`` (says that it
            runs, but was killed), or ``missing`` (never begun).
        status: what the run said last; empty if it is missing.
    """

    folder: Path
    state: str
    status: dict[str, Any]

    @property
    def name(self) -> str:
        """Its folder below the root, without the hash."""
        env, map_, algo, _, seed = self.folder.parts[-5:]
        return f"{env}/{map_}/{algo} {seed}"

    @property
    def progress(self) -> float:
        """Share of its env steps that have been played, 0 to 1."""
        if self.state == FINISHED:
            return 1.0
        return min(1.0, float(self.status.get("env_step", 0)) / float(self.status.get("total_env_steps") or 1))

    @property
    def why(self) -> str:
        """In one line, how it stands and what to look at."""
        if self.state == STALE:
            who = f"process {self.status.get('pid')} on {self.status.get('host')}"
            return f"killed: {self.name}: {who} is gone or silent; folder {self.folder}"
        if self.state == FAILED:
            return f"failed: {self.name}: {self.status.get('error')} (see {self.folder / 'error.txt'})"
        return f"{self.state}: {self.name}"


def standing(folder: Path) -> Standing:
    """How the run in a folder stands; the folder need not exist."""
    try:
        status = json.loads((folder / "status.json").read_text())
    except (OSError, ValueError):
        status = None
    if not isinstance(status, dict):
        return Standing(folder, MISSING, {})
    state = str(status.get("state"))
    if state not in STATES or (state == RUNNING and not _alive(status)):
        state = STALE
    return Standing(folder, state, status)


def _alive(status: dict[str, Any]) -> bool:
    """Whether the process that wrote this still lives, as far as can be seen from here."""
    if status.get("host") != socket.gethostname():
        return time.time() - float(status.get("updated", 0)) < SILENCE
    try:  # a process that began after this was written has the number of one that is gone
        return psutil.Process(int(status["pid"])).create_time() <= float(status.get("updated", math.inf))
    except psutil.NoSuchProcess:
        return False


def begun(outputs: Path) -> list[Standing]:
    """All runs below a root that have been begun."""
    return [standing(path.parent) for path in sorted(outputs.glob("*/*/*/*/seed=*/status.json"))]


def write_plan(outputs: Path, name: str, folders: list[Path]) -> None:
    """Note which runs an experiment needs, for those who ask later what is missing."""
    plans = outputs / PLANS
    plans.mkdir(parents=True, exist_ok=True)
    new = plans / f".{name}.{os.getpid()}"
    new.write_text(json.dumps([str(folder.relative_to(outputs)) for folder in folders], indent=0))
    os.replace(new, plans / f"{name}.json")


def planned(outputs: Path, name: str | None = None) -> list[Path]:
    """The folders that the plan of this name needs, or all plans together."""
    folders: dict[Path, None] = {}
    for path in sorted((outputs / PLANS).glob(f"{name or '*'}.json")):
        folders |= dict.fromkeys(outputs / folder for folder in json.loads(path.read_text()))
    return list(folders)
