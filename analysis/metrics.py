"""Every number that runs logged, as CSV or as TensorBoard's event files, for programs that know nothing of this one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from analysis.errors import AnalysisError
from analysis.runs import Runs
from macpf import names
from macpf.records.files import write_atomically


def write_csv(runs: Runs, folder: Path) -> list[Path]:
    """One file for each run: a line for each evaluation, a column for each metric, `env_step` first.

    Args:
        runs: all that are wanted; those that are not whole, too, as far as they are.
        folder: where to; the files are called by the runs' keys.

    Raises:
        AnalysisError: no run has logged anything.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for run, table in _tables(runs):
        written.append(folder / f"{run}.csv")
        write_atomically(written[-1], table.to_csv(index=False).encode())
    return written


def write_tensorboard(runs: Runs, folder: Path) -> list[Path]:
    """One folder of events for each run, which `tensorboard --logdir <folder>` shows.

    Args:
        runs: all that are wanted.
        folder: where to; what an earlier call wrote there is replaced.

    Raises:
        AnalysisError: no run has logged anything, or the package tensorboard is not installed.
    """
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError as error:
        raise AnalysisError("TensorBoard's files need its package: pip install tensorboard") from error
    written = []
    for run, table in _tables(runs):
        place = folder / run
        for old in place.glob("events.out.tfevents.*"):
            old.unlink()
        writer = EventFileWriter(str(place))
        times = table.get(names.WALL_SECONDS, pd.Series(0.0, table.index)).fillna(0.0)
        for (_, row), seconds in zip(table.iterrows(), times, strict=True):
            values = [Summary.Value(tag=str(metric), simple_value=value) for metric, value in row.dropna().items()]
            writer.add_event(Event(step=int(row[names.ENV_STEP]), wall_time=seconds, summary=Summary(value=values)))
        writer.close()
        written.append(place)
    return written


def _tables(runs: Runs) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each run's key and its numbers, a row for each env step at which it logged."""
    if runs.frame.empty:
        raise AnalysisError("no run has logged a number yet; `python -m analysis status` shows how they stand")
    for run, lines in runs.frame.groupby("run", sort=True, observed=True):
        wide = lines.pivot_table(index=names.ENV_STEP, columns="metric", values="value", aggfunc="last", observed=True)
        yield str(run), wide.reset_index().rename_axis(columns=None)
