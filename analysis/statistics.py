"""Mean and spread over seeds, on the env steps that all seeds share."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.errors import AnalysisError
from macpf import names


@dataclass(frozen=True)
class Curve:
    """One metric of one method over its seeds; S env steps, K runs.

    Attributes:
        env_step: [S], increasing.
        mean: [S], over runs.
        std: [S], population standard deviation (divided by K) over runs; 0 for a single run.
        final: value of each run at the last env step, by run, in order of seed.
        seeds: [S, K], the values of each run.
        ragged: runs that lack env steps which other runs have, so that the curve had to leave those out.
    """

    env_step: NDArray[np.int64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    final: dict[str, float]
    seeds: NDArray[np.float64]
    ragged: tuple[str, ...]


def over_seeds(frame: pd.DataFrame) -> Curve:
    """Aggregate one metric of runs that differ in nothing but their seed.

    Args:
        frame: lines of one metric, with run, seed, env_step and value.

    Raises:
        AnalysisError: no env step is shared by all runs; the message names the run with the fewest.
    """
    ordered = frame.sort_values([names.SEED, names.ENV_STEP])
    wide = ordered.pivot(index=names.ENV_STEP, columns="run", values="value")[list(dict.fromkeys(ordered["run"]))]
    present = wide.notna()
    shared = wide[present.all(axis=1)]
    ragged = tuple(str(run) for run in wide.columns if not present[run].all())
    if shared.empty:
        shortest = present.sum().idxmin()
        raise AnalysisError(
            f"runs share no env step, the shortest is {shortest}: leave it out with --exclude {shortest}"
        )
    values = shared.to_numpy()
    return Curve(
        env_step=shared.index.to_numpy(dtype=np.int64),
        mean=values.mean(axis=1),
        std=values.std(axis=1),
        final={str(run): float(value) for run, value in shared.iloc[-1].items()},
        seeds=values,
        ragged=ragged,
    )
