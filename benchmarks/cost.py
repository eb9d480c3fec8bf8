"""`python -m benchmarks.cost`: the core hours of the paper's runs, estimated from seconds of each configuration.

Every algorithm is trained on every one of its tasks, with the settings of its runs and on one thread: first until its
first update, then for some timed seconds. Then one evaluation is timed. The core hours of a run with the paper's budget
follow from its env steps per CPU second and the seconds of an evaluation. Networks are fresh, so battles are as long as
those of untrained teams. Rows are written to a CSV file as they are measured, and the command continues an existing
file. Plans use the file in macpf/runs for their estimates.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import torch

from macpf.configuration import compose
from macpf.experience.batch import EpisodeBatch
from macpf.experience.recording import Episode, as_batch
from macpf.learning.schedules import Clock
from macpf.runs.allocation import keep_freed_memory
from macpf.runs.build import Parts, ReplaySettings, build, choose_backend
from macpf.runs.identity import commit
from macpf.runs.plan import BEYOND, PACE, Needed, all_of, experiments, runs_of, sweep_of

KEYS = ["env", "map", "algo"]


def needed() -> list[Needed]:
    """Every run of the paper's figures and tables, once."""
    names = [name for name in experiments() if name not in BEYOND]
    return all_of(runs_of([sweep_of(name, "paper", None, "embedded", []) for name in names]))


def rounds(parts: Parts, clock: Clock) -> Iterator[None]:
    """Train round by round: each plays some episodes and makes the updates that follow them."""
    settings, env = parts.settings, parts.rollout.env

    def play() -> list[Episode]:
        played = parts.rollout.play(parts.placement.player, clock)
        clock.env_steps += played.env_steps
        clock.episodes += len(played.episodes)
        return played.episodes

    def learn(batch: EpisodeBatch) -> None:
        parts.placement.learn(batch, clock)
        clock.updates += 1

    while True:
        if isinstance(settings, ReplaySettings):
            episodes = play()
            parts.replay.add(episodes)
            if len(parts.replay) >= max(settings.burn_in, settings.batch):
                for _ in range(len(episodes) * settings.updates_per_episode):
                    reads = parts.algorithm.reads_visibility, parts.algorithm.reads_after_end
                    learn(parts.replay.sample(settings.batch, *reads))
        else:
            episodes, enough = [], clock.env_steps + settings.env_steps
            while clock.env_steps < enough:
                episodes += play()
            learn(as_batch(episodes, env, parts.algorithm.reads_visibility))
        yield


def measured(run: Needed, seconds: float) -> dict[str, object]:
    """One configuration: env steps per CPU second of training, CPU seconds of an evaluation, core hours of a run."""
    cfg = compose(*run.overrides)
    choose_backend(cfg)
    parts, clock = build(cfg), Clock()
    training = rounds(parts, clock)
    while not clock.updates:
        next(training)
    first, begun = clock.env_steps, time.process_time()
    while time.process_time() - begun < seconds:
        next(training)
    pace = (clock.env_steps - first) / (time.process_time() - begun)
    begun = time.process_time()
    parts.evaluator(parts.placement.player)
    evaluation = time.process_time() - begun
    evaluations = parts.budget.env_steps // parts.budget.eval_interval + 1
    hours = (parts.budget.env_steps / pace + evaluations * evaluation) / 3600
    return {
        **{"env": cfg.env.name, "map": cfg.map.name, "algo": cfg.algo.name, "env_steps": parts.budget.env_steps},
        **{"env_steps_per_second": round(pace, 1), "evaluation_seconds": round(evaluation, 2)},
        **{"core_hours": round(hours, 3), "torch": torch.__version__, "commit": commit()},
    }


def table(rows: pd.DataFrame, seeds: pd.Series) -> str:
    """Core hours of one run, and of all seeds of all algorithms on each task."""
    runs = rows[KEYS].apply(tuple, axis=1).map(seeds)
    rows = rows.assign(all=rows["core_hours"] * runs)
    hours = rows.pivot_table(index=["env", "map"], columns="algo", values="core_hours", sort=False)
    hours["all runs"] = rows.groupby(["env", "map"])["all"].sum()
    text = hours.map(lambda value: "" if pd.isna(value) else f"{value:.3g}").reset_index().to_markdown(index=False)
    total = rows["all"].sum()
    days = "; ".join(f"{total / 24 / cores:.1f} days on {cores} cores" for cores in (2, 16, 64, 256))
    return f"{text}\n\n{int(runs.sum())} runs: {total:,.0f} core hours, or {days}."


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost", description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="timed of each configuration, default: %(default)s")
    parser.add_argument("--to", type=Path, default=PACE, metavar="CSV", help="default: %(default)s")
    parser.add_argument("--map", help="only this map")
    parser.add_argument("--table", action="store_true", help="measure nothing, print what has been measured")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    runs = [run for run in needed() if chosen.map in (None, run.identity.map)]
    if not runs:
        parser.error(f"no run of the paper is on map {chosen.map}")
    place = {run.identity.key: (run.identity.env, run.identity.map, run.identity.algo) for run in runs}
    seeds = pd.Series(list(place.values())).value_counts()
    known = pd.read_csv(chosen.to) if chosen.to.exists() else pd.DataFrame(columns=KEYS)
    done = set(known[KEYS].itertuples(index=False, name=None))
    first = {place[run.identity.key]: run for run in reversed(runs)}
    for where, run in () if chosen.table else reversed(first.items()):
        if where not in done:
            row = pd.DataFrame([measured(run, chosen.seconds)])
            row.to_csv(chosen.to, mode="a", header=not chosen.to.exists(), index=False)
            print(row.to_string(index=False, header=False), flush=True)
    print(table(pd.read_csv(chosen.to), seeds))


if __name__ == "__main__":
    main()
