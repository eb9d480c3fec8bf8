"""What the updates looked like: losses, temperatures and gradient norms over env steps."""

from __future__ import annotations

import pandas as pd

from analysis import style
from analysis.evidence import Evidence
from macpf import names

#: Beginnings of the metrics that are shown.
METRICS = ("train/loss/", "train/alpha", "train/gradient_norm/")


def training(found: Evidence) -> dict[str, dict[str, pd.DataFrame]]:
    """By metric in words (``loss td``) and by method, its lines: env_step, mean, std (over seeds, population), seeds.

    Only steps that all runs of the method have logged are there, so that no line is a mean of survivors.
    """
    lines = found.frame[found.frame["metric"].str.startswith(METRICS)]
    intervals = {run: config[names.CONFIG][names.BUDGET]["eval_interval"] for run, config in found.configs.items()}
    interval = lines["run"].map(intervals).astype("int64")
    lines = lines.assign(**{names.ENV_STEP: lines[names.ENV_STEP] // interval * interval})
    lines = lines.drop_duplicates(["run", "metric", names.ENV_STEP], keep="last")
    result: dict[str, dict[str, pd.DataFrame]] = {}
    for (metric, algo), cell in lines.groupby(["metric", names.ALGO]):
        values = cell.groupby(names.ENV_STEP)["value"]
        table = pd.DataFrame({"mean": values.mean(), "std": values.std(ddof=0), "seeds": values.count()})
        whole = table[table["seeds"] == cell["run"].nunique()].reset_index()
        words = str(metric).removeprefix("train/").replace("/", " ").replace("_", " ")
        if len(whole):
            result.setdefault(words, {})[style.label(str(algo))] = whole
    return result
