"""The record of runs submitted to SLURM: one line of JSON for each, appended and synced to disk."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from macpf.records.files import sync_folder

log = logging.getLogger(__name__)

NAME = "submitted.jsonl"


class Submission(BaseModel):
    """The key of a run and the id of its SLURM job."""

    model_config = ConfigDict(strict=True, frozen=True)

    run: str
    job: str


def note_submissions(folder: Path, new: Iterable[Submission]) -> None:
    """Append to the record in a folder; an unfinished line left by a crash is terminated first."""
    path = folder / NAME
    torn = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
    lines = [submission.model_dump_json() for submission in new]
    with path.open("a") as record:
        record.write("\n" * torn + "".join(f"{line}\n" for line in lines))
        record.flush()
        os.fsync(record.fileno())
    sync_folder(folder)


def submissions(folder: Path) -> list[Submission]:
    """The submissions recorded in a folder, in order. Damaged lines (after a crash, on a full disk) are skipped."""
    path = folder / NAME
    found = []
    for number, line in enumerate(path.read_bytes().splitlines() if path.is_file() else [], 1):
        try:
            found.append(Submission.model_validate_json(line))
        except ValidationError:
            log.warning("line %d of %s is no submission (a crash?) and is passed over", number, path)
    return found
