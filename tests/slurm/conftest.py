"""A throw-away SLURM on this machine, and what the tests ask it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import psutil
import pytest

from analysis.runs import load_runs
from macpf.names import TIME_PREFIX
from macpf.records.run_state import RunState, run_state
from macpf.runs.cluster import FOLDER

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("cluster.sh")
LACKING = "needs root and SLURM's daemons: apt-get install --no-install-recommends slurm-wlm"


class Slurm:
    """The cluster: the folder of its configuration and logs, and the environment of a command that talks to it."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment

    def ask(self, *command: str) -> str:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def preempt(self, job: str) -> None:
        """Signal a job as preemption does; scancel may go on asking while the job is queued again, and then fail."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(["scancel", "--signal=USR2", job], env=self.environment, timeout=5, capture_output=True)

    def is_idle(self) -> bool:
        return not self.ask("squeue", "-h", "-r").strip()

    def node(self, name: str) -> str:
        """Its state, e.g. ``idle`` or ``down*``."""
        return self.ask("sinfo", "-h", "-N", "-n", name, "-o", "%t").strip()

    def cut_power(self, name: str) -> None:
        """Kill a node's daemon and all that it had started, so that none can tell the controller."""
        jobs = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                its = process.environ()
                if (its.get("SLURMD_NODENAME"), its.get("SLURM_CONF")) == (name, self.environment["SLURM_CONF"]):
                    jobs.append(process)
        daemons = {parent for job in jobs for parent in job.parents() if parent.name().startswith("slurmstepd")}
        os.kill(int((self.folder / f"slurmd.{name}.pid").read_text()), 9)
        for process in [*daemons, *jobs]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


class Launch:
    """``make reproduce-figure4`` through the cluster, into folders of its own."""

    def __init__(self, slurm: Slurm, folder: Path) -> None:
        self.slurm, self.folder, self.runs = slurm, folder, folder / "runs"
        self.settings: dict[str, str | int] = {
            "algo": "qmix",
            "budget.env_steps": 2000,
            "checkpoint.every_seconds": 1,
            "hydra.launcher.mem_gb": 2,
        }

    def start(self, *more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "macpf.runs.reproduce", "figure4", "--launcher=slurm", "--yes"]
        command += ["--budget=smoke", f"--runs={self.runs}", f"--out={self.folder}/figures", *more]
        command += [f"{key}={value}" for key, value in self.settings.items()]
        return subprocess.Popen(
            command, cwd=ROOT, env=self.slurm.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def __call__(self, *more: str, code: int = 0) -> str:
        process = self.start(*more)
        said, _ = process.communicate(timeout=900)
        assert process.returncode == code, said
        return said

    def jobs(self) -> dict[str, str]:
        """The id of the job of each run that was submitted last."""
        lines = (self.runs / FOLDER / "submitted.jsonl").read_text().splitlines()
        return {entry["run"]: entry["job"] for entry in map(json.loads, lines)}

    def run_state(self, key: str) -> RunState:
        algo, env, map_, config_hash, seed = key.rsplit("-", 4)
        return run_state(self.runs / env / map_ / algo / config_hash / f"seed={seed.removeprefix('s')}")

    def is_on(self, key: str, share: float = 0.1) -> bool:
        """Whether a run has played this share of its env steps and is not at its end."""
        now = self.run_state(key)
        return now.state == "running" and now.progress > share

    def states(self) -> list[str]:
        return [self.run_state(key).state for key in self.jobs()]

    def attempts(self) -> list[int]:
        return [self.run_state(key).status["attempt"] for key in self.jobs()]

    def status(self) -> str:
        """What `make status` says."""
        command = [sys.executable, "-m", "analysis", "status", "--runs", str(self.runs)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    def assert_as_if_nothing_had_happened(self) -> None:
        """Play the same runs again, undisturbed and without SLURM, and compare every logged number."""
        plain = self.folder / "plain"
        for key in self.jobs():
            overrides = [f"algo={key.split('-')[0]}", f"seed={key.rsplit('-s', 1)[1]}", "budget=smoke"]
            overrides += [f"budget.env_steps={self.settings['budget.env_steps']}", f"outputs={plain}"]
            subprocess.run([sys.executable, ROOT / "run.py", *overrides], check=True, capture_output=True)
        assert rows(self.runs).equals(rows(plain))


def rows(runs: Path) -> pd.DataFrame:
    """The stitched logs, without the wall clock."""
    frame = load_runs(runs).frame
    frame = frame[~frame["metric"].str.startswith(TIME_PREFIX)]
    return frame.sort_values(["run", "env_step", "metric"]).reset_index(drop=True)


@pytest.fixture(scope="module")
def slurm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    path = f"{os.environ['PATH']}:/usr/sbin"
    if os.geteuid() != 0 or not shutil.which("slurmctld", path=path):
        if request.node.get_closest_marker("slurm"):
            pytest.fail(f"NOT TESTED: {LACKING}", pytrace=False)  # who asks for these tests wants to know
        pytest.skip(LACKING)
    folder = tmp_path_factory.mktemp("slurm")
    environment = os.environ | {"PATH": path, "PORT": str(free_ports())}
    subprocess.run([SCRIPT, "up", folder], check=True, env=environment, stdout=subprocess.DEVNULL)
    conf = str(folder / "slurm.conf")
    yield Slurm(folder, os.environ | {"SLURM_CONF": conf, "PATH": f"{folder}/bin:{path}", "OMP_NUM_THREADS": "1"})
    subprocess.run([SCRIPT, "down", folder], check=True)


def free_ports() -> int:
    """A port that is free, as are those that cluster.sh adds to it."""
    for port in range(16817, 20000, 20):
        with contextlib.ExitStack() as probes:
            try:
                for used in (port, port + 11, port + 12):
                    probes.enter_context(socket.socket()).bind(("127.0.0.1", used))
            except OSError:
                continue
            return port
    raise OSError("no free ports")


@pytest.fixture
def launch(slurm: Slurm, tmp_path: Path) -> Launch:
    return Launch(slurm, tmp_path)


@pytest.fixture
def until() -> Callable[..., None]:
    def wait(condition: Callable[[], object], seconds: float = 300.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.2)

    return wait
