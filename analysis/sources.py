"""Where logged rows come from, behind one protocol.

A source lists references to segments; a segment is what one attempt at a run wrote, or several that a server joined:
stitching works on rows and does not mind. Listing is cheap and reading is not, so the cache (``analysis.cache``)
stands between the two and reads only what changed.

There are three: ``analysis.local_source`` (a folder), ``analysis.server_source`` (a W&B server) and
``analysis.archive`` (published runs).
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from macpf import names
from macpf.records.framing import Gap
from macpf.records.numbering import SHOWN

#: What a folder of published runs holds (`analysis.archive`).
INDEX = "archive.json"
#: Env steps from here on are no whole numbers any more, and nobody's.
_LARGEST = 2.0**53
#: W&B's readers spell these as strings, its files as bare tokens.
_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
#: Of ``Segment.values``. Metrics are few and lines are many, so names are kept once each.
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
    """What one attempt at a run wrote.

    Attributes:
        path: of the file it was read from, or the run's on the server.
        state: ``ended`` (exit code 0), ``stopped`` (asked to stop, or preempted), ``failed`` (any other exit code) or
            ``open`` (no exit code: killed, or still going on).
        run_id: W&B's.
        run_key: the same for all attempts at one run.
        origin: drawn when the run was first begun, at least its first digits; empty if unknown, as of runs made before
            there were origins.
        attempt: 1 for the first; 0 if unknown.
        start_time: seconds since 1970; 0 if unknown.
        config: W&B's config of the run, see ``macpf.names``; empty if nothing was written yet.
        end: how the run says that it ended: ``finished``, ``untrained``, ``diverged``; empty if it does not.
        why: why it diverged; empty otherwise.
        values: one line per number, in the order of logging, with the columns of ``VALUES``; ``row`` counts the
            segment's rows.
        gaps: damaged stretches that were skipped; rows may be missing there.
        trouble: why it could not be read, empty if it could.
    """

    path: str
    state: str
    run_id: str
    run_key: str
    origin: str
    attempt: int
    start_time: float
    config: dict[str, Any]
    end: str
    why: str
    values: pa.Table
    gaps: tuple[Gap, ...] = ()
    trouble: str = ""

    @classmethod
    def of(
        cls,
        path: str,
        state: str,
        run_id: str,
        config: dict[str, Any],
        rows: Iterable[Mapping[str, Any]] = (),
        said: Callable[[str], Any] = lambda key: None,
        **more: Any,
    ) -> "Segment":
        """From what W&B kept of a run: its config, its rows and what its summary said in the end.

        A log that says nothing yet still has W&B's id, which holds key and origin.
        """
        if config.get(names.RUN_KEY):
            run_key, origin = str(config[names.RUN_KEY]), str(config.get(names.ORIGIN) or "")
        else:
            match = re.fullmatch(rf"(.+-s\d+)-([0-9a-f]{{{SHOWN}}})", run_id)
            run_key, origin = (match[1], match[2]) if match else (run_id, "")
        # Older runs only set a mark when they reached their budget.
        end = str(said(names.END) or ("finished" if said(names.DONE) == 1 else ""))
        attempt, why = whole(config.get(names.ATTEMPT)) or 0, str(said(names.WHY) or "")
        more = {"start_time": 0.0, **more}
        return cls(
            path,
            state,
            run_id,
            run_key,
            origin,
            attempt,
            config=config,
            end=end,
            why=why,
            values=tidy_rows(rows),
            **more,
        )


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
    """Where runs come from.

    Attributes:
        place: what to call it in a message.
        cache_dir: the folder that may keep what was read; None to keep nothing.
        readers: how many segments to read at the same time.
    """

    place: str
    cache_dir: Path | None
    readers: int

    def references(self) -> list[Reference]:
        """All segments there are, in a stable order."""
        ...


def studies(root: Path) -> list[Path]:
    """The archives of published runs at a path or right below it."""
    return [root] if (root / INDEX).exists() else sorted(path.parent for path in root.glob(f"*/{INDEX}"))


def tidy_rows(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """The numbers in logged rows, one line each, as ``Segment.values`` describes them; a row's metrics by name.

    NaN and infinities stay. Left out: W&B's own columns, parts of media (a picture's width), all that is no number,
    and rows without ``env_step``, which have no place on any axis.
    """
    columns: tuple[list[int], list[int], list[str], list[float]] = ([], [], [], [])
    indices, steps, metrics, values = columns
    for index, row in enumerate(rows):
        step = number(row.get(names.ENV_STEP))
        if step is None or not abs(step) < _LARGEST:  # nor NaN
            continue
        left_out = ("_", *(key.removesuffix("_type") for key in row if key.endswith("._type")))
        for metric in sorted(row):
            value = number(row[metric])
            if value is not None and metric != names.ENV_STEP and not metric.startswith(left_out):
                indices.append(index)
                steps.append(int(step))
                metrics.append(metric)
                values.append(value)
    return pa.table(
        [pa.array(indices), pa.array(steps), pa.array(metrics, pa.string()), pa.array(values)], VALUES.names
    ).cast(VALUES)


def number(value: Any) -> float | None:
    """The value as a float, None if it is no number."""
    if isinstance(value, str):
        return _NON_FINITE.get(value)
    return float(value) if isinstance(value, int | float) else None


def whole(value: Any) -> int | None:
    """The value as an int, None if it is no whole number."""
    exact = number(value)
    return int(exact) if exact is not None and math.isfinite(exact) and exact == int(exact) else None
