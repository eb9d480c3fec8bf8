"""The ledger of a run's results: append-only, with each line checksummed and on the disk before training continues.

Each line of ``ledger.jsonl`` is ``<digest> <JSON>``. The first holds the `Manifest`, which identifies the run and says
how many evaluations it will have. Then come an `Attempt` for each start, an `Evaluation` for each row of results, and
an `End`. An attempt resumes from a checkpoint and repeats the evaluations after it. A repeated row replaces the older
row of its number and all rows after it.

The W&B log can be rebuilt from this file.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from macpf.records.files import Damaged, complaint, write_atomically
from macpf.records.numbering import missing
from macpf.records.owner import Owner

NAME = "ledger.jsonl"
_DIGITS = 16
Count: TypeAlias = Annotated[int, Field(ge=0)]
_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)


class Manifest(BaseModel):
    """The description of a run, written when it begins and never changed.

    Attributes:
        key, origin: see `Owner`.
        algo, env, map, backend, budget: names of the configuration's choices.
        seed: the seed of all random streams.
        score: the environment's name of its score.
        labels: the name in figures of each policy that is evaluated; the main policy comes first.
        family: the algorithm of which this one is a variant, or its own name.
        evaluations: rows of a complete run. There are fewer if one round of episodes passes several due evaluations.
        env_steps: env steps of the budget.
        config: the resolved configuration.
        parameters: the number of trainable parameters of each module that has any.
        provenance: the versions and origin that the environment reports.
        begun: when the run began, seconds since 1970.
    """

    model_config = _STRICT

    kind: Literal["manifest"] = "manifest"
    layout: Literal[1] = 1
    key: str
    origin: str
    algo: str
    env: str
    map: str
    backend: str
    budget: str
    seed: Count
    score: str
    labels: dict[str, str]
    family: str
    evaluations: Annotated[int, Field(gt=0)]
    env_steps: Annotated[int, Field(gt=0)]
    config: dict[str, Any]
    parameters: dict[str, int]
    provenance: dict[str, str]
    begun: float

    @property
    def owner(self) -> Owner:
        """The owner of the run's files."""
        return Owner(key=self.key, origin=self.origin)


class Attempt(BaseModel):
    """One start of the run, with the code and machine that it used."""

    model_config = _STRICT

    kind: Literal["attempt"] = "attempt"
    number: Annotated[int, Field(gt=0)]
    commit: str
    torch: str
    python: str
    device: str
    threads: int
    host: str
    started: float


class Evaluation(BaseModel):
    """One row of results.

    Attributes:
        number: number of the evaluation, from 0 on.
        after: number of the row before it, -1 for the first. It is less than ``number - 1`` if one round of episodes
            passed several due evaluations.
        values: all measured values, including ``env_step``.
    """

    model_config = _STRICT

    kind: Literal["evaluation"] = "evaluation"
    number: Count
    after: Annotated[int, Field(ge=-1)]
    values: dict[str, float]


class End(BaseModel):
    """How the run ended (``finished``, ``untrained`` or ``diverged``) and why, and the checksums of its W&B logs."""

    model_config = _STRICT

    kind: Literal["end"] = "end"
    state: Literal["finished", "untrained", "diverged"]
    why: str = ""
    log: dict[str, str] = Field(default_factory=dict)


_LINE: TypeAdapter[Manifest | Attempt | Evaluation | End] = TypeAdapter(
    Annotated[Manifest | Attempt | Evaluation | End, Field(discriminator="kind")]
)


@dataclass
class Ledger:
    """A run's ledger as it was read; entries can be appended.

    Attributes:
        path: path of the file.
        manifest: description of the run.
        attempts: every start of the run.
        rows: the valid rows of results in order, without those that were replaced.
        end: how the run ended; None if it has not.
    """

    path: Path
    manifest: Manifest
    attempts: list[Attempt] = field(default_factory=list)
    rows: list[Evaluation] = field(default_factory=list)
    end: End | None = None

    @property
    def missing(self) -> int:
        """The number of evaluations that this run still lacks."""
        return missing(((row.number, row.after) for row in self.rows), self.manifest.evaluations)

    @classmethod
    def begin(cls, path: Path, manifest: Manifest, rows: Sequence[Mapping[str, Any]] = ()) -> Ledger:
        """Write a new ledger, with rows of results that were saved elsewhere."""
        kept = [Evaluation(**row) for row in rows]
        write_atomically(path, b"".join(_line(manifest.owner, entry) for entry in (manifest, *kept)))
        return cls(path, manifest, rows=kept)

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """Read a ledger; an unfinished last line, left by a crash, is ignored.

        Raises:
            FileNotFoundError: there is no ledger.
            Damaged: a line is not what was written; the message names it.
        """
        entries = list(entries_of(path))
        manifest = entries[0] if entries else None
        if not isinstance(manifest, Manifest):
            raise Damaged(f"{path} does not begin with a manifest")
        ledger = cls(path, manifest)
        for entry in entries[1:]:
            ledger._add(entry)
        return ledger

    def append(self, entry: Attempt | Evaluation | End) -> None:
        """Append an entry; it is on the disk when this returns.

        Raises:
            OSError: the disk is full or broken; all earlier lines are kept.
        """
        line = _line(self.manifest.owner, entry)
        with self.path.open("r+b") as file:
            file.seek(_whole(self.path.read_bytes()))
            file.write(line)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
        self._add(entry)

    def go_on_from(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Resume from a checkpoint: only its rows of results stay valid, and those missing here are appended."""
        known = [Evaluation(**row) for row in rows]
        same = 0
        while same < min(len(known), len(self.rows)) and known[same] == self.rows[same]:
            same += 1
        self.rows = known[:same]
        for row in known[same:]:
            self.append(row)

    def _add(self, entry: Manifest | Attempt | Evaluation | End) -> None:
        if isinstance(entry, Attempt):
            self.attempts.append(entry)
            self.end = None
        elif isinstance(entry, Evaluation):
            self.rows = [row for row in self.rows if row.number < entry.number] + [entry]
        elif isinstance(entry, End):
            self.end = entry
        else:
            raise Damaged(f"{self.path} has a second manifest")


def entries_of(path: Path) -> Iterable[Manifest | Attempt | Evaluation | End]:
    """Read and check the lines of a ledger; an unfinished last line, left by a crash, is ignored.

    Raises:
        FileNotFoundError: there is no ledger.
        Damaged: a line is not what was written; the message names it.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise
    except NotADirectoryError as error:  # a file where its folder should be
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from error
    except OSError as error:
        raise Damaged(f"{path} cannot be read ({error.strerror})") from error
    owner: Owner | None = None
    for number, line in enumerate(content[: _whole(content)].splitlines(), 1):
        try:
            digest, text = line[:_DIGITS].decode("ascii"), line[_DIGITS + 1 :]
            entry = _LINE.validate_json(text)
            owner = owner or (entry.owner if isinstance(entry, Manifest) else None)
        except (ValidationError, UnicodeDecodeError, ValueError) as error:
            why = complaint(error) if isinstance(error, ValidationError) else str(error)
            raise Damaged(f"{path} is damaged in line {number} ({why})") from error
        if owner is None or line[_DIGITS : _DIGITS + 1] != b" " or digest != _digest(owner, text):
            raise Damaged(f"{path} is damaged in line {number} (its checksum does not match)")
        yield entry


def _whole(content: bytes) -> int:
    """The number of bytes up to the end of the last complete line."""
    return content.rfind(b"\n") + 1


def _line(owner: Owner, entry: BaseModel) -> bytes:
    text = json.dumps(entry.model_dump()).encode()
    return f"{_digest(owner, text)} ".encode() + text + b"\n"


def _digest(owner: Owner, text: bytes) -> str:
    return hashlib.blake2b(f"{owner.key} {owner.origin} ".encode() + text, digest_size=_DIGITS // 2).hexdigest()
