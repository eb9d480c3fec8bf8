"""The paper's own numbers, and its rule for bold ones."""

from pathlib import Path

import pandas as pd

DATA = Path(__file__).parent / "data"
#: Seeds behind every number of the paper.
SEEDS = 5
#: Two numbers of three digits that differ by less are equal.
_TOLERANCE = 1e-9


def table(name: str) -> pd.DataFrame:
    """Table 1 or 2 (Wang, Ye and Lu, ICLR 2023): map, difficulty, algo (as in `conf/algo`), mean, std, in its order."""
    frame = pd.read_csv(DATA / f"{name}.csv").rename(columns={"task": "map"})
    return frame.assign(algo=frame["algo"].str.lower())[["map", "difficulty", "algo", "mean", "std"]]


def outcomes() -> pd.DataFrame:
    """The matrix game (section 5.1): percent of five seeds at the optimum and below QMIX, by method; NaN: not said."""
    return pd.read_csv(DATA / "figure4.csv").set_index("method")


def bold(mean: "pd.Series[float]", std: "pd.Series[float]") -> "pd.Series[bool]":
    """Within one standard deviation of the best mean, that of the best (caption of Table 2); NaN never is."""
    if mean.isna().all():
        return mean.notna()
    best = int(mean.fillna(-float("inf")).to_numpy().argmax())
    return mean >= mean.iloc[best] - std.iloc[best] - _TOLERANCE


def digits(means: "pd.Series[float]") -> int:
    """Decimal places of a table: three of win rates, two of returns."""
    return 3 if means.between(0, 1).all() else 2
