"""`python -m benchmarks.toggles`: learning curves of runs with profile=release, named by the settings they change.

The runs are those of +experiment=release_curve, release_grid and release_toggles, or any others with that profile. A
row's number at 10k is the first evaluation from 10,000 env steps on; for several seeds it is their mean, with the
number of seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import OmegaConf

from analysis.runs import Runs, load_runs
from macpf.configuration import compose


def differences(config: Mapping[str, Any]) -> str:
    """The settings in which a run differs from its profile, or "as released"."""
    choices = {group: config[group]["name"] for group in ("algo", "env", "map", "profile")}
    released = compose(*(f"{group}={name}" for group, name in choices.items()))
    pairs = [
        (OmegaConf.to_container(released.algo.learner, resolve=True), config["algo"]["learner"]),
        ({"parallel": released.env.parallel}, {"parallel": config["env"]["parallel"]}),
    ]
    changed = [f"{key}: {_shown(own[key])}" for base, own in pairs for key in base if own[key] != base[key]]
    return "; ".join(changed) or "as released"


def _shown(value: Any) -> str:
    if isinstance(value, Mapping) and value["start"] == value["end"]:
        return str(value["start"])
    return f"{value['start']} to {value['end']}" if isinstance(value, Mapping) else str(value)


def curves(runs: Runs, interval: int, policy: str) -> pd.DataFrame:
    """One line for each map, algorithm and change; mean scores at every `interval` env steps, with how many seeds."""
    frame = runs.frame[runs.frame["metric"] == f"eval/{policy}/win_rate"].copy()
    configs = {run: config.get("config", {}) for run, config in runs.configs.items()}
    of_profile = {run: c for run, c in configs.items() if c.get("profile", {}).get("name") == "release"}
    frame = frame[frame["run"].isin(of_profile)]
    frame["change"] = frame["run"].map({run: differences(config) for run, config in of_profile.items()})
    frame["at"] = frame["env_step"] // interval * interval
    first = frame.sort_values("env_step").groupby(["map", "algo", "change", "seed", "at"])["value"].first()
    table = first.groupby(["map", "algo", "change", "at"]).agg(["mean", "count"])
    cells = table["mean"].map("{:.2f}".format) + table["count"].map(lambda n: "" if n == 1 else f" ({n})")
    wide = cells.unstack("at").fillna("")
    return wide.rename(columns=lambda at: f"{at // 1000}k").reset_index()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.toggles", description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("outputs"), help="default: %(default)s")
    parser.add_argument("--policy", default="independent", help="default: %(default)s")
    parser.add_argument("--interval", type=int, default=10_000, help="env steps between columns, default: %(default)s")
    chosen = parser.parse_args()
    print(curves(load_runs(chosen.runs), chosen.interval, chosen.policy).to_markdown(index=False))


if __name__ == "__main__":
    main()
