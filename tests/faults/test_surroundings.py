"""Disks that fill up, folders that cannot be written, servers that vanish, the same sweep twice: on one machine."""

import contextlib
import json
import subprocess
import sys

import pytest

from macpf.runs import reproduce
from tests.faults.test_kill_campaign import ROOT, Run, assert_same_end, checkpoint_number, states, wait_until
from tests.faults.wandb_server import Server

STEPS = 4000


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """A QMIX run that nothing disturbed."""
    run = Run(tmp_path_factory.mktemp("reference"), "qmix", 2, STEPS)
    run.finish()
    return run


@pytest.fixture
def disk(tmp_path):
    """A disk of 8 MB, and how to mount it anew."""

    def mount(*options):
        return subprocess.run(["mount", *options, tmp_path], capture_output=True, text=True)

    if mount("-t", "tmpfs", "-o", "size=8m", "none").returncode:
        pytest.skip("only root may mount a small disk")
    yield tmp_path, mount
    subprocess.run(["umount", "-l", tmp_path], check=True)


def status_of(outputs):
    command = [sys.executable, "-m", "analysis", "status", "--runs", str(outputs)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.mark.faults
def test_a_full_disk_ends_the_run_in_one_line_and_room_lets_it_go_on(disk, reference):
    folder, _ = disk
    run = Run(folder, "qmix", 2, STEPS)
    process = run.start()
    wait_until(lambda: checkpoint_number(run))
    filler = folder / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "make room, then the same command resumes from its last checkpoint" in output
    assert "Traceback" not in output
    assert "matrix_game/p0_12/qmix seed=2" in status_of(folder)
    filler.unlink()
    assert "resumes at env step" in run.finish()
    assert_same_end(run, reference)


@pytest.mark.faults
def test_a_read_only_folder_is_said_in_one_line_and_what_is_finished_stays(disk):
    folder, mount = disk
    run = Run(folder, "qmix", 2, 400)
    run.finish()
    assert mount("-o", "remount,ro").returncode == 0
    command = [sys.executable, str(ROOT / "run.py")]
    same = [*command, *run.arguments]
    for arguments, code, words in (
        (same, 0, "finished already, nothing to do"),
        ([*same, "seed=3"], 1, "Read-only file system"),
        ([*command, "-m", *run.arguments, "seed=2,3"], 1, "Read-only file system"),
    ):
        done = subprocess.run(arguments, capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == code
        assert words in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
    assert run.status()["state"] == "finished"


def test_a_folder_that_cannot_be_made_is_said_in_one_line(tmp_path, capsys):
    (tmp_path / "file").touch()
    arguments = ["figure4", "--launcher=local", "--budget=smoke", "--yes", f"--runs={tmp_path}/file", "algo=qmix"]
    assert reproduce.main(arguments) == 1
    assert capsys.readouterr().err.startswith(f"error: cannot write {tmp_path}/file")


def test_a_sweep_that_slurm_cannot_take_ends_at_once(tmp_path, command_here):
    (tmp_path / ".slurm").touch()
    done = command_here("-m", "hydra/launcher=slurm", "algo=qmix", f"outputs={tmp_path}")
    assert done.returncode == 1
    assert done.stderr == f"error: cannot write {tmp_path}/.slurm: File exists; choose another folder, or make room\n"


@pytest.mark.faults
def test_a_server_that_vanishes_costs_no_row(tmp_path, reference, monkeypatch):
    server = Server()
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", 40 * "a")
    monkeypatch.setenv("HOME", str(tmp_path))
    run = Run(tmp_path, "qmix", 2, STEPS)
    run.arguments.append("tracking=online")
    process = run.start()
    wait_until(lambda: server.uploads and checkpoint_number(run))
    server.die()
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    assert list(run.folder.glob("wandb/run-*"))
    assert_same_end(run, reference)


@pytest.mark.faults
def test_the_same_sweep_twice_at_once_plays_every_run_once(tmp_path):
    command = [sys.executable, str(ROOT / "run.py"), "-m", "algo=qmix", "seed=0,1,2", "budget.env_steps=2000"]
    command += ["hydra.launcher.n_jobs=2", f"outputs={tmp_path}"]
    sweeps = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path)
        for _ in range(2)
    ]
    said = [sweep.communicate(timeout=300)[0] for sweep in sweeps]
    assert states(tmp_path) == ["finished"] * 3
    assert [json.loads(path.read_text())["attempt"] for path in tmp_path.rglob("status.json")] == [1] * 3
    assert len(list(tmp_path.rglob("*.wandb"))) == 3
    for sweep, text in zip(sweeps, said, strict=True):
        assert sweep.returncode == 0 or "is being run by process" in text
        assert "Traceback" not in text
