"""Load all runs into one tidy frame: stitch the attempts at each run, and say how complete each run is."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.cache import read_through
from analysis.errors import AnalysisError
from analysis.sources import LocalSource, Segment, Source
from macpf import names

FINISHED, SHORT, CRASHED, NO_DATA = "finished", "short", "crashed", "no data"

_IDENTITY = [names.ALGO, names.ENV, names.MAP, names.BACKEND, names.BUDGET, names.SEED]
FRAME_COLUMNS = ["run", *_IDENTITY, names.ENV_STEP, "metric", "value"]
REPORT_COLUMNS = [
    *("run", *_IDENTITY, names.ENV_STEP, "total", "attempts", "gaps", "lost_bytes", "nan", "state", "commit")
]


@dataclass(frozen=True)
class Runs:
    """All runs of a source.

    Attributes:
        frame: one line per logged number, ordered by run and env_step: run, algo, env, map, backend, budget (str),
            seed (int), env_step (int), metric (str), value (float; NaN and infinities are kept).
        report: one line per run, also for runs without a single row: run, algo, env, map, backend, budget, seed (-1 if
            unknown), env_step (of the last row, -1 without rows), total (env steps of the budget, -1 if unknown),
            attempts, gaps (damaged stretches in the logs) and lost_bytes in them, nan (values that are NaN or
            infinite), state, commit (of all attempts).
        configs: per run, W&B's config of its last attempt.

    The states: ``finished`` reached its budget; ``short`` was stopped in order before it; ``crashed`` left no exit
    record or a bad one, and a run that is still going on looks the same; ``no data`` has no row.
    """

    frame: pd.DataFrame
    report: pd.DataFrame
    configs: dict[str, dict[str, Any]]


def load_runs(source: Source | Path | str) -> Runs:
    """Load every run of a source, or of the folder at a path.

    Raises:
        AnalysisError: there is no such folder, or no run in it.
    """
    if isinstance(source, Path | str):
        source = LocalSource(Path(source))
    attempts: dict[str, list[Segment]] = defaultdict(list)
    for reference in source.references():
        segment = read_through(reference, source.cache_dir)
        attempts[segment.run_key].append(segment)
    if not attempts:
        where = f" in {source.root}" if isinstance(source, LocalSource) else ""
        raise AnalysisError(
            f"no runs{where}: make some with `make demo` or `python run.py -m +experiment=figure4`, "
            "or name their folder with --runs"
        )
    frames, lines, configs = [], [], {}
    for run, segments in sorted(attempts.items()):
        ordered = in_order(segments)
        values = stitch([segment.values for segment in ordered])
        # The newest attempt that wrote its config: one that was just begun may have written nothing.
        config = next((s.config for s in reversed(ordered) if s.config.get(names.RUN_KEY)), ordered[-1].config)
        identity = {"run": run, **_identity(config)}
        configs[run] = config
        lines.append({**identity, **_completeness(ordered, values, config)})
        frames.append(values.assign(**identity))
    frame = pd.concat(frames, ignore_index=True)[FRAME_COLUMNS]
    return Runs(frame, pd.DataFrame(lines, columns=REPORT_COLUMNS), configs)


def in_order(segments: Iterable[Segment]) -> list[Segment]:
    """The attempts at one run, oldest first.

    By attempt number before time: attempts may have run on machines whose clocks disagree.
    """
    return sorted(segments, key=lambda segment: (segment.attempt, segment.start_time, segment.provenance.path))


def stitch(attempts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join the values of a run's attempts, oldest first, so that every env_step occurs once.

    An attempt goes on from a checkpoint and logs again what came after it. So whenever env_step does not increase,
    the newer row wins and all earlier rows with that env_step or a later one go. Works on whole rows, never on single
    metrics, so that no row mixes two attempts.

    Args:
        attempts: frames as ``Segment.values``.

    Returns:
        The surviving lines, env_step increasing: env_step, metric, value.
    """
    survivors: list[tuple[int, int, int]] = []  # (env_step, attempt, row)
    for attempt, values in enumerate(attempts):
        rows = values.drop_duplicates("row")
        for row, step in zip(rows["row"], rows["env_step"], strict=True):
            while survivors and survivors[-1][0] >= step:
                survivors.pop()
            survivors.append((step, attempt, row))
    kept: dict[int, list[int]] = defaultdict(list)
    for _, attempt, row in survivors:
        kept[attempt].append(row)
    parts = [values[values["row"].isin(kept[attempt])] for attempt, values in enumerate(attempts)]
    return pd.concat(parts, ignore_index=True)[["env_step", "metric", "value"]]


def _identity(config: dict[str, Any]) -> dict[str, Any]:
    """A run's identity; unknown names are empty and an unknown seed is -1, so that columns keep one type."""
    texts = {key: "" if config.get(key) is None else str(config[key]) for key in _IDENTITY}
    return {**texts, names.SEED: _integer(config, names.SEED)}


def _integer(config: dict[str, Any], key: str) -> int:
    value = config.get(key)
    return -1 if value is None else int(value)


def _completeness(attempts: list[Segment], values: pd.DataFrame, config: dict[str, Any]) -> dict[str, Any]:
    last = int(values["env_step"].max()) if len(values) else -1
    total = _integer(config, names.TOTAL_ENV_STEPS)
    if last < 0:
        state = NO_DATA
    elif attempts[-1].done or 0 < total <= last:
        state = FINISHED
    else:
        state = SHORT if attempts[-1].provenance.state in ("ended", "stopped") else CRASHED
    gaps = [gap for segment in attempts for gap in segment.provenance.gaps]
    commits = dict.fromkeys(str(s.config[names.COMMIT]) for s in attempts if s.config.get(names.COMMIT))
    return {
        names.ENV_STEP: last,
        "total": total,
        "attempts": len(attempts),
        "gaps": len(gaps),
        "lost_bytes": sum(gap.size for gap in gaps),
        "nan": int((~np.isfinite(values["value"])).sum()),
        "state": state,
        "commit": " ".join(commits),
    }
