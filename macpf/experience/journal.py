"""Episodes on disk, written once when they are recorded: append-only, numbered, with checksums.

A journal is a folder of segments. ``000000000120.bin`` begins with episode number 120, and the next segment begins
where it ends. A segment starts with the name of the run that it belongs to. Then follow its entries: a header (mark,
number, bytes of the rows, digest) and the rows of one episode. Entries are passed to the operating system immediately,
so a killed process loses none; `sync` writes them to disk.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import struct
from collections.abc import Iterable, Iterator
from io import FileIO
from pathlib import Path

import numpy as np

from macpf.experience.recording import Episode
from macpf.records.files import Damaged, sync_folder
from macpf.records.owner import Foreign

MARK = b"EPI2"
#: Beginning of a segment: mark, length of the owner's name in bytes; the name follows.
PREFIX = struct.Struct("<4sH")
#: Header of an entry: mark, number, bytes of the rows, digest.
HEADER = struct.Struct("<4sQQ16s")
#: Bytes after which a new segment begins; episodes that are no longer needed are deleted in whole segments.
SEGMENT = 16_000_000


class Journal:
    """The episodes of one run.

    Args:
        folder: folder of its segments; created with the first episode.
        row: row type of the episodes (`macpf.experience.recording.row_type`).
        owner: name of the run that they belong to, at most 65,535 bytes.
    """

    def __init__(self, folder: Path, row: np.dtype[np.void], owner: str = "") -> None:
        self.folder, self.row, self.owner = folder, row, owner
        self.next = 0  # number of the next episode
        self._file: FileIO | None = None  # the open segment
        self._size = 0  # its bytes
        self._needed = 0  # first episode that the latest checkpoint needs

    def append(self, episodes: Iterable[Episode]) -> None:
        """Append episodes.

        Raises:
            OSError: the disk is full or broken; all earlier episodes are still there.
        """
        for episode in episodes:
            rows = episode.tobytes()
            entry = HEADER.pack(MARK, self.next, len(rows), self._digest(self.next, rows)) + rows
            if self._file is None or self._size >= SEGMENT:
                self._file = self._begin_segment()
            left = memoryview(entry)
            while left:
                left = left[self._file.write(left) :]
            self._size += len(entry)
            self.next += 1

    def sync(self) -> None:
        """Write every episode to disk; returns when none is only in a cache."""
        if self._file is not None:
            os.fsync(self._file)
            sync_folder(self.folder)

    def read(self, first: int, end: int) -> list[Episode]:
        """Episodes number `first` to `end` - 1.

        Raises:
            Foreign: they belong to another run.
            Damaged: one of them is missing, cut short, altered, or recorded by code with another row type.
        """
        episodes: list[Episode] = []
        segments = self._segments()
        for k, begins in enumerate(segments):
            ends = segments[k + 1] if k + 1 < len(segments) else end
            if begins < end and ends > first:
                for number, _, rows, digest in self._entries(begins, min(ends, end)):
                    if number == first + len(episodes) and digest == self._digest(number, rows):
                        episodes.append(np.frombuffer(rows, dtype=self.row).copy())
        if len(episodes) < end - first:
            missing = first + len(episodes)
            raise Damaged(f"episode {missing} of {first} to {end - 1} in {self.folder} is missing or damaged")
        return episodes

    def cut(self, end: int) -> None:
        """Continue with episode number `end`, and discard what was recorded from there on."""
        self._close()
        for begins in self._segments():
            if begins >= end:
                self._path(begins).unlink()
        for begins in self._segments()[-1:]:  # those before it end where the next one begins
            whole = max((stop for _, stop, *_ in self._entries(begins, end)), default=len(self._prefix))
            os.truncate(self._path(begins), whole)
        self.next = end

    def checkpointed(self, first: int) -> None:
        """Note that a new checkpoint needs the episodes from `first` on.

        Deletes the segments that neither it nor the previous checkpoint needs.
        """
        segments = self._segments()
        for begins, ends in itertools.pairwise(segments):
            if ends <= self._needed:
                self._path(begins).unlink()
        self._needed = first

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _begin_segment(self) -> FileIO:
        self.sync()
        self._close()
        self.folder.mkdir(exist_ok=True)
        self._size = 0
        file = FileIO(self._path(self.next), "w")
        file.write(self._prefix)
        return file

    @property
    def _prefix(self) -> bytes:
        name = self.owner.encode()
        return PREFIX.pack(MARK, len(name)) + name

    def _path(self, begins: int) -> Path:
        return self.folder / f"{begins:012d}.bin"

    def _segments(self) -> list[int]:
        """The first episode number of each segment, in order."""
        return sorted(int(path.stem) for path in self.folder.glob("*.bin") if path.stem.isdigit())

    def _entries(self, begins: int, end: int) -> Iterator[tuple[int, int, memoryview, bytes]]:
        """Number, end in the file, rows and digest of a segment's complete entries before number `end`."""
        content = memoryview(self._path(begins).read_bytes())
        stop = self._after_prefix(self._path(begins), content)
        for number in range(begins, end):
            start = stop + HEADER.size
            if len(content) < start:
                return
            mark, found, size, digest = HEADER.unpack(content[stop:start])
            stop = start + size
            if (mark, found) != (MARK, number) or len(content) < stop:
                return
            yield number, stop, content[start:stop], digest

    def _after_prefix(self, path: Path, content: memoryview) -> int:
        """Position at which the entries of a segment begin; its end if the owner's name cannot be read.

        Raises:
            Foreign: it belongs to another run.
        """
        if len(content) < PREFIX.size:
            return len(content)
        mark, size = PREFIX.unpack(content[: PREFIX.size])
        name = bytes(content[PREFIX.size : PREFIX.size + size])
        if mark != MARK or len(name) < size:
            return len(content)
        if name != self.owner.encode():
            raise Foreign(
                f"{path} belongs to the run {name.decode(errors='replace')}, not to {self.owner}; "
                "put it back where it came from"
            )
        return PREFIX.size + size

    def _digest(self, number: int, rows: bytes | memoryview) -> bytes:
        """A digest of the rows, their meaning, the run that they belong to, and the episode's number."""
        digest = hashlib.blake2b(f"{self.owner} {number} {self.row.descr}".encode(), digest_size=16)
        digest.update(rows)
        return digest.digest()


def delete(folder: Path) -> None:
    """Delete a journal that is no longer needed."""
    shutil.rmtree(folder, ignore_errors=True)
