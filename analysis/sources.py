"""Sources of logged rows, behind one protocol.

A source lists references to segments. A segment is what one attempt at a run logged, or several attempts that a server
joined; stitching works on rows and handles both. Listing is fast and reading is slow, so a cache (``analysis.cache``)
between the two has only changed segments read.

There are three sources: ``analysis.local_source`` (a folder), ``analysis.server_source`` (a W&B server) and
``analysis.archive`` (published runs).
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from analysis import AnalysisError
from macpf import names
from macpf.records.numbering import SHOWN

#: The file that marks a folder of published runs (`analysis.archive`).
INDEX, RUNS, EVALUATIONS = "archive.json", "runs.parquet", "evaluations.parquet"
#: What to do about a damaged archive.
REMEDY = "take it from the repository again (`git checkout -- results`)"
#: From here on, floats do not represent every whole number; no run has so many env steps.
_LARGEST = 2.0**53
#: W&B's readers return these values as strings; in its files they are bare tokens.
_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
#: The columns of ``Segment.values``. There are few metrics and many lines, so each name is stored once.
VALUES = pa.schema(
    {
        "row": pa.int64(),
        "env_step": pa.int64(),
        "metric": pa.dictionary(pa.int32(), pa.string()),
        "value": pa.float64(),
    }
)


@dataclass(frozen=True)
class Segment:
    """What one attempt at a run logged.

    Attributes:
        path: the file it was read from, or the run on the server.
        in_order: whether it ended with exit code 0, was asked to stop, or was preempted; otherwise it failed, was
            killed, or is still active.
        run_id: W&B's id.
        run_key: the run's key, the same for all attempts.
        origin: drawn at random when the run first began, or at least its first digits; empty if unknown, as for runs
            made before there were origins.
        attempt: number of the attempt, from 1 on; 0 if unknown.
        config: W&B's config of the run, see ``macpf.names``; empty if nothing was written yet.
        end: how the run ended by its own log: ``finished``, ``untrained`` or ``diverged``; empty if that is missing.
        why: why it diverged; empty otherwise.
        values: one line per number, in the order of logging, with the columns of ``VALUES``; ``row`` is the index of
            the segment's row.
        start_time: seconds since 1970; 0 if unknown.
        gaps: bytes of each damaged part that was skipped; rows may be missing there.
        trouble: why it could not be read; empty if it could.
    """

    path: str
    in_order: bool
    run_id: str
    run_key: str
    origin: str
    attempt: int
    config: dict[str, Any]
    end: str
    why: str
    values: pa.Table
    start_time: float = 0.0
    gaps: Sequence[int] = ()
    trouble: str = ""

    @classmethod
    def of(
        cls,
        path: str,
        in_order: bool,
        run_id: str,
        config: dict[str, Any],
        rows: Iterable[Mapping[str, Any]] = (),
        said: Callable[[str], Any] = lambda key: None,
        **more: Any,
    ) -> "Segment":
        """Make a segment from W&B's config and rows of a run, and from `said`, which looks up a key of its summary.

        The id of a log without a config still contains key and origin.
        """
        if config.get(names.RUN_KEY):
            run_key, origin = str(config[names.RUN_KEY]), str(config.get(names.ORIGIN) or "")
        else:
            match = re.fullmatch(rf"(.+-s\d+)-([0-9a-f]{{{SHOWN}}})", run_id)
            run_key, origin = (match[1], match[2]) if match else (run_id, "")
        # Older runs only set `DONE`, when they reached their budget.
        end = str(said(names.END) or ("finished" if said(names.DONE) == 1 else ""))
        attempt, why = whole(config.get(names.ATTEMPT)) or 0, str(said(names.WHY) or "")
        return cls(path, in_order, run_id, run_key, origin, attempt, config, end, why, tidy_rows(rows), **more)


@dataclass(frozen=True)
class Reference:
    """A segment that can be read.

    Attributes:
        name: identifies it among all segments of its source, and is the same each time it is listed.
        fingerprint: changes whenever the content may have changed; None means that it is not cached.
        read: reads it.
    """

    name: str
    fingerprint: str | None
    read: Callable[[], Segment]


class Source(Protocol):
    """A place that runs are read from.

    Attributes:
        place: its name in messages.
        cache_dir: folder of the cache; None for no cache.
        readers: how many segments to read at the same time.
    """

    place: str
    cache_dir: Path | None
    readers: int

    def references(self) -> list[Reference]:
        """All segments, in a stable order."""
        ...


def studies(root: Path) -> list[Path]:
    """The archives of published runs at a path or directly below it.

    Raises:
        AnalysisError: one of them has lost its checksums.
    """
    files = (INDEX, RUNS, EVALUATIONS)
    if any((root / name).exists() for name in files):
        found = {root}
    else:
        found = {path.parent for name in files for path in root.glob(f"*/{name}")}
    for study in sorted(found):
        if not (study / INDEX).exists():
            raise AnalysisError(f"{study / INDEX} is missing; {REMEDY}")
    return sorted(found)


def tidy_rows(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """The numbers in logged rows, one line each, as ``Segment.values`` describes them; metrics are sorted within a row.

    NaN and infinities are kept. W&B's own columns, parts of media (a picture's width), values that are not numbers, and
    rows without ``env_step``, which have no place on any axis, are left out.
    """
    lines = []
    for index, row in enumerate(rows):
        step = number(row.get(names.ENV_STEP))
        if step is None or not abs(step) < _LARGEST:  # also excludes NaN
            continue
        left_out = ("_", *(key.removesuffix("_type") for key in row if key.endswith("._type")))
        for metric in sorted(row):
            value = number(row[metric])
            if value is not None and metric != names.ENV_STEP and not metric.startswith(left_out):
                lines.append((index, int(step), metric, value))
    if not lines:
        return VALUES.empty_table()
    return pa.table([pa.array(column) for column in zip(*lines, strict=True)], VALUES.names).cast(VALUES)


def number(value: Any) -> float | None:
    """The value as a float; None if it is not a number."""
    if isinstance(value, str):
        return _NON_FINITE.get(value)
    return float(value) if isinstance(value, int | float) else None


def whole(value: Any) -> int | None:
    """The value as an int; None if it is not a whole number."""
    exact = number(value)
    return int(exact) if exact is not None and math.isfinite(exact) and exact == int(exact) else None
