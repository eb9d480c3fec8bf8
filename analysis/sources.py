"""Where logged rows come from, behind one protocol.

A source lists references to segments; a segment is what one attempt at a run wrote. Listing is cheap and reading is
not, so the cache (``analysis.cache``) stands between the two and reads only what changed.

``LocalSource`` is the one source there is. Another, such as W&B's server read by ``wandb.Api``, needs ``references``
only: its ``read`` collects a run's rows as mappings and hands them to ``tidy_rows``; its fingerprint has to change
with the rows and is None while a run goes on; it should refuse a run of which it got fewer rows than the server
counts. A server that joins all attempts into one run gives a single segment: stitching works on rows and does not
mind.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from analysis.errors import AnalysisError
from analysis.framing import Gap
from analysis.wandb_file import WandbFile, read_wandb_file
from macpf import names

#: How a process ends that was asked to stop (SIGINT, SIGTERM) and put its things in order first.
_STOPPED_IN_ORDER = (0, 128 + 2, 128 + 15)
#: W&B's readers spell these as strings, its files as bare tokens.
_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@dataclass(frozen=True)
class Provenance:
    """Where a segment was read from, and in what condition it was.

    Attributes:
        path: of the file.
        state: ``ended`` (exit code 0), ``stopped`` (asked to stop, or preempted), ``failed`` (any other exit code) or
            ``open`` (no exit code: killed, or still going on).
        exit_code: None without an exit record.
        gaps: damaged stretches that were skipped; rows may be missing there.
        truncated: bytes of an unfinished record at the end of the file.
    """

    path: str
    state: str
    exit_code: int | None
    gaps: tuple[Gap, ...]
    truncated: int


@dataclass(frozen=True)
class Segment:
    """What one attempt at a run wrote.

    Attributes:
        run_id: W&B's.
        run_key: the same for all attempts at one run.
        attempt: 1 for the first; 0 if unknown.
        start_time: seconds since 1970; 0 if unknown.
        config: W&B's config of the run, see ``macpf.names``; empty if nothing was written yet.
        done: whether the run says that it reached its budget.
        values: one line per number, in the order of logging: row (int, counts the segment's rows), env_step (int),
            metric (str), value (float).
        provenance: where all this comes from.
    """

    run_id: str
    run_key: str
    attempt: int
    start_time: float
    config: dict[str, Any]
    done: bool
    values: pd.DataFrame
    provenance: Provenance


@dataclass(frozen=True)
class Reference:
    """A segment that can be read.

    Attributes:
        name: tells it from all others of its source, the same each time it is listed.
        fingerprint: changes whenever the content may have; None means: never keep it.
        read: reads it.
    """

    name: str
    fingerprint: str | None
    read: Callable[[], Segment]


class Source(Protocol):
    """Where runs come from."""

    @property
    def cache_dir(self) -> Path | None:
        """The folder that may keep what was read; None to keep nothing."""
        ...

    def references(self) -> list[Reference]:
        """All segments there are, in a stable order."""
        ...


class LocalSource:
    """Every offline or online W&B run below a folder of this machine.

    Args:
        root: any folder above the runs, such as ``outputs``.

    Raises:
        AnalysisError: the folder does not exist.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise AnalysisError(
                f"no folder {root}: make runs with `make demo` or `python run.py -m +experiment=figure4`, "
                "or name their folder with --runs"
            )
        self.root = root

    @property
    def cache_dir(self) -> Path:
        """Beside the runs, so that deleting them deletes it."""
        return self.root / ".analysis-cache"

    def references(self) -> list[Reference]:
        """One reference per ``.wandb`` file; the fingerprint is its size and time of change."""
        return [self._reference(path) for path in self._files()]

    def _files(self) -> Iterable[Path]:
        for path in sorted(self.root.rglob("*run-*/run-*.wandb")):
            # W&B's `latest-run` is a link: following it would count the newest attempt twice.
            if not path.parent.is_symlink():
                yield path

    def _reference(self, path: Path) -> Reference:
        stat = path.stat()
        fingerprint = f"{stat.st_size}-{stat.st_mtime_ns}"
        return Reference(path.relative_to(self.root).as_posix(), fingerprint, lambda: _read_segment(path))


def tidy_rows(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """The numbers in logged rows, one line each, as ``Segment.values`` describes them.

    NaN and infinities stay. Left out: W&B's own columns, parts of media (a picture's width), all that is no number,
    and rows without ``env_step``, which have no place on any axis.
    """
    columns: tuple[list[int], list[int], list[str], list[float]] = ([], [], [], [])
    for index, row in enumerate(rows):
        step = _number(row.get(names.ENV_STEP))
        if step is None or not math.isfinite(step):
            continue
        media = tuple(key.removesuffix("_type") for key in row if key.endswith("._type"))
        for metric, raw in row.items():
            value = _number(raw)
            if value is None or metric == names.ENV_STEP or metric.startswith(("_", *media)):
                continue
            for column, entry in zip(columns, (index, int(step), metric, value), strict=True):
                column.append(entry)  # type: ignore[attr-defined]
    frame = pd.DataFrame(dict(zip(("row", "env_step", "metric", "value"), columns, strict=True)))
    return frame.astype({"row": "int64", "env_step": "int64", "metric": "str", "value": "float64"})


def _number(value: Any) -> float | None:
    """The value as a float, None if it is no number."""
    if isinstance(value, str):
        return _NON_FINITE.get(value)
    return float(value) if isinstance(value, int | float) else None


def _read_segment(path: Path) -> Segment:
    try:
        file = read_wandb_file(path)
    except (OSError, ValueError) as error:
        raise AnalysisError(f"cannot read {path}: {error}; move it out of the runs' folder to go on without") from error
    # A file that was just begun says nothing; its name and its folder still tell whose it is.
    run_id = file.run_id or path.stem.removeprefix("run-")
    config = file.config or _config_from_folder(path)
    return Segment(
        run_id=run_id,
        run_key=str(config.get(names.RUN_KEY) or run_id),
        attempt=int(config.get(names.ATTEMPT) or 0),
        start_time=file.start_time,
        config=config,
        done=file.summary.get(names.DONE) == 1,
        values=tidy_rows(file.rows),
        provenance=Provenance(str(path), _state(file), file.exit_code, tuple(file.gaps), file.truncated),
    )


def _state(file: WandbFile) -> str:
    if file.exit_code == 0:
        return "ended"
    if file.preempting or file.exit_code in _STOPPED_IN_ORDER:
        return "stopped"
    return "open" if file.exit_code is None else "failed"


def _config_from_folder(path: Path) -> dict[str, Any]:
    """What ``<env>/<map>/<algo>/<config hash>/seed=<k>/wandb/<attempt>/<file>`` says, {} if it is no such path."""
    parts = path.parts[-8:-3]
    seed = parts[-1].removeprefix("seed=") if parts else ""
    if len(parts) < 5 or not seed.isdigit() or seed == parts[-1]:
        return {}
    return {names.ENV: parts[0], names.MAP: parts[1], names.ALGO: parts[2], names.SEED: int(seed)}
