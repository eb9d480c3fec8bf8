"""A run's W&B logs on this disk, read once and compared with its ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from macpf import names
from macpf.records import wandb_file
from macpf.records.ledger import Evaluation
from macpf.records.owner import Owner
from macpf.records.wandb_file import WandbFile, read_wandb_file


@dataclass(frozen=True)
class Logs:
    """The readable logs of a run at the time of reading.

    Attributes:
        folder: of the run.
        files: by their paths, oldest attempt first; without those of other origins.
    """

    folder: Path
    files: Mapping[Path, WandbFile]

    @classmethod
    def read(cls, folder: Path, owner: Owner) -> Logs:
        """Read all logs in a run's folder."""
        found = {}
        for path in folder.glob("wandb/*run-*/run-*.wandb"):
            try:
                file = read_wandb_file(path)
            except (OSError, ValueError, LookupError):
                continue
            if file.config.get(names.ORIGIN) == owner.origin and file.config.get(names.RUN_KEY) == owner.key:
                found[path] = file

        def age(path: Path) -> tuple[int, float, str]:
            return _attempt(found[path]), found[path].start_time, str(path)

        return cls(folder, {path: found[path] for path in sorted(found, key=age)})

    def without(self, folders: set[Path]) -> Logs:
        """The logs outside these folders."""
        return Logs(self.folder, {path: file for path, file in self.files.items() if path.parent not in folders})

    @property
    def attempt(self) -> int:
        """The highest number of an attempt; 0 if there is none."""
        return max(map(_attempt, self.files.values()), default=0)

    def first_unlogged(self, rows: Sequence[Evaluation]) -> int | None:
        """The number of the first row that is missing or different in the logs; None if they have all rows."""
        logged: dict[float, Mapping[str, Any]] = {}
        for file in self.files.values():
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

    def digests(self) -> dict[str, str]:
        """The checksum of each log and of its tables, by their paths below the run folder."""
        found = {path: file.digest for path, file in self.files.items()}
        for file in self.files.values():
            found |= file.tables
        return {path.relative_to(self.folder).as_posix(): digest for path, digest in found.items()}


def _attempt(file: WandbFile) -> int:
    number = file.config.get(names.ATTEMPT)
    return number if isinstance(number, int) else 0


def digest_of(path: Path) -> str:
    """A log's checksum.

    Raises:
        OSError: it cannot be read.
    """
    return wandb_file.digest_of(path.read_bytes())
