"""Read one ``run-<id>.wandb`` file, all that an offline run leaves behind, without importing wandb.

wandb 0.31 has no Python API for this. A record is a protobuf message ``Record`` of ``wandb_internal.proto``
(github.com/wandb/wandb). Only field numbers are needed; they are part of the format and never change meaning. Decoding
them here avoids importing wandb in every command. ``tests/analysis/test_wandb_file.py`` compares this reader with
wandb's own.
"""

import hashlib
import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from macpf.records.framing import Gap, split_records
from macpf.records.sampled import path_of, table_in, with_table

# Field numbers of Record.
_HISTORY, _SUMMARY, _CONFIG, _RUN, _EXIT, _PREEMPTING = 2, 3, 5, 17, 18, 23
# Field numbers of RunRecord.
_RUN_ID, _RUN_CONFIG, _RUN_START_TIME = 1, 4, 17
# Items of history, config and summary share these. Config and summary may also remove a key.
_UPDATE, _REMOVE = 1, 2
_KEY, _NESTED_KEY, _VALUE_JSON = 1, 2, 16
# The typed value that a history item may hold besides, or instead of, its JSON.
_NONE, _BOOLEAN, _INTEGER, _NUMBER, _TEXT, _JSON = 3, 4, 5, 6, 7, 8


@dataclass
class WandbFile:
    """What one attempt at a run wrote.

    Attributes:
        run_id: empty if the file holds no run record yet.
        start_time: of the attempt, seconds since 1970; 0 if unknown.
        config: the final configuration; nested mappings stay nested.
        rows: one mapping per ``run.log``, nested keys joined by ``.``; non-finite numbers are floats.
        summaries: the changes of the summary, as W&B writes them; see ``summary`` and ``final``.
        exit_code: None if the attempt left none, because it is active or was killed.
        preempting: whether the attempt announced that it was being preempted.
        gaps: damaged parts that were skipped; a lost or damaged table counts as one, after the end of the file.
        truncated: bytes of an unfinished record at the end.
        digest: checksum of the file's content.
        tables: the files of the rows' tables (`macpf.records.sampled`), each with its checksum.
    """

    run_id: str = ""
    start_time: float = 0.0
    config: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    summaries: list[bytes] = field(default_factory=list)
    exit_code: int | None = None
    preempting: bool = False
    gaps: list[Gap] = field(default_factory=list)
    truncated: int = 0
    digest: str = ""
    tables: dict[Path, str] = field(default_factory=dict)

    @property
    def summary(self) -> dict[str, Any]:
        """Final value per key, nested keys joined by ``.``."""
        return _summary(self.summaries)

    def final(self, key: str) -> Any:
        """The summary's value of one key, or None. Every row changes the summary, so other keys are not decoded."""
        return _summary(message for message in self.summaries if key.encode() in message).get(key)


def read_wandb_file(path: Path) -> WandbFile:
    """Read a ``.wandb`` file, which may be damaged, unfinished or still growing.

    Raises:
        OSError: the file cannot be read.
        ValueError: a record with a valid checksum is not the expected protobuf, so W&B has a new format.
    """
    content = path.read_bytes()
    framing = split_records(content)
    result = WandbFile(gaps=framing.gaps, truncated=framing.truncated, digest=digest_of(content))
    for record in framing.records:
        for number, value in _fields(record):
            if number == _HISTORY:
                result.rows.append({".".join(keys): item for _, keys, item in _items(value, (_UPDATE,))})
            elif number == _SUMMARY:
                result.summaries.append(value)
            elif number == _CONFIG:
                _update_config(result.config, value)
            elif number == _RUN:
                _read_run(result, value)
            elif number == _EXIT:
                # A protobuf leaves zeros out: no exit code in the record is exit code 0.
                result.exit_code = _signed(dict(_fields(value)).get(1, 0))
            elif number == _PREEMPTING:
                result.preempting = True
    result.rows = [_with_table(result, path, row) for row in result.rows]
    return result


def digest_of(content: bytes) -> str:
    """The checksum by which a run's ledger identifies its logs."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _with_table(result: WandbFile, path: Path, row: dict[str, Any]) -> dict[str, Any]:
    said = table_in(row)
    if said is None:
        return row
    try:
        place = path_of(path, said)
        content = place.read_bytes()
        whole = with_table(row, content)
    except (OSError, ValueError):
        result.gaps.append(Gap(path.stat().st_size, int(said.get("size") or 0)))
        return row
    result.tables[place] = digest_of(content)
    return whole


def _read_run(result: WandbFile, message: bytes) -> None:
    for number, value in _fields(message):
        if number == _RUN_ID:
            result.run_id = value.decode()
        elif number == _RUN_CONFIG:
            _update_config(result.config, value)
        elif number == _RUN_START_TIME:
            stamp = dict(_fields(value))
            result.start_time = stamp.get(1, 0) + stamp.get(2, 0) * 1e-9


def _update_config(config: dict[str, Any], message: bytes) -> None:
    for kind, keys, value in _items(message, (_UPDATE, _REMOVE)):
        if keys[0] == "_wandb":  # W&B's notes to itself
            continue
        inner = config
        for key in keys[:-1]:
            inner = inner.setdefault(key, {})
        if kind == _REMOVE:
            inner.pop(keys[-1], None)
        else:
            inner[keys[-1]] = value


def _summary(messages: Iterable[bytes]) -> dict[str, Any]:
    """The values that remain after all changes; only these are parsed."""
    texts: dict[str, bytes | None] = {}
    for message in messages:
        for kind, item in _fields(message):
            if kind in (_UPDATE, _REMOVE):
                keys, text, _ = _split_item(item)
                texts[".".join(keys)] = text
                if kind == _REMOVE:
                    del texts[".".join(keys)]
    return {key: _parse(text) for key, text in texts.items()}


def _items(message: bytes, kinds: tuple[int, ...]) -> Iterator[tuple[int, list[str], Any]]:
    """(kind, key path, parsed value) of every item of the given kinds.

    The kinds are an argument because a history record has its step number where the others have removed items.
    """
    for kind, item in _fields(message):
        if kind in kinds:
            keys, text, typed = _split_item(item)
            yield kind, keys, typed if text is None else _parse(text)


def _split_item(item: bytes) -> tuple[list[str], bytes | None, Any]:
    """Key path, JSON text and typed value; W&B writes ``nested_key`` even for flat names."""
    keys: list[str] = []
    text = None
    typed = None
    for number, value in _fields(item):
        if number == _VALUE_JSON:
            text = value
        elif number in (_KEY, _NESTED_KEY):
            keys.append(value.decode())
        elif number != _NONE:
            typed = _typed_value(number, value)
    return keys, text, typed


def _typed_value(number: int, value: Any) -> Any:
    if number == _BOOLEAN:
        return bool(value)
    if number == _INTEGER:
        return (value >> 1) ^ -(value & 1)  # zigzag
    if number == _NUMBER:
        return struct.unpack("<d", value)[0]
    if number == _TEXT:
        return value.decode()
    if number == _JSON:
        return json.loads(value)
    raise ValueError(f"a W&B history item has an unknown field {number}: a newer format than this reader knows")


def _parse(text: bytes | None) -> Any:
    """A JSON value; Python's reader takes W&B's bare NaN, Infinity and -Infinity."""
    return json.loads(text.decode()) if text else None  # decoded first, so that json need not guess the encoding


def _signed(value: int) -> int:
    """A protobuf int32 or int64, which is written as 64 bits."""
    return value - (1 << 64) if value >= 1 << 63 else value


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """(field number, value) of a protobuf message; the value is an int for varints, else the raw bytes.

    Source: protobuf.dev/programming-guides/encoding.
    """
    position, size = 0, len(message)
    while position < size:
        tag, position = _varint(message, position)
        wire_type = tag & 7
        if wire_type == 0:
            value, position = _varint(message, position)
            yield tag >> 3, value
            continue
        if wire_type == 2:
            length, position = _varint(message, position)
        elif wire_type == 1:
            length = 8
        elif wire_type == 5:
            length = 4
        else:
            raise ValueError(f"a W&B record has wire type {wire_type}: not the protobuf this reader knows")
        yield tag >> 3, message[position : position + length]
        position += length


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """The integer at ``position``, seven bits a byte, lowest first, and where it ends."""
    byte = message[position]
    position += 1
    if byte < 128:
        return byte, position
    result, shift = byte & 127, 7
    while True:
        byte = message[position]
        position += 1
        result |= (byte & 127) << shift
        if byte < 128:
            return result, position
        shift += 7
