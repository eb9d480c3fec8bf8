"""What goes wrong on a cluster: nothing finished is lost, nothing runs twice, and whatever failed is named."""

import contextlib
import subprocess

import pytest

pytestmark = pytest.mark.slurm


def test_a_run_past_its_time_limit_is_queued_again_and_ends_the_same(slurm, launch, until):
    launch.settings |= {"budget.env_steps": 40000, "hydra.launcher.timeout_min": 1, "hydra.launcher.signal_delay_s": 30}
    launch("--seeds=1")
    (key,) = launch.jobs()
    until(slurm.is_idle, 500)
    now = launch.run_state(key)
    assert now.state == "finished"
    assert now.status["attempt"] > 1, "it was fast enough for its time limit: nothing was tested"
    launch.assert_as_if_nothing_had_happened()


def test_a_lost_node_costs_its_runs_only_time(slurm, launch, until):
    launch.settings |= {"budget.env_steps": 4000}
    launch("--seeds=3")
    until(lambda: all(launch.is_on(key, 0.05) for key in launch.jobs()))
    slurm.cut_power("n1")
    until(lambda: slurm.node("n1").startswith("down"))
    until(slurm.is_idle, 500)
    assert launch.states() == ["finished"] * 3
    assert max(launch.attempts()) == 2
    slurm.ask("slurmd", "-N", "n1")
    until(lambda: slurm.node("n1") == "idle")
    assert "to launch now: 0 runs" in launch("--seeds=3")
    launch.assert_as_if_nothing_had_happened()


def test_two_launches_at_once_submit_every_run_once(slurm, launch, until):
    one, other = launch.start("--seeds=3"), launch.start("--seeds=3")
    said = one.communicate(timeout=300)[0] + other.communicate(timeout=300)[0]
    assert said.count("Submitted 3 runs") == 1
    assert said.count("to launch now: 0 runs") == 1
    until(slurm.is_idle)
    assert launch.states() == ["finished"] * 3
    assert launch.attempts() == [1] * 3


@contextlib.contextmanager
def disk(folder, megabytes):
    """A small disk of its own."""
    folder.mkdir(exist_ok=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", folder], capture_output=True)
    if mounted.returncode:
        pytest.fail(f"NOT TESTED: {mounted.stderr.decode()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_fails_the_run_by_name_and_room_lets_it_go_on(slurm, launch, until):
    launch.settings |= {"budget.env_steps": 4000}
    launch.runs.mkdir()
    with disk(launch.runs, 8):
        launch("--seeds=1")
        (key,) = launch.jobs()
        until(lambda: launch.is_on(key))
        filler = launch.runs / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        until(slurm.is_idle)
        assert launch.run_state(key).state in ("failed", "stale")
        assert "matrix_game/p0_12/qmix seed=0" in launch.status()
        filler.unlink()
        again = launch("--seeds=1", "--wait")
        assert "matrix_game/p0_12/qmix seed=0" in again
        assert launch.run_state(key).state == "finished"
        launch.assert_as_if_nothing_had_happened()


def test_a_folder_that_cannot_be_written_is_said_at_once(launch):
    launch("--seeds=1", "--wait")
    with disk(launch.folder / "other", 8):
        launch.runs = launch.folder / "other"
        subprocess.run(["mount", "-o", "remount,ro", launch.runs], check=True)
        said = launch("--seeds=1", code=1)
    assert "Read-only file system" in said
    assert "Traceback" not in said


def test_runs_that_share_a_job_survive_its_preemption_and_a_death_among_them(slurm, launch, until):
    launch.settings |= {"hydra.launcher.runs_per_job": 5, "hydra.launcher.at_once": 2, "budget.env_steps": 3000}
    launch("--seeds=5")
    first, second, *_ = jobs = launch.jobs()
    assert len(set(jobs.values())) == 1
    until(lambda: launch.is_on(first) and launch.is_on(second))
    assert sum(launch.run_state(key).state == "running" for key in jobs) == 2
    slurm.preempt(jobs[first])
    until(lambda: launch.is_on(second) and launch.run_state(second).status["attempt"] == 2)
    subprocess.run(["kill", "-9", str(launch.run_state(second).status["pid"])], check=True)
    until(slurm.is_idle, 500)
    assert launch.states() == ["finished", "stale", "finished", "finished", "finished"]
    assert launch.attempts() == [2, 2, 1, 1, 1]
    assert "1 stale" in launch.status()
    assert "killed: matrix_game/p0_12/qmix seed=1" in launch("--seeds=5", "--wait")
    assert launch.states() == ["finished"] * 5
    assert launch.attempts() == [2, 3, 1, 1, 1]
