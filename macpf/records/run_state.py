"""The state of runs, from the ``status.json`` in their folders; used for starting runs and for displaying them.

The status is what a run reports about itself. A run only counts as over if its ledger agrees.
"""

from __future__ import annotations

import functools
import math
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import psutil
from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, RootModel

from macpf.records.files import Damaged, read_record, write_atomically
from macpf.records.ledger import NAME, Ledger
from macpf.records.owner import Foreign, Origin, Owner, refuse_foreign
from macpf.records.wandb_log import digest_of

FINISHED: Final = "finished"
RUNNING: Final = "running"
INTERRUPTED: Final = "interrupted"
FAILED: Final = "failed"
DIVERGED: Final = "diverged"
UNTRAINED: Final = "untrained"
STALE: Final = "stale"
DAMAGED: Final = "damaged"
MISSING: Final = "missing"
#: All states, in the order in which summaries list them.
STATES = (FINISHED, RUNNING, INTERRUPTED, FAILED, DIVERGED, UNTRAINED, STALE, DAMAGED, MISSING)
#: States in which nothing is left to do.
OVER = (FINISHED, DIVERGED, UNTRAINED)
#: States that need somebody's attention.
TROUBLED = (FAILED, STALE, DAMAGED, DIVERGED, UNTRAINED)

#: A run on another machine is taken for dead after this many seconds without a report. Runs report every few seconds,
#: but not while they evaluate.
SILENCE = 1800.0

#: The folder of plans below the root of all run folders, with one file for each command.
PLANS = ".plans"
STATUS = "status.json"
_PUT_BACK = "put it back where it came from"
_GOES_ON = "the same command resumes from the other files in the folder"

Finite = Annotated[float, Field(allow_inf_nan=False)]


class Status(BaseModel):
    """The report of a run, written while it is active and when it ends.

    Attributes:
        state: one of `STATES`.
        pid, host, updated: the process and machine that wrote this, and when (seconds since 1970).
        key, origin: the run's `Owner`; None before they are known.
        attempt, started: number of the attempt, and when it started.
        commit: git commit of the code.
        env_step, total_env_steps: the run's progress.
        score, score_name: the latest greedy score of each policy, and its name.
        steps_per_second, seconds_left: the run's speed and remaining time.
        error: why the run failed or diverged.
    """

    model_config = ConfigDict(extra="ignore")

    state: str
    pid: int = 0
    host: str = ""
    updated: float = 0.0
    key: str | None = None
    origin: Origin | None = None
    attempt: int = Field(default=0, ge=0)
    started: float = 0.0
    commit: str | None = None
    env_step: int | None = None
    total_env_steps: int | None = None
    score: dict[str, float] | None = None
    score_name: str | None = None
    steps_per_second: Finite | None = None
    seconds_left: Finite | None = None
    error: str | None = None


def read_status(folder: Path) -> dict[str, Any]:
    """The last report of a run, without missing values; empty if there is none.

    Raises:
        Damaged: the file was not written by a run.
    """
    try:
        return read_record(folder / STATUS, Status, f"delete it, and {_GOES_ON}").model_dump(exclude_none=True)
    except FileNotFoundError:
        return {}


@dataclass(frozen=True)
class RunState:
    """The state of one run.

    Attributes:
        folder: ``outputs/<env>/<map>/<algo>/<config hash>/seed=<k>``.
        state: ``finished``; ``running``; ``interrupted`` (saved and stopped); ``failed``; ``diverged`` (a number became
            NaN or infinite); ``untrained`` (no update was made); ``stale`` (reports that it runs, but was killed);
            ``damaged`` (its status or ledger cannot be trusted); or ``missing`` (never started).
        status: the last report of the run; empty if it is missing.
        error: what is wrong with a damaged run, and what to do.
        is_logged: whether the W&B logs of a run that is over are unchanged since it ended.
    """

    folder: Path
    state: str
    status: dict[str, Any]
    error: Damaged | None = None
    is_logged: bool = True

    @property
    def is_over(self) -> bool:
        """Whether the command of this run has nothing left to do."""
        return self.state in OVER and self.is_logged

    @property
    def name(self) -> str:
        """The run's folder below the root, without the config hash."""
        env, map_, algo, _, seed = self.folder.parts[-5:]
        return f"{env}/{map_}/{algo} {seed}"

    @property
    def progress(self) -> float:
        """Fraction of the run's env steps that have been played, 0 to 1."""
        if self.state in OVER:
            return 1.0
        return min(1.0, float(self.status.get("env_step", 0)) / float(self.status.get("total_env_steps") or 1))

    @property
    def why(self) -> str:
        """One line with the state of the run, and where to look for the cause."""
        if self.state == STALE:
            who = f"process {self.status.get('pid')} on {self.status.get('host')}"
            return f"killed: {self.name}: {who} is gone or silent; folder {self.folder}"
        if self.state == FAILED:
            return f"failed: {self.name}: {self.status.get('error')} (see {self.folder / 'error.txt'})"
        if self.state in (DIVERGED, UNTRAINED):
            return f"{self.state}: {self.name}: {self.status.get('error')}"
        if self.state == DAMAGED:
            return f"damaged: {self.name}: {self.error}"
        if not self.is_logged:
            return f"{self.state}: {self.name}: its W&B log was changed or lost; the same command writes it again"
        return f"{self.state}: {self.name}"


def run_state(folder: Path) -> RunState:
    """The state of the run in a folder; the folder need not exist."""
    is_logged = True
    try:
        status = read_status(folder)
        if not status and (folder / NAME).exists():
            raise Damaged(f"{folder / STATUS} is gone; {_GOES_ON}")
        if not status:
            return RunState(folder, MISSING, {})
        key = key_of(folder)
        if key and status.get("key", key) != key:
            raise Foreign(f"{folder / STATUS} belongs to the run {status['key']}, not to {key}; {_PUT_BACK}")
        if (state := status["state"]) in OVER:
            is_logged = _believe(folder, key, status)
    except Damaged as error:
        return RunState(folder, DAMAGED, {}, error)
    if state not in STATES or (state == RUNNING and not _alive(status)):
        state = STALE
    return RunState(folder, state, status, is_logged=is_logged)


def key_of(folder: Path) -> str | None:
    """The key of the run in this folder, derived from its path; None if it is not a run folder."""
    if len(folder.parts) < 5 or not folder.name.startswith("seed="):
        return None
    env, map_, algo, digest, seed = folder.parts[-5:]
    return f"{algo}-{env}-{map_}-{digest}-s{seed.removeprefix('seed=')}"


def _believe(folder: Path, key: str | None, status: dict[str, Any]) -> bool:
    """Compare the status of a run that is over with its ledger; returns whether its W&B logs are unchanged.

    Raises:
        Damaged: the ledger belongs to another run, disagrees, or is incomplete.
    """
    path = folder / NAME
    try:
        stat = path.stat()
        ledger = _ledger(path, stat.st_mtime_ns, stat.st_size)
    except FileNotFoundError:
        if "key" not in status:
            raise Damaged(
                "it was made before runs kept a ledger: the analysis reads its log, but it cannot be continued"
            ) from None
        raise Damaged(f"it says {status['state']}, but {path} is gone; {_GOES_ON}") from None
    except OSError as error:
        raise Damaged(f"{path} cannot be read ({error.strerror}); {_GOES_ON}") from error
    owner = ledger.manifest.owner
    if key and owner.key != key:
        raise Foreign(f"{path} belongs to the run {owner.key}, not to {key}; {_PUT_BACK}")
    if {"key", "origin"} <= status.keys():
        refuse_foreign(folder / STATUS, Owner(key=status["key"], origin=status["origin"]), owner)
    if ledger.end is None or ledger.end.state != status["state"] or (ledger.missing and ledger.end.state == FINISHED):
        raise Damaged(f"it says {status['state']}, but {path} lacks its end; {_GOES_ON}")
    return all(_is_as_it_was(folder / log, digest) for log, digest in ledger.end.log.items())


@functools.lru_cache(maxsize=4096)
def _ledger(path: Path, mtime: int, size: int) -> Ledger:
    """The ledger at a path, cached until the file changes."""
    return Ledger.read(path)


def _is_as_it_was(path: Path, digest: str) -> bool:
    try:
        stat = path.stat()
        return _digest(path, stat.st_mtime_ns, stat.st_size) == digest
    except OSError:
        return False


@functools.lru_cache(maxsize=8192)
def _digest(path: Path, mtime: int, size: int) -> str:
    return digest_of(path)


def _alive(status: dict[str, Any]) -> bool:
    """Whether the process that wrote the status is alive, as far as this machine can tell."""
    if status.get("host") != socket.gethostname():
        return time.time() - float(status.get("updated", 0)) < SILENCE
    try:  # a process that began after this was written has only inherited the pid of a dead one
        return psutil.Process(int(status["pid"])).create_time() <= float(status.get("updated", math.inf))
    except (psutil.NoSuchProcess, ValueError, OverflowError):
        return False


def begun(outputs: Path) -> list[RunState]:
    """All runs below a root that have been started."""
    places = (path.parent for name in (STATUS, NAME) for path in outputs.glob(f"*/*/*/*/seed=*/{name}"))
    return [run_state(folder) for folder in sorted(set(places))]


class Plan(RootModel[list[str]]):
    """The folders of the runs that one command needs, relative to the root."""


def write_plan(outputs: Path, name: str, folders: list[Path]) -> None:
    """Record which runs an experiment needs, so that missing runs can be listed later."""
    plans = outputs / PLANS
    plans.mkdir(parents=True, exist_ok=True)
    plan = Plan([str(folder.relative_to(outputs)) for folder in folders])
    with FileLock(plans / ".lock"):  # two commands may plan at the same time
        write_atomically(plans / f"{name}.json", plan.model_dump_json(indent=0).encode())


def planned(outputs: Path, name: str | None = None) -> tuple[list[Path], list[str]]:
    """The run folders in the plan of this name, or in all plans, and the problems found in these files."""
    folders: dict[Path, None] = {}
    troubles = []
    for path in sorted((outputs / PLANS).glob(f"{name or '*'}.json")):
        try:
            plan = read_record(path, Plan, f"delete it; `make plan-{path.stem.partition('-')[0]}` shows what it needs")
        except Damaged as error:
            troubles.append(str(error))
        else:
            folders |= dict.fromkeys(outputs / folder for folder in plan.root)
    return list(folders), troubles
