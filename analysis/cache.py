"""Keep what was read, so that a figure does not decode hundreds of unchanged logs again.

One file per segment: a checksum, then an Arrow table with everything else about the segment as JSON in its metadata.
The file is named after the segment and holds the fingerprint of what was read, so a log that changed replaces its old
entry. An entry that is not what was written is no entry.
"""

import hashlib
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa

from analysis.sources import Reference, Segment
from macpf.records.framing import Gap

#: Raise it whenever reading gives something else for the same bytes.
LOADER_VERSION = 5
_KEY, _SEGMENT = b"analysis.key", b"analysis.segment"
#: Random digits, as values are, take zstd ten times as long to unpack and no less room.
_WRITE, _READ = pa.ipc.IpcWriteOptions(compression="lz4"), pa.ipc.IpcReadOptions(use_threads=False)
#: Bytes of a checksum.
_DIGEST = 16


def read_through(reference: Reference, directory: Path | None) -> Segment:
    """The segment, from the cache if it is there unchanged, else read and kept for the next time."""
    if directory is None or reference.fingerprint is None:
        return reference.read()
    path = directory / f"{hashlib.sha256(os.fsencode(reference.name)).hexdigest()[:24]}.arrow"
    key = os.fsencode(f"{LOADER_VERSION} {reference.fingerprint} {reference.name}")
    segment = _load(path, key)
    if segment is None:
        segment = reference.read()
        if not segment.trouble:  # which may be over without a trace in the fingerprint
            _store(path, key, segment)
    return segment


def _load(path: Path, key: bytes) -> Segment | None:
    """The kept segment, None if there is none of that key; an unreadable entry is no entry."""
    try:
        content = path.read_bytes()
        payload = content[_DIGEST:]
        if content[:_DIGEST] != _checksum(payload):
            return None
        table = pa.ipc.open_file(pa.py_buffer(payload), options=_READ).read_all()
        metadata = table.schema.metadata
        if metadata[_KEY] != key:
            return None
        fields = json.loads(metadata[_SEGMENT])
    except (OSError, KeyError, TypeError, ValueError):  # pyarrow's own errors are ValueErrors
        return None
    fields["gaps"] = tuple(Gap(**gap) for gap in fields["gaps"])
    return Segment(values=table.replace_schema_metadata(None), **fields)


def _store(path: Path, key: bytes, segment: Segment) -> None:
    fields = {name: value for name, value in vars(segment).items() if name != "values"}
    fields["gaps"] = [asdict(gap) for gap in segment.gaps]
    table = segment.values.replace_schema_metadata({_KEY: key, _SEGMENT: json.dumps(fields)})
    buffer = pa.BufferOutputStream()
    with pa.ipc.new_file(buffer, table.schema, options=_WRITE) as writer:
        writer.write_table(table)
    payload = buffer.getvalue().to_pybytes()
    temporary = None
    try:
        path.parent.mkdir(exist_ok=True, parents=True)
        # Written beside its place and renamed: two analyses at once never see half an entry.
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            file.write(_checksum(payload) + payload)
        os.replace(temporary, path)
    except OSError:  # a folder of runs that may not be written to: slower, and right all the same
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _checksum(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=_DIGEST).digest()
