"""Hydra launchers for runs with folders of their own: a run that is over is not started again, whoever asks for it.

They work with Hydra's basic sweeper, which hands over all runs at once, and with one that searches, which waits for
scores. A run's score is the final one of the first policy that its algorithm evaluates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from hydra_plugins.hydra_joblib_launcher.joblib_launcher import JoblibLauncher
from omegaconf import DictConfig


class LocalLauncher(JoblibLauncher):
    """Runs on this machine, several of them at once."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run what is not over, and return the scores of all."""
        play = super().launch
        return launched(job_overrides, self.config, lambda left: play(left, initial_job_idx))


class SlurmLauncher(Launcher):
    """Runs as SLURM job arrays; waits until none of them is queued any more."""

    def __init__(self, **settings: Any) -> None:
        self.config: DictConfig | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep the configuration that Hydra has composed."""
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Submit what is missing and not queued, wait for it, and return the scores of all."""
        from macpf.runs.trials import submitted

        return [returned(score) for score in submitted(job_overrides, self.config)]


def launched(
    job_overrides: Sequence[Sequence[str]],
    config: DictConfig | None,
    play: Callable[[Sequence[Sequence[str]]], Sequence[JobReturn]],
) -> Sequence[JobReturn]:
    """Run the jobs that are not over with `play`, each run once, and return the scores of all in their order."""
    from macpf.runs.trials import scores

    if any(override.startswith("mode=") for override in job_overrides[0]):
        return play(job_overrides)  # evaluations, which are always made again
    done: dict[tuple[str, ...], JobReturn] = {}

    def play_all(left: Sequence[Sequence[str]]) -> None:
        done.update(zip(map(tuple, left), play(left), strict=True))

    found = scores(job_overrides, config, play_all)
    return [done.get(tuple(job)) or returned(score) for job, score in zip(job_overrides, found, strict=True)]


def returned(score: float | None) -> JobReturn:
    """Hydra's result for a job that is over; a sweeper that searches counts a missing score as a failure."""
    return JobReturn(status=JobStatus.COMPLETED, _return_value=score)
