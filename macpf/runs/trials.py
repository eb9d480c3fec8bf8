"""How Hydra's launchers handle the runs of a sweep or search: check, train unfinished runs, read the scores."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from omegaconf import DictConfig

from macpf.records.run_state import FINISHED, run_state
from macpf.runs import cluster
from macpf.runs.launch import in_one_line
from macpf.runs.plan import Needed, run_states
from macpf.runs.sweep import check_all

Jobs = Sequence[Sequence[str]]


def scores(jobs: Jobs, config: DictConfig, play: Callable[[Jobs], None]) -> list[float | None]:
    """The final score of each job's run, or None; unfinished runs are trained first.

    A job that fails prints one line and has no score; the others continue.
    """
    runs = [_checked(job, config, elsewhere=False) for job in jobs]
    left: dict[str, Sequence[str]] = {}
    for run, job in zip(runs, jobs, strict=True):
        if run is not None and not run_state(run.identity.folder).is_over:
            left.setdefault(run.identity.key, job)
    if left:
        play(list(left.values()))
    return [score_of(run) for run in runs]


def submitted(jobs: Jobs, config: DictConfig) -> list[float | None]:
    """The final score of each job's run; missing runs that are not queued are submitted to SLURM and awaited.

    Raises:
        ConfigError: the launcher's settings are invalid.
        RunRefused: SLURM did not accept them or does not answer.
    """
    settings, outputs = config.hydra.launcher, Path(config.outputs)
    cluster.submits(settings)
    runs = [_checked(job, config, elsewhere=True) for job in jobs]
    needed = list({run.identity.key: run for run in runs if run is not None}.values())
    with cluster.alone(outputs):
        left = cluster.to_launch(run_states(needed), outputs)
        arrays = cluster.submit(left, settings, outputs) if left else []
    print(f"submitted {len(left)} runs as job array {', '.join(arrays)}" if left else "nothing to submit", flush=True)
    if left:
        print(
            "Ctrl-C ends only the watching: the jobs continue, and `python -m analysis status` shows them.", flush=True
        )
    cluster.wait(outputs, needed)
    return [score_of(run) for run in runs]


def score_of(run: Needed | None) -> float | None:
    """The final score of a run's first policy; None if it is not finished."""
    if run is None:
        return None
    now = run_state(run.identity.folder)
    if now.state != FINISHED:
        return None
    return next(iter((now.status.get("score") or {}).values()), None)


def _checked(job: Sequence[str], config: DictConfig, elsewhere: bool) -> Needed | None:
    try:
        return check_all([list(job)], config, elsewhere)[0]
    except Exception as error:  # one trial of a search that does not fit; a sweep was checked before
        print(f"error: {in_one_line(error)}", file=sys.stderr)
        return None
