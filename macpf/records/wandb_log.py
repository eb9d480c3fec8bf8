"""A run's W&B logs on this disk, held against its ledger."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from macpf import names
from macpf.records.ledger import Evaluation
from macpf.records.owner import Owner
from macpf.records.wandb_file import WandbFile, read_wandb_file


def logs_of(folder: Path, owner: Owner) -> dict[Path, WandbFile]:
    """The readable logs of a run in its folder, oldest attempt first; without those of other origins."""
    found = {}
    for path in folder.glob("wandb/*run-*/run-*.wandb"):
        try:
            file = read_wandb_file(path)
        except (OSError, ValueError, LookupError):
            continue
        if file.config.get(names.ORIGIN) == owner.origin and file.config.get(names.RUN_KEY) == owner.key:
            found[path] = file

    def age(path: Path) -> tuple[int, float, str]:
        attempt = found[path].config.get(names.ATTEMPT)
        return attempt if isinstance(attempt, int) else 0, found[path].start_time, str(path)

    return {path: found[path] for path in sorted(found, key=age)}


def first_unlogged(rows: Sequence[Evaluation], logs: Mapping[Path, WandbFile]) -> int | None:
    """The number of the first row that the logs lack or have otherwise; None if they hold all rows as they are."""
    logged: dict[float, Mapping[str, Any]] = {}
    for file in logs.values():
        for row in file.rows:
            number = row.get(names.EVALUATION)
            if isinstance(number, int | float):
                logged = {other: earlier for other, earlier in logged.items() if other < number}
                logged[number] = row
    for kept in rows:
        mirrored = logged.get(kept.number, {})
        if any(mirrored.get(name) != value for name, value in kept.values.items()):
            return kept.number
    return None


def digests(folder: Path, logs: Mapping[Path, WandbFile]) -> dict[str, str]:
    """The checksum of each log, by its path below the run folder."""
    return {path.relative_to(folder).as_posix(): digest_of(path) for path in logs}


def digest_of(path: Path) -> str:
    """A log's checksum.

    Raises:
        OSError: it cannot be read.
    """
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
