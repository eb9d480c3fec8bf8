"""Several devices, which this machine need not have: torch is told that there are some."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from macpf.runs import devices
from macpf.runs.devices import use_device
from macpf.runs.errors import ConfigError
from macpf.runs.settings import choose_device

ROOT = Path(__file__).parents[2]
CLAIM = "from macpf.runs.devices import claimed; print(claimed({}), flush=True); input()"


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Pretend that there are so many devices; lists those that were made the current one."""
    used: list[int] = []
    monkeypatch.setattr(devices, "_claim", None)
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def with_devices(count):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "set_device", used.append)
        return used

    return with_devices


def test_a_numbered_device_is_used(machine):
    used = machine(4)
    assert (choose_device("cuda:2"), choose_device("cuda-only:0")) == ("cuda", "cuda-only")
    use_device("cuda:2")
    assert used == [2]


@pytest.mark.parametrize(
    ("device", "count", "said"),
    [
        ("cuda:4", 4, "cuda:0 to cuda:3"),
        ("cuda:1", 1, "only cuda:0"),
        ("cuda:0", 0, "no CUDA device"),
        ("cuda:x", 4, "not known"),
        ("cpu:1", 4, "not known"),
        ("cuda:-1", 4, "not known"),
    ],
)
def test_a_device_that_is_not_there_is_refused(machine, device, count, said):
    machine(count)
    with pytest.raises(ConfigError, match=said):
        choose_device(device)


@pytest.mark.parametrize(("device", "count"), [("cpu", 4), ("auto", 0), ("auto", 1), ("cuda", 1)])
def test_without_a_choice_nothing_is_claimed(machine, tmp_path, device, count):
    used = machine(count)
    use_device(device)
    assert used == []
    assert list(tmp_path.iterdir()) == []


def test_a_process_keeps_its_device_for_all_its_runs(machine):
    used = machine(3)
    for device in ("auto", "cuda", "auto"):
        use_device(device)
    assert used == [0, 0, 0]


@pytest.fixture
def claimers(tmp_path):
    """Processes that claim one of some devices each and hold it."""
    processes: list[subprocess.Popen[str]] = []

    def start(count, visible=""):
        environment = {"TMPDIR": str(tmp_path), "CUDA_VISIBLE_DEVICES": visible, "PATH": "/usr/bin:/bin"}
        command = [sys.executable, "-c", CLAIM.format(count)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        processes.append(subprocess.Popen(command, cwd=ROOT, env=environment, **pipes))
        return int(processes[-1].stdout.readline())

    yield start, processes
    for process in processes:
        process.kill()
        process.communicate()


def test_processes_spread_and_a_killed_one_gives_its_device_back(claimers):
    start, processes = claimers
    assert [start(2) for _ in range(3)] == [0, 1, 0]
    processes[1].kill()
    processes[1].wait()
    assert start(2) == 1
    # A job that sees the second device as its first knows that it is taken, and its other one is not.
    assert start(2, visible="1,5") == 1
    assert start(1, visible="MIG-GPU-8f0c/1/0") == 0
