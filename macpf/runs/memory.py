"""Whether a run's replay and parallel episodes fit in memory, checked before any of it is allocated."""

from __future__ import annotations

from pathlib import Path

import psutil

from macpf.experience.replay import most_bytes
from macpf.runs.build import Parts
from macpf.runs.errors import ConfigError
from macpf.runs.settings import ReplaySettings, RolloutSettings

#: Bytes from which on the size of the replay is reported.
NOTEWORTHY = 100e6


def replay_estimate(parts: Parts, free: int) -> str | None:
    """The memory of the full replay, in one line; None if it is small or if there is no replay.

    Args:
        parts: objects of the run; its replay is still empty.
        free: bytes that this process may still allocate.

    Raises:
        ConfigError: the replay or parallel episodes may need more memory than is free; says what would fit.
    """
    free -= _of_rounds(parts, free)
    if not isinstance(parts.settings, ReplaySettings):
        return None
    capacity, limit = parts.replay.capacity, parts.rollout.env.spec.episode_limit
    most = most_bytes(capacity, limit, parts.rollout.row)
    if most > free:
        need = (
            f"algo.replay.capacity={capacity} may need {_gb(most)} ({_episodes(capacity, limit)}), {_gb(free)} is free"
        )
        fits = _rounded_down(capacity * free // most)
        if fits < max(parts.settings.batch, parts.settings.burn_in):
            raise ConfigError(f"{need}, too little for one batch; run it where more memory is free")
        raise ConfigError(f"{need}; type algo.replay.capacity={fits}")
    return f"replay: up to {_gb(most)} for {_episodes(capacity, limit)}" if most > NOTEWORTHY else None


def _of_rounds(parts: Parts, free: int) -> int:
    """Bytes of a round of training episodes, a round of evaluation, and the rollout of an on-policy algorithm.

    Raises:
        ConfigError: one of them may need more than is free.
    """
    total = 0
    for key, rollout in (("env.parallel", parts.rollout), ("env.eval_parallel", parts.evaluator.rollout)):
        together, limit = rollout.env.batch_size, rollout.env.spec.episode_limit
        most = most_bytes(together, limit, rollout.row)
        if total + most > free:
            fits = _rounded_down(together * max(free - total, 0) // most)
            hint = f"type {key}={fits}" if fits else "run it where more memory is free, or shorten its episodes"
            raise ConfigError(
                f"{key}={together} may need {_gb(most)} ({_episodes(together, limit)}), {_gb(free)} is free; {hint}"
            )
        total += most
    if isinstance(parts.settings, RolloutSettings):
        collected = parts.settings.env_steps * parts.rollout.row.itemsize
        if total + collected > free:
            fits = _rounded_down((free - total) // parts.rollout.row.itemsize)
            hint = f"type algo.rollout.env_steps={fits}" if fits else "run it where more memory is free"
            raise ConfigError(
                f"algo.rollout.env_steps={parts.settings.env_steps} may need {_gb(collected)}, {_gb(free)} is free; "
                f"{hint}"
            )
        total += collected
    return total


def free_memory(cgroups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """Bytes that this process may still allocate: free memory, or less if SLURM or a container has a limit."""
    free = psutil.virtual_memory().available
    try:
        groups = [line.split(":", 2) for line in own.read_text().splitlines()]
    except OSError:  # not Linux
        return free
    for _, controllers, path in groups:
        root = cgroups / "memory" if controllers == "memory" else cgroups
        if controllers in ("", "memory"):  # version 2, version 1
            for group in (Path(path), *Path(path).parents):
                free = min(free, _free_in(root / str(group).lstrip("/"), free))
    return free


def _free_in(group: Path, otherwise: int) -> int:
    """Free memory in a cgroup, counting cached files as free; `otherwise` if it has no limit."""
    for limit, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
        try:
            most, now = (group / limit).read_text().strip(), int((group / used).read_text())
            stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        except (OSError, ValueError):
            continue
        if most != "max":
            cached = sum(int(stat.get(name, 0)) for name in ("active_file", "inactive_file"))
            return max(int(most) - now + cached, 0)
    return otherwise


def _rounded_down(number: int) -> int:
    """The number, rounded down to two digits."""
    unit = 10 ** max(len(str(number)) - 2, 0)
    return number // unit * unit


def _episodes(capacity: int, limit: int) -> str:
    return f"{capacity:,} episodes of at most {limit:,} steps"


def _gb(n_bytes: float) -> str:
    return f"{n_bytes / 1e9:,.1f} GB"
