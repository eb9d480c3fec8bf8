"""Runs that are killed, stopped or corrupted at random moments and started again end as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from analysis.runs import load_runs
from macpf.experience.journal import HEADER, PREFIX
from macpf.names import TIME_PREFIX
from macpf.runs import checkpoint, launch
from macpf.runs.promises import difference

ROOT = Path(__file__).parents[2]
#: Seconds after the start at which a process is killed: from before the first import to well into training.
EARLIEST, LATEST = 0.5, 9.0


class Run:
    """One command, started as often as it takes."""

    def __init__(self, outputs: Path, algo: str, seed: int, env_steps: int) -> None:
        self.outputs = outputs
        self.arguments = [
            f"algo={algo}",
            f"seed={seed}",
            f"outputs={outputs}",
            f"budget.env_steps={env_steps}",
            "checkpoint.every_seconds=0.3",
        ]

    def start(self) -> subprocess.Popen[str]:
        command = [sys.executable, str(ROOT / "run.py"), *self.arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.outputs)

    def finish(self) -> str:
        process = self.start()
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
        return output

    @property
    def folder(self) -> Path:
        (lock,) = self.outputs.rglob("run.lock")
        return lock.parent

    def status(self) -> dict[str, object]:
        return json.loads((self.folder / "status.json").read_text())

    def end_state(self) -> dict[str, object]:
        state = checkpoint.load(self.folder / "checkpoint.pt", None)
        assert state is not None
        return {key: value for key, value in state.items() if key not in ("seconds", "rows", "made_with", "owner")}

    def history(self) -> dict[tuple[int, str], float]:
        """The stitched W&B history, without the wall clock."""
        frame = load_runs(self.outputs).frame
        frame = frame[~frame.metric.str.startswith(TIME_PREFIX)]
        history = {(row.env_step, row.metric): row.value for row in frame.itertuples()}
        assert len(history) == len(frame), "stitching left a measurement twice"
        return history


def assert_same_end(run: Run, reference: Run) -> None:
    assert run.status()["state"] == "finished"
    assert difference(run.end_state(), reference.end_state()) == ""
    mine, theirs = run.history(), reference.history()
    assert mine.keys() == theirs.keys()
    different = [key for key in mine if mine[key] != theirs[key] and not np.isnan([mine[key], theirs[key]]).all()]
    assert not different


def kill_campaign(folder: Path, algo: str, seed: int, env_steps: int, kills: int) -> int:
    """Kill a run at random moments until it is finished or was killed often enough, then compare; returns kills."""
    reference, run = Run(folder / "reference", algo, seed, env_steps), Run(folder / "killed", algo, seed, env_steps)
    for each in (reference, run):
        each.outputs.mkdir(parents=True)
    reference.finish()
    moments = random.Random(seed)
    done = 0
    while done < kills:
        process = run.start()
        try:
            process.communicate(timeout=moments.uniform(EARLIEST, LATEST))
            break  # finished before we came
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            done += 1
    run.finish()
    assert_same_end(run, reference)
    return done


@pytest.mark.faults
def test_killed_at_least_60_times(tmp_path):
    """Every algorithm and variant, in turn, until there were enough."""
    algorithms = sorted(path.stem for path in (ROOT / "conf" / "algo").glob("*.yaml"))
    kills = seed = 0
    while kills < 60 or seed < len(algorithms):
        algo = algorithms[seed % len(algorithms)]
        kills += kill_campaign(tmp_path / str(seed), algo, seed, env_steps=6000, kills=3)
        print(f"{kills} kills, zero differences (last: {algo}, seed {seed})")
        seed += 1


def wait_until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "took too long"
        time.sleep(0.05)


def checkpoint_number(run: Run) -> int | None:
    """Changes with every checkpoint; None before the first."""
    return next((path.stat().st_ino for path in run.outputs.rglob("checkpoint.pt")), None)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """A QMIX run that nothing disturbed."""
    run = Run(tmp_path_factory.mktemp("reference"), "qmix", 2, 1500)
    run.finish()
    return run


@pytest.mark.parametrize(
    "signals",
    [
        (signal.SIGTERM, signal.SIGKILL),
        pytest.param((signal.SIGINT, signal.SIGUSR2, signal.SIGKILL), marks=pytest.mark.long),
    ],
    ids=lambda signals: "-".join(one.name for one in signals),
)
def test_signals_save_and_stop_or_kill_and_the_same_command_goes_on(tmp_path, reference, signals):
    """Each after a new checkpoint: however slow the machine, it had begun to train. A kill comes some time later."""
    run, moments = Run(tmp_path, "qmix", 2, 1500), random.Random(1)
    for signum in signals:
        before = checkpoint_number(run)
        process = run.start()
        wait_until(lambda before=before: checkpoint_number(run) not in (None, before))
        if signum == signal.SIGKILL:
            time.sleep(moments.uniform(0.0, 0.15))
        process.send_signal(signum)
        output, _ = process.communicate(timeout=60)
        if signum == signal.SIGKILL:
            assert process.returncode == -signum, output
            assert run.status()["state"] == "running"
        else:
            assert process.returncode == 128 + signum, output
            assert "stopped by signal" in output
            assert run.status()["state"] == "interrupted"
    assert "resumes at env step" in run.finish()
    assert_same_end(run, reference)


def cut_in_half(folder: Path) -> None:
    path = folder / "checkpoint.pt"
    os.truncate(path, path.stat().st_size // 2)


def alter_its_last_episode(folder: Path) -> None:
    """All episodes of the matrix game are equally long."""
    state = checkpoint.load(folder / "checkpoint.pt", None)
    assert state is not None
    path = folder / "episodes" / f"{0:012d}.bin"
    content = bytearray(path.read_bytes())
    begins = PREFIX.size + PREFIX.unpack(content[: PREFIX.size])[1]
    entry = HEADER.size + HEADER.unpack(content[begins : begins + HEADER.size])[2]
    content[begins + entry * state["replay"]["added"] - 1] ^= 1
    path.write_bytes(content)


@pytest.mark.long
@pytest.mark.parametrize("damage", [cut_in_half, alter_its_last_episode])
def test_a_damaged_checkpoint_is_said_and_costs_only_time(tmp_path, reference, damage):
    run = Run(tmp_path, "qmix", 2, 1500)
    process = run.start()
    wait_until(lambda: list(run.outputs.rglob("checkpoint.previous.pt")))
    process.kill()
    process.communicate()
    damage(run.folder)
    assert "going on from the one before" in run.finish()
    assert_same_end(run, reference)
    assert not (run.folder / "episodes").exists()


def test_the_same_run_twice_at_once_is_refused(tmp_path, monkeypatch, capsys):
    """The second is this process, which saves loading everything once more."""
    run = Run(tmp_path, "qmix", 3, 100_000)
    process = run.start()
    wait_until(lambda: checkpoint_number(run))
    monkeypatch.setattr(sys, "argv", ["run.py", *run.arguments])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as second:
        launch.main()
    process.terminate()
    process.communicate(timeout=60)
    assert second.value.code == 1
    said = capsys.readouterr()
    assert f"is being run by process {process.pid} on host" in said.err
    assert len((said.out + said.err).splitlines()) == 1


def sweep_command(outputs: Path, *arguments: str) -> list[str]:
    long = ["budget.env_steps=100000", "checkpoint.every_seconds=0.3", f"outputs={outputs}"]
    return [sys.executable, str(ROOT / "run.py"), "-m", "algo=qmix", *long, *arguments]


def states(outputs: Path) -> list[str]:
    return [json.loads(path.read_text())["state"] for path in outputs.rglob("status.json")]


@pytest.mark.parametrize(("processes", "begun"), [(2, 2), pytest.param(1, 1, marks=pytest.mark.long)])
def test_a_stopped_sweep_saves_its_runs_and_starts_no_more(tmp_path, processes, begun):
    command = sweep_command(tmp_path, "seed=0,1,2,3", f"hydra.launcher.n_jobs={processes}")
    sweep = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path)
    wait_until(lambda: len(list(tmp_path.rglob("checkpoint.pt"))) == begun)
    sweep.send_signal(signal.SIGINT)
    output, _ = sweep.communicate(timeout=60)
    assert sweep.returncode == 130, output
    assert "The same command resumes them." in output or "interrupted: qmix" in output
    assert "Traceback" not in output
    assert "Warning" not in output
    assert set(states(tmp_path)) == {"interrupted"}
    assert len(list(tmp_path.rglob("checkpoint.pt"))) == begun


@pytest.mark.long
@pytest.mark.parametrize("patient", [True, False])
def test_a_stopped_sweep_waits_for_a_slow_run_unless_asked_twice(tmp_path, patient):
    """A run that is stopped by SIGSTOP stands in for one whose round of episodes takes long."""
    command = sweep_command(tmp_path, "seed=0,1", "hydra.launcher.n_jobs=2")
    with (tmp_path / "log").open("w") as log:
        sweep = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=tmp_path)
    wait_until(lambda: len(list(tmp_path.rglob("checkpoint.pt"))) == 2)
    slow = json.loads(next(tmp_path.rglob("seed=1/status.json")).read_text())["pid"]
    os.kill(slow, signal.SIGSTOP)
    sweep.send_signal(signal.SIGINT)
    wait_until(lambda: sorted(states(tmp_path)) == ["interrupted", "running"])
    assert "to save: qmix on matrix_game/p0_12 seed=" in (tmp_path / "log").read_text()
    if patient:
        os.kill(slow, signal.SIGCONT)
    else:
        sweep.send_signal(signal.SIGINT)
    assert sweep.wait(timeout=60) == 130
    said = (tmp_path / "log").read_text()
    assert ("Stopped; active runs are saved." in said) == patient
    assert ("Ended at once" in said) != patient
    assert states(tmp_path).count("interrupted") == (2 if patient else 1)


ASKED_TWICE = """
import os, signal
from macpf.runs.preemption import StopRequests
with StopRequests() as stop:
    os.kill(os.getpid(), signal.SIGINT)
    assert stop.pending()
    os.kill(os.getpid(), signal.SIGINT)
    print("survived")
"""


def test_a_second_ctrl_c_ends_a_single_run_at_once():
    done = subprocess.run([sys.executable, "-c", ASKED_TWICE], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == -signal.SIGINT
    assert done.stdout == ""
    assert "Ctrl-C again ends at once" in done.stderr


@pytest.mark.long
def test_a_killed_sweep_leaves_no_orphans(tmp_path):
    command = sweep_command(tmp_path, "seed=0,1", "hydra.launcher.n_jobs=2")
    sweep = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path)
    wait_until(lambda: len(list(tmp_path.rglob("checkpoint.pt"))) == 2)
    workers = [child for child in psutil.Process(sweep.pid).children() if "popen_loky" in " ".join(child.cmdline())]
    assert len(workers) == 2
    sweep.kill()
    sweep.wait()
    wait_until(lambda: states(tmp_path) == ["interrupted"] * 2)
    wait_until(lambda: not any(worker.is_running() for worker in workers))


@pytest.mark.long
def test_a_sweep_of_one_process_does_not_depend_on_the_shell_that_started_it(tmp_path):
    command = sweep_command(tmp_path, "seed=0,1", "hydra.launcher.n_jobs=1", "budget.env_steps=1500")
    quoted = " ".join(f"'{word}'" for word in command)
    shell = subprocess.Popen(["sh", "-c", f"{quoted} > log 2>&1 & sleep 60"], cwd=tmp_path)
    wait_until(lambda: list(tmp_path.rglob("checkpoint.pt")))
    shell.kill()
    wait_until(lambda: states(tmp_path) == ["finished"] * 2)


def test_a_sweep_goes_on_without_the_runs_that_cannot_and_names_them(tmp_path, hold, reference):
    shutil.copytree(reference.outputs, tmp_path, dirs_exist_ok=True)
    broken = Run(tmp_path, "qmix", 2, 1500)
    folder = broken.folder
    for path in folder.glob("checkpoint*.pt"):
        path.write_bytes(b"no checkpoint")
    (folder / "status.json").unlink()
    holder = hold(folder.parent / "seed=0")
    command = [*sweep_command(tmp_path, "seed=0,1,2", "hydra.launcher.n_jobs=2"), *broken.arguments[2:]]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.returncode == 1
    assert "1 of 3 runs are finished." in done.stdout
    assert f"seed=0 is being run by process {holder.pid}" in done.stderr
    assert "failed: qmix on matrix_game/p0_12 seed=2: " in done.stdout
    assert "no checkpoint of this version" in done.stdout
    assert "delete what is damaged to start over" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "Unreadable" in (folder / "error.txt").read_text()
