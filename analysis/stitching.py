"""Several attempts at one run become one history."""

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from analysis.sources import Segment
from macpf import names


def in_order(segments: Iterable[Segment]) -> list[Segment]:
    """The attempts at one run, oldest first.

    By attempt number before time: attempts may have run on machines whose clocks disagree.
    """
    return sorted(segments, key=lambda segment: (segment.attempt, segment.start_time, segment.provenance.path))


def stitch(attempts: Sequence[pa.Table]) -> pa.Table:
    """Join the values of a run's attempts, oldest first, so that every env_step occurs once.

    An attempt goes on from a checkpoint and logs again what came after it. So whenever env_step does not increase,
    the newer row wins and all earlier rows with that env_step or a later one go. Works on whole rows, never on single
    metrics, so that no row mixes two attempts.

    Args:
        attempts: tables as ``Segment.values``.

    Returns:
        The surviving lines, env_step increasing: env_step, metric, value.
    """
    values = pa.concat_tables(attempts)
    steps, rows = values[names.ENV_STEP].to_numpy(), values["row"].to_numpy()
    attempt = np.repeat(np.arange(len(attempts)), [len(table) for table in attempts])
    first = np.flatnonzero((np.diff(rows, prepend=-1) != 0) | (np.diff(attempt, prepend=-1) != 0))
    # A row survives if every later one has a larger env_step.
    smallest = np.minimum.accumulate(steps[first][::-1])[::-1]
    survives = np.append(steps[first][:-1] < smallest[1:], [True] * (len(first) > 0))
    lines = np.repeat(survives, np.diff(first, append=len(steps)))
    kept = values.select([names.ENV_STEP, "metric", "value"])
    return kept if lines.all() else kept.filter(pa.array(lines))
