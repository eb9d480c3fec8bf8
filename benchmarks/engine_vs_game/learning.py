"""Learning on the engine compared with learning in the real game: QMIX's win rates at the same env steps.

Runs are made with `run.py algo=qmix env=smac env.backend=embedded map=MAP budget=archive seed=K`: PyMARL's network,
optimiser and exploration as in the SMAC paper, but with eight battles in parallel and eight updates after them.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.runs import Runs, load_runs
from benchmarks.engine_vs_game.rounds import table
from macpf.envs.smac.skirmish.parameters import Parameters

CURVES = Path(__file__).parent / "data" / "learning_curves.json"
METRIC = "eval/independent/win_rate"
#: Env steps at which win rates are compared: the mean of a run's evaluations in the `WINDOW` env steps before.
STEPS, WINDOW = (100_000, 200_000, 300_000), 50_000
#: An evaluation is made at the end of the rollout that reaches its step, so a little later.
LATE = 2_000


def level(steps: Sequence[float], win_rates: Sequence[float], at: int) -> float:
    """Mean win rate of a run over the window before an env step; nan if it was not evaluated there."""
    inside = (np.asarray(steps) > at - WINDOW) & (np.asarray(steps) <= at + LATE)
    return float(np.asarray(win_rates)[inside].mean()) if inside.any() else float("nan")


@functools.cache
def real_levels(map_name: str, at: int) -> tuple[float, ...]:
    """Win rate of each real run at an env step, in ascending order; runs that were not evaluated there are left out.

    Raises:
        KeyError: no runs are known for this map.
    """
    runs = json.loads(CURVES.read_text())["maps"][map_name]
    levels = [level(*zip(*run["win_rates"], strict=True), at) for run in runs]
    return tuple(sorted(x for x in levels if np.isfinite(x)))


def known_maps() -> tuple[str, ...]:
    """Maps of which real curves are known."""
    return tuple(json.loads(CURVES.read_text())["maps"])


@dataclass(frozen=True)
class Beside:
    """One map at one env step.

    Attributes:
        real: win rate of each real run.
        ours: win rate of each of our runs, by seed.
    """

    real: tuple[float, ...]
    ours: tuple[float, ...]

    @property
    def inside(self) -> bool:
        """Whether the mean of our runs lies between the lowest and the highest of the real ones."""
        return bool(self.real[0] <= np.mean(self.ours) <= self.real[-1])


def compare(runs: Runs) -> dict[str, dict[int, Beside]]:
    """Our finished QMIX runs with this engine version and the real ones, by map and env step.

    Raises:
        ValueError: there are no such runs.
    """
    frame = runs.frame
    version = str(Parameters().version)
    of_version = [run for run, config in runs.configs.items() if config.get("engine_version") == version]
    whole = runs.report.loc[runs.report["counts"] & (runs.report["total"] >= STEPS[-1]), "run"]
    chosen = frame[
        (frame["algo"] == "qmix") & (frame["env"] == "smac") & (frame["backend"] == "embedded")
        & (frame["metric"] == METRIC) & frame["map"].isin(known_maps())
        & frame["run"].isin(of_version) & frame["run"].isin(whole)
    ]  # fmt: skip
    if chosen.empty:
        raise ValueError(f"no finished run of qmix on {', '.join(known_maps())} with engine version {version} there")
    return {
        name: {at: Beside(real_levels(name, at), _levels(chosen[chosen["map"] == name], at)) for at in STEPS}
        for name in known_maps()
        if (chosen["map"] == name).any()
    }


def _levels(evaluations: pd.DataFrame, at: int) -> tuple[float, ...]:
    """Win rate of each run at an env step, by seed."""
    return tuple(level(run["env_step"], run["value"], at) for _, run in evaluations.groupby("seed"))


def report(found: Mapping[str, Mapping[int, Beside]]) -> str:
    """The table, and on how many maps the engine's runs lie inside the range of the real ones."""
    rows = []
    for name, steps in found.items():
        for at, b in steps.items():
            real, ours = (" ".join(f"{x:.2f}" for x in side) for side in (b.real, b.ours))
            rows.append([name, f"{at:,}", real, ours, "inside" if b.inside else "outside"])
    last, always = (
        sum(all(steps[at].inside for at in which) for steps in found.values()) for which in (STEPS[-1:], STEPS)
    )
    summary = f"inside the real runs' range: at {STEPS[-1]:,} env steps on {last} of {len(found)} maps, "
    summary += f"at all {len(STEPS)} on {always}"
    return f"{table(['map', 'env steps', 'real runs', 'engine, by seed', ''], rows)}\n\n{summary}"


def main(folder: Path) -> str:
    """The report on the runs of a folder.

    Raises:
        ValueError: there is nothing to compare.
    """
    return report(compare(load_runs(folder)))
