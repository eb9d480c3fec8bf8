"""What conf/ offers, read without Hydra, which takes a second to start."""

from __future__ import annotations

from macpf.suite import CONF as CONF


def choices(group: str) -> list[str]:
    """The names that a group has in this repository."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))
