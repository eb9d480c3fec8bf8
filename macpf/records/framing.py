"""The outer layer of a ``.wandb`` file: LevelDB's log framing. Reading continues after damaged parts.

Layout (measured on wandb 0.22 to 0.31; the framing is LevelDB's, ``doc/log_format.md`` in its repository): a header
of 7 bytes, then blocks of 32 KiB that hold chunks. A chunk is crc32 (4 bytes), length (2), type (1), all
little-endian, and its data; the crc is zlib's plain one over the type byte and the data. A record is one ``FULL``
chunk, or ``FIRST``, any number of ``MIDDLE`` and ``LAST``. Less than 7 bytes left in a block are padding.
"""

import struct
import zlib
from dataclasses import dataclass, field

HEADER = b":W&B" + struct.pack("<HB", 0xBEE1, 0)
BLOCK = 32 * 1024
_CHUNK = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


@dataclass(frozen=True)
class Gap:
    """A damaged part that was skipped: ``size`` bytes from byte ``start`` of the file."""

    start: int
    size: int


@dataclass
class Framing:
    """The records of a file, in order, and the parts that could not be read.

    Attributes:
        records: payload of every complete record.
        gaps: damaged parts; the records in them are lost.
        truncated: bytes of an unfinished record at the end of the file; normal while a run is active or after a kill.
    """

    records: list[bytes] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    truncated: int = 0


def split_records(data: bytes) -> Framing:
    """Split the bytes of a ``.wandb`` file into records; never fails, whatever the bytes are.

    After damage it continues at the next block, as LevelDB does, because the length of a damaged chunk is unreliable.
    A wrong header counts as damage. A file that ends inside its header holds nothing yet.
    """
    framing = Framing()
    if not data.startswith(HEADER):
        if HEADER.startswith(data):
            framing.truncated = len(data)
            return framing
        _add_gap(framing, 0, len(HEADER))
    position = len(HEADER)
    parts: list[bytes] = []  # of the record that was begun
    begun = position
    while position < len(data):
        block_end = (position // BLOCK + 1) * BLOCK
        if block_end - position < _CHUNK.size:
            position = block_end
            continue
        chunk = _read_chunk(data, position, block_end)
        if chunk is None:
            framing.truncated = len(data) - (begun if parts else position)
            return framing
        kind, payload = chunk
        end = position + _CHUNK.size + len(payload) if kind else min(block_end, len(data))
        if parts and kind not in (_MIDDLE, _LAST):  # the begun record was never ended
            _add_gap(framing, begun, position - begun)
            parts = []
        if kind in (_FULL, _FIRST):
            parts, begun = [payload], position
        elif kind and parts:
            parts.append(payload)
        else:  # damaged, or a continuation whose beginning was lost
            _add_gap(framing, position, end - position)
        if kind in (_FULL, _LAST) and parts:
            framing.records.append(b"".join(parts))
            parts = []
        position = end
    if parts:
        framing.truncated = len(data) - begun
    return framing


def _read_chunk(data: bytes, position: int, block_end: int) -> tuple[int, bytes] | None:
    """Type and data of the chunk at ``position``; type 0 if it is damaged, None if the file ends inside it."""
    if position + _CHUNK.size > len(data):
        return None
    crc, length, kind = _CHUNK.unpack_from(data, position)
    end = position + _CHUNK.size + length
    if not _FULL <= kind <= _LAST or end > block_end:
        return 0, b""
    if end > len(data):
        return None
    if zlib.crc32(data[position + 6 : end]) != crc:  # byte 6 of the chunk is its type
        return 0, b""
    return kind, data[position + _CHUNK.size : end]


def _add_gap(framing: Framing, start: int, size: int) -> None:
    """Record a gap, merged with the previous gap if the two are adjacent."""
    if framing.gaps and framing.gaps[-1].start + framing.gaps[-1].size == start:
        last = framing.gaps.pop()
        start, size = last.start, last.size + size
    framing.gaps.append(Gap(start, size))
