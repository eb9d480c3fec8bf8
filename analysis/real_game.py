"""Published runs of the real game, to draw beside ours: another backend, and never pooled with them.

data/real_game.csv.gz holds test win rates of the SMAC paper's own runs (Samvelyan et al., 2019; StarCraft II 4.6.2,
github.com/oxwhirl/smac, release v1, smac_run_data.json, MIT licence): map, algo, run, env_step (every other evaluation,
at the multiple of 20,000 that it passed) and won (of 32 episodes).
"""

from collections.abc import Iterable

import pandas as pd

from analysis.paper import DATA
from macpf import names

#: A run that ended before is left out: it was cut short.
LEAST_STEPS = 1_900_000
#: What a caption says of them.
SOURCE = (
    "Dotted: the median of the SMAC paper's published runs of the real game (StarCraft II 4.6.2, release v1, MIT "
    "licence), which is another backend"
)


def real_game(maps: Iterable[str], algos: Iterable[str], smoothing: int) -> pd.DataFrame:
    """map, algo, env_step, median (of win rates, each run smoothed as ours), low, high (quartiles), runs.

    Args:
        maps, algos: of the figure; others are left out.
        smoothing: env steps that a moving average spans.
    """
    table = pd.read_csv(DATA / "real_game.csv.gz")
    table = table[table[names.MAP].isin(list(maps)) & table[names.ALGO].isin(list(algos))]
    parts = []
    for map_, on_map in table.groupby(names.MAP):
        for algo, cell in on_map.groupby(names.ALGO):
            whole = cell.groupby("run")[names.ENV_STEP].transform("max") >= LEAST_STEPS
            wide = cell[whole].assign(rate=cell["won"] / 32).pivot(index=names.ENV_STEP, columns="run", values="rate")
            smooth = wide.rolling(max(smoothing // 20_000, 1), min_periods=1).mean().dropna()
            ends = smooth.quantile([0.25, 0.5, 0.75], axis=1).T.set_axis(["low", "median", "high"], axis=1)
            parts.append(ends.assign(runs=smooth.shape[1], map=str(map_), algo=str(algo)).reset_index())
    columns = [names.MAP, names.ALGO, names.ENV_STEP, "median", "low", "high", "runs"]
    return pd.concat(parts)[columns] if parts else pd.DataFrame(columns=columns)
