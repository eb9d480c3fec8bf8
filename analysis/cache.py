"""A cache of decoded logs, so that a figure does not decode hundreds of unchanged logs again.

There is one file per segment: a checksum, then an Arrow table of the values, whose metadata holds everything else about
the segment as JSON. The file is named after the segment and stores the fingerprint of what was read, so the entry of a
changed log is replaced. A damaged entry is ignored.
"""

import contextlib
import hashlib
import json
import os
from pathlib import Path

import pyarrow as pa

from analysis.sources import Reference, Segment

#: Increase it whenever reading the same bytes gives another result.
LOADER_VERSION = 6
_KEY, _SEGMENT = b"analysis.key", b"analysis.segment"
#: Values look like random digits, for which zstd takes ten times as long to unpack as lz4 and saves no space.
_WRITE, _READ = pa.ipc.IpcWriteOptions(compression="lz4"), pa.ipc.IpcReadOptions(use_threads=False)
#: Bytes of a checksum.
_DIGEST = 16


def read_through(reference: Reference, directory: Path | None) -> Segment:
    """The segment: from the cache if it has not changed, else read and cached."""
    if directory is None or reference.fingerprint is None:
        return reference.read()
    path = directory / f"{hashlib.sha256(os.fsencode(reference.name)).hexdigest()[:24]}.arrow"
    key = os.fsencode(f"{LOADER_VERSION} {reference.fingerprint} {reference.name}")
    segment = _load(path, key)
    if segment is None:
        segment = reference.read()
        if not segment.trouble:  # it may pass without changing the fingerprint
            _store(path, key, segment)
    return segment


def _load(path: Path, key: bytes) -> Segment | None:
    """The cached segment; None if there is no readable entry with this key."""
    try:
        content = path.read_bytes()
        payload = content[_DIGEST:]
        if content[:_DIGEST] != _checksum(payload):
            return None
        table = pa.ipc.open_file(pa.py_buffer(payload), options=_READ).read_all()
        metadata = table.schema.metadata
        if metadata[_KEY] != key:
            return None
        return Segment(values=table.replace_schema_metadata(None), **json.loads(metadata[_SEGMENT]))
    except (OSError, KeyError, TypeError, ValueError):  # pyarrow's own errors are ValueErrors
        return None


def _store(path: Path, key: bytes, segment: Segment) -> None:
    fields = {name: value for name, value in vars(segment).items() if name != "values"}
    table = segment.values.replace_schema_metadata({_KEY: key, _SEGMENT: json.dumps(fields)})
    buffer = pa.BufferOutputStream()
    with pa.ipc.new_file(buffer, table.schema, options=_WRITE) as writer:
        writer.write_table(table)
    payload = buffer.getvalue().to_pybytes()
    with contextlib.suppress(OSError):  # the folder of runs is read-only: slower, but with the same result
        path.parent.mkdir(exist_ok=True, parents=True)
        # Written elsewhere and moved, so that a parallel analysis never sees half an entry.
        new = path.with_suffix(f".{os.getpid()}.tmp")
        try:
            new.write_bytes(_checksum(payload) + payload)
            os.replace(new, path)
        finally:
            new.unlink(missing_ok=True)


def _checksum(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=_DIGEST).digest()
