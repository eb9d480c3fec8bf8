"""Runs as SLURM job arrays, submitted through submitit. After submission, no local process has to stay alive."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import hydra
from filelock import FileLock
from omegaconf import DictConfig, OmegaConf

from macpf.configuration import CONF
from macpf.records.run_state import RUNNING, RunState
from macpf.records.submissions import Submission, note_submissions, submissions
from macpf.runs.command_line import check_choices
from macpf.runs.errors import ConfigError, RunRefused
from macpf.runs.pack import Pack
from macpf.runs.plan import Needed

#: Folder below the root of all run folders: submitit's files, one folder for each job, and our record of submissions.
FOLDER = ".slurm"


def launcher(name: str, overrides: Sequence[str]) -> DictConfig:
    """The settings of ``hydra/launcher=<name>``, with ``hydra.launcher.<key>=<value>`` applied; see `submits`.

    Raises:
        ConfigError: it needs a package that is not installed.
        hydra.errors.HydraException: there is no such launcher or key.
    """
    check_choices([f"hydra/launcher={name}"])
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        chosen = [f"hydra/launcher={name}", *overrides]
        settings: DictConfig = hydra.compose("config", chosen, return_hydra_config=True).hydra.launcher
    return settings


def submits(settings: DictConfig) -> bool:
    """Whether a launcher with these settings submits to SLURM.

    Raises:
        ConfigError: it does, and one of the settings is invalid.
    """
    if "SlurmLauncher" not in str(settings._target_):
        return False
    for key in ("runs_per_job", "at_once"):
        if settings[key] < 1:
            raise ConfigError(f"hydra.launcher.{key}={settings[key]} has to be at least 1")
    return True


@contextlib.contextmanager
def alone(outputs: Path) -> Iterator[None]:
    """Lock out other submitters to the same root while the queue is read and runs are submitted; waits for them."""
    (outputs / FOLDER).mkdir(parents=True, exist_ok=True)
    with FileLock(outputs / FOLDER / "submit.lock"):
        yield


def submit(runs: Sequence[Needed], settings: DictConfig, outputs: Path) -> list[str]:
    """Submit runs as job arrays of at most the site's MaxArraySize jobs; returns the arrays' ids.

    Raises:
        RunRefused: SLURM is not here, or did not accept them.
    """
    import submitit

    params = cast(dict[str, Any], OmegaConf.to_container(settings, resolve=True))
    del params["_target_"], params["submitit_folder"]
    at_once, runs_per_job = params.pop("at_once"), params.pop("runs_per_job")
    packs = [Pack(runs[k : k + runs_per_job], at_once) for k in range(0, len(runs), runs_per_job)]
    folder, timeouts = outputs.absolute() / FOLDER / "%j", params.pop("max_num_timeout")
    try:
        executor = submitit.AutoExecutor(folder, cluster="slurm", slurm_max_num_timeout=timeouts)
    except RuntimeError as error:
        raise RunRefused(
            f"this machine cannot submit to SLURM ({error}); type this on a login node, or leave hydra/launcher out"
        ) from error
    shared = ("timeout_min", "cpus_per_task", "gpus_per_node", "tasks_per_node", "mem_gb", "nodes", "name")
    plain = (*shared, "stderr_to_stdout")
    executor.update_parameters(**{k if k in plain else "slurm_" + k: v for k, v in params.items() if v is not None})
    arrays = []
    size = max_array_size()
    for first in range(0, len(packs), size):
        part = packs[first : first + size]
        try:
            jobs = _submit_array(executor, part)
        except (submitit.core.utils.FailedJobError, OSError) as error:
            raise RunRefused(f"sbatch rejected the runs: {' '.join(str(error).split())}") from error
        submitted = [
            Submission(run=run.identity.key, job=job.job_id)
            for pack, job in zip(part, jobs, strict=True)
            for run in pack.runs
        ]
        note_submissions(outputs / FOLDER, submitted)
        arrays.append(jobs[0].job_id.split("_")[0])
    return arrays


def _submit_array(executor: Any, jobs: Sequence[Pack]) -> list[Any]:
    """One call of sbatch for all; `map_array` would wrap each run and lose its `checkpoint`."""
    with executor.batch():
        return [executor.submit(job) for job in jobs]


def queued(outputs: Path) -> dict[str, str]:
    """The runs that were submitted to this root and are waiting or running, with the ids of their jobs.

    Raises:
        RunRefused: SLURM does not answer, so a run might be submitted twice.
    """
    jobs = _jobs(outputs)
    if not jobs or not shutil.which("squeue"):
        return {}
    known = set(_ask("squeue", "-h", "-r", "-o", "%i").split())
    return {run: job for run, job in jobs.items() if job in known}


def _jobs(outputs: Path) -> dict[str, str]:
    """The runs that were ever submitted to this root, with the ids of their last jobs."""
    return {submission.run: submission.job for submission in submissions(outputs / FOLDER)}


def to_launch(states: Sequence[tuple[Needed, RunState]], outputs: Path) -> list[Needed]:
    """The runs that are not over, not active and not queued.

    A run that reports to be active on another machine counts as active, unless SLURM started it and lost its job.

    Raises:
        RunRefused: SLURM does not answer.
    """
    submitted = _jobs(outputs) if shutil.which("squeue") else {}
    in_queue = queued(outputs)

    def free(run: Needed, now: RunState) -> bool:
        lost = run.identity.key in submitted and now.status.get("host") != socket.gethostname()
        return not now.is_over and run.identity.key not in in_queue and (now.state != RUNNING or lost)

    return [run for run, state in states if free(run, state)]


def wait(outputs: Path, runs: Sequence[Needed], every: float = 10.0) -> None:
    """Return when none of the runs is in SLURM's queue."""
    keys = {run.identity.key for run in runs}
    while keys & set(queued(outputs)):
        time.sleep(every)


def max_array_size() -> int:
    """The largest number of tasks that the site allows in one array."""
    for line in _ask("scontrol", "show", "config").splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "MaxArraySize":
            return max(int(value) - 1, 1)
    return 1000


def _ask(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    except FileNotFoundError as error:
        raise RunRefused(f"there is no {command[0]} here; use LAUNCHER=local, or go to a SLURM login node") from error
    except subprocess.CalledProcessError as error:
        raise RunRefused(f"{command[0]} failed: {' '.join(error.stderr.split())}; try again later") from error
    except subprocess.TimeoutExpired as error:
        raise RunRefused(f"{command[0]} did not answer within two minutes; try again later") from error
