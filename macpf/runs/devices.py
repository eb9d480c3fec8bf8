"""Which of several CUDA devices a process uses: the one requested, or the one with the fewest claims."""

from __future__ import annotations

import getpass
import itertools
import os
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

#: The lock that claims a device, held until this process ends in any way, and the number of the visible device.
_claim: tuple[FileLock, int] | None = None


def use_device(device: str) -> None:
    """Make ``cuda`` refer to one device for this process; does nothing if there is no choice.

    All processes of a user on one machine take turns: the workers of a sweep, the runs of a job, separate commands.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda-only``, the latter two also with ``:<number>``; must be valid.
    """
    import torch  # imported late, as claims do not need it

    if device == "cpu" or not torch.cuda.is_available():
        return
    _, _, number = device.partition(":")
    devices = torch.cuda.device_count()
    if number or devices > 1:
        torch.cuda.set_device(int(number) if number else claimed(devices))


def claimed(devices: int) -> int:
    """The number of the device that this process has claimed, from 0 to `devices` - 1; claims one at the first call."""
    global _claim
    if _claim is None:
        _claim = _new_claim(_names(devices))
    return _claim[1]


def _names(devices: int) -> list[str]:
    """Names of the visible devices that are the same for all processes; each job may number its devices differently."""
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return visible if len(visible) == devices else [str(number) for number in range(devices)]


def _new_claim(names: list[str]) -> tuple[FileLock, int]:
    folder = Path(tempfile.gettempdir()) / f"macpf-devices-{getpass.getuser()}"
    folder.mkdir(exist_ok=True)
    for others in itertools.count():  # number of claims by other processes on each device
        for number, name in enumerate(names):
            lock = FileLock(
                folder / f"{name.replace('/', '_')}.{others}.lock", timeout=0
            )  # of MIG's names, some have /
            try:
                lock.acquire()
            except Timeout:
                continue
            return lock, number
    raise AssertionError("there is always one more")
