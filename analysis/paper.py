"""Published numbers: the paper's, with its rule for bold ones, and those of the SMAC paper's runs."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

DATA = Path(__file__).parent / "data"
#: Seeds behind every number of the paper.
SEEDS = 5
#: Printed numbers (three digits) that differ by less are equal.
TOLERANCE = 1e-9
#: Published runs of the real game that ended before this env step were cut short and are left out.
_LEAST_STEPS = 1_900_000
#: The sentence of a caption on those runs.
REAL_GAME = (
    "Dotted: the median of the SMAC paper's published runs of the real game (StarCraft II 4.6.2, release v1, MIT "
    "licence), which is another backend"
)


def table(name: str) -> pd.DataFrame:
    """Table 1 or 2 (Wang, Ye and Lu, ICLR 2023): map, difficulty, algo (as in `conf/algo`), mean, std, in its order.

    There are no lines for any other name.
    """
    columns = ["map", "difficulty", "algo", "mean", "std"]
    if name not in ("table1", "table2"):
        return pd.DataFrame(columns=columns, dtype=float)
    frame = pd.read_csv(DATA / f"{name}.csv").rename(columns={"task": "map"})
    return frame.assign(algo=frame["algo"].str.lower())[columns]


@cache
def claims() -> list[dict[str, Any]]:
    """The paper's claims as they are written in data/claims.yaml (`analysis.claims` tests them)."""
    return list(yaml.safe_load((DATA / "claims.yaml").read_text()))


def outcomes() -> pd.DataFrame:
    """The matrix game (section 5.1): percent of five seeds at the optimum and below QMIX, by method; NaN: not given."""
    return pd.read_csv(DATA / "figure4.csv").set_index("method")


def bold(mean: NDArray[np.float64], std: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which means [..., K methods] are bold: at least the best mean minus its standard deviation (caption of Table 2).

    NaN never is.
    """
    best = np.nan_to_num(mean, nan=-np.inf).argmax(axis=-1)[..., None]
    least = np.take_along_axis(mean, best, -1) - np.take_along_axis(std, best, -1)
    return np.asarray(mean >= least - TOLERANCE)


def marks(lines: pd.DataFrame, mean: str = "mean", std: str = "std") -> "pd.Series[bool]":
    """Which lines of a table are bold on their map."""
    parts = [part for _, part in lines.groupby("map")]
    return pd.concat([pd.Series(bold(part[mean].to_numpy(), part[std].to_numpy()), part.index) for part in parts])


def real_game(maps: Iterable[str], algos: Iterable[str], smoothing: int) -> pd.DataFrame:
    """Published runs of the real game, to draw beside ours; they are of another backend and never pooled with ours.

    data/real_game.csv.gz holds test win rates of the SMAC paper's own runs (Samvelyan et al., 2019; StarCraft II 4.6.2,
    github.com/oxwhirl/smac, release v1, smac_run_data.json, MIT licence): map, algo, run, env_step (every other
    evaluation, at the multiple of 20,000 that it passed) and won (of 32 episodes).

    Returns:
        map, algo, env_step, median (of win rates, each run smoothed by a moving average of `smoothing` env steps),
        low, high (quartiles), runs.
    """
    table = pd.read_csv(DATA / "real_game.csv.gz")
    table = table[table["map"].isin(list(maps)) & table["algo"].isin(list(algos))]
    parts = []
    for (map_, algo), cell in table.groupby(["map", "algo"]):
        whole = cell.groupby("run")["env_step"].transform("max") >= _LEAST_STEPS
        wide = cell[whole].assign(rate=cell["won"] / 32).pivot(index="env_step", columns="run", values="rate")
        smooth = wide.rolling(max(smoothing // 20_000, 1), min_periods=1).mean().dropna()
        ends = smooth.quantile([0.25, 0.5, 0.75], axis=1).T.set_axis(["low", "median", "high"], axis=1)
        parts.append(ends.assign(runs=smooth.shape[1], map=str(map_), algo=str(algo)).reset_index())
    columns = ["map", "algo", "env_step", "median", "low", "high", "runs"]
    return pd.concat(parts)[columns] if parts else pd.DataFrame(columns=columns)
