"""A sweep through a real SLURM on this machine, with everything that happens to jobs there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from analysis.runs import load_runs
from macpf.names import TIME_PREFIX
from macpf.runs.cluster import FOLDER
from macpf.standing import standing

pytestmark = pytest.mark.slurm
ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("cluster.sh")
STEPS = 6000


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a command that talks to the throw-away cluster."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    if os.geteuid() != 0 or not shutil.which("slurmctld", path=path):
        pytest.skip("NOT TESTED: needs root and SLURM's daemons (apt-get install --no-install-recommends slurm-wlm)")
    folder = tmp_path_factory.mktemp("slurm")
    subprocess.run([SCRIPT, "up", folder], check=True, env=os.environ | {"PATH": path}, stdout=subprocess.DEVNULL)
    yield os.environ | {
        "SLURM_CONF": str(folder / "slurm.conf"),
        "PATH": f"{folder}/bin:{path}",
        "OMP_NUM_THREADS": "1",
    }
    subprocess.run([SCRIPT, "down", folder], check=True)


@pytest.fixture
def reproduce(slurm: dict[str, str], tmp_path: Path) -> Callable[..., str]:
    def called(*more: str) -> str:
        command = [sys.executable, "-m", "macpf.runs.reproduce", "figure4", "--launcher=slurm", "--yes"]
        settings = [
            *("--budget=smoke", "--seeds=2", f"--runs={tmp_path}/runs", f"--out={tmp_path}/figures"),
            *("algo=qmix,macpf", f"budget.env_steps={STEPS}", "checkpoint.every_seconds=1"),
            *("hydra.launcher.mem_gb=2", "hydra.launcher.signal_delay_s=30"),
        ]
        done = subprocess.run([*command, *settings, *more], cwd=ROOT, env=slurm, capture_output=True, text=True)
        assert done.returncode in (0, 1), done.stdout + done.stderr
        return done.stdout + done.stderr

    return called


def jobs_of(runs: Path) -> dict[str, str]:
    """The id of the job of each run that was submitted last."""
    lines = (runs / FOLDER / "submitted.jsonl").read_text().splitlines()
    return {entry["run"]: entry["job"] for entry in map(json.loads, lines)}


def until(condition: Callable[[], object], seconds: float = 240.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)


def folder_of(runs: Path, key: str) -> Path:
    algo, env, map_, config_hash, seed = key.rsplit("-", 4)
    return runs / env / map_ / algo / config_hash / f"seed={seed.removeprefix('s')}"


def rows(runs: Path):
    frame = load_runs(runs).frame
    frame = frame[~frame["metric"].str.startswith(TIME_PREFIX)]
    return frame.sort_values(["run", "env_step", "metric"]).reset_index(drop=True)


def test_preempted_requeued_and_killed_runs_end_as_if_nothing_had_happened(slurm, reproduce, tmp_path):
    runs = tmp_path / "runs"
    assert "Submitted 4 runs" in reproduce()
    assert "to launch now: 0 runs" in reproduce(), "a run that waits or runs must not be submitted again"
    jobs = jobs_of(runs)
    assert len(jobs) == 4
    preempted, requeued, killed, _ = jobs

    def ask(*command: str) -> str:
        return subprocess.run(command, env=slurm, check=True, capture_output=True, text=True).stdout

    def is_on(key: str) -> bool:
        return standing(folder_of(runs, key)).status.get("env_step", 0) > STEPS / 10

    until(lambda: is_on(preempted))
    ask("scancel", "--signal=USR2", jobs[preempted])
    until(lambda: is_on(requeued))
    ask("scontrol", "requeue", jobs[requeued])
    until(lambda: is_on(killed))
    os.kill(standing(folder_of(runs, killed)).status["pid"], 9)
    until(lambda: not ask("squeue", "-h", "-r").strip())

    states = {key: standing(folder_of(runs, key)) for key in jobs}
    assert states[killed].state == "stale"
    assert [state.state for key, state in states.items() if key != killed] == ["finished"] * 3
    assert states[preempted].status["attempt"] == 2
    assert states[requeued].status["attempt"] == 2

    said = subprocess.run(
        [sys.executable, "-m", "analysis", "status", "--runs", runs], cwd=ROOT, capture_output=True, text=True
    ).stdout
    assert "4 runs: 3 finished, 1 stale" in said
    assert "killed: matrix_game/p0_12/" in said

    assert "Submitted 1 runs" in reproduce("--wait")
    assert all(standing(folder_of(runs, key)).state == "finished" for key in jobs)

    plain = tmp_path / "plain"
    for key in jobs:
        overrides = [f"algo={key.split('-')[0]}", f"seed={key.rsplit('-s', 1)[1]}", "budget=smoke"]
        overrides += [f"budget.env_steps={STEPS}", f"outputs={plain}"]
        subprocess.run([sys.executable, ROOT / "run.py", *overrides], check=True, capture_output=True)
    assert rows(runs).equals(rows(plain))
