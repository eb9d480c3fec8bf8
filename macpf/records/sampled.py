"""The trajectories sampled from the final policy, as one table of the W&B log instead of hundreds of one-point metrics.

The ledger of a run, and the readers of a log, have each number under its name,
``sampled/<episode>/<env step>/<number>``. Only W&B receives them as a table, one line for each env step. Older logs
have the numbers in their rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from macpf import names

#: Under which a row holds the table, and how the names of its numbers begin.
KEY = "sampled"
_EPISODE, _ENV_STEP = "episode", "env step"


def packed(values: Mapping[str, float]) -> tuple[dict[str, float], dict[str, Any] | None]:
    """A row of results without its sampled numbers, and these as ``columns`` and ``data`` (None if there are none)."""
    plain, lines = {}, dict[tuple[int, int], dict[str, float]]()
    for name, value in values.items():
        if name.startswith(f"{KEY}/"):
            _, episode, step, number = name.split("/", 3)
            lines.setdefault((int(episode), int(step)), {})[number] = value
        else:
            plain[name] = value
    if not lines:
        return plain, None
    numbers = list(dict.fromkeys(number for line in lines.values() for number in line))
    data = [[*place, *(line.get(number) for number in numbers)] for place, line in lines.items()]
    return plain, {"columns": [_EPISODE, _ENV_STEP, *numbers], "data": data}


def unpacked(table: Mapping[str, Any]) -> dict[str, float]:
    """The sampled numbers by their names.

    Raises:
        KeyError, TypeError, ValueError: it is not such a table.
    """
    columns = table["columns"]
    if columns[:2] != [_EPISODE, _ENV_STEP]:
        raise ValueError(f"its columns are {columns}")
    return {
        names.sampled(episode, step, number): float(value)
        for episode, step, *line in table["data"]
        for number, value in zip(columns[2:], line, strict=True)
        if value is not None
    }


def table_in(row: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The reference to a table in a logged row: ``path`` below W&B's folder of files, ``sha256``, ``size``; or None."""
    said = row.get(KEY)
    if not isinstance(said, Mapping):
        prefix = f"{KEY}."  # as readers of files join nested keys
        said = {key.removeprefix(prefix): value for key, value in row.items() if key.startswith(prefix)}
    return said if said.get("_type") == "table-file" else None


def with_table(row: Mapping[str, Any], content: bytes) -> dict[str, Any]:
    """A logged row with the numbers of its table in place of the reference to it.

    Raises:
        ValueError: the content differs from what was logged.
    """
    said = table_in(row)
    if said is None or hashlib.sha256(content).hexdigest() != said.get("sha256"):
        raise ValueError("the table is not the one that was logged")
    try:
        values = unpacked(json.loads(content))
    except (KeyError, TypeError) as error:
        raise ValueError(f"it is no table of samples ({error})") from error
    return {key: value for key, value in row.items() if key != KEY and not key.startswith(f"{KEY}.")} | values


def path_of(log: Path, said: Mapping[str, Any]) -> Path:
    """The path of the table of a log on this disk.

    Raises:
        ValueError: the log names a path outside its own folder.
    """
    path = Path(str(said.get("path")))
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{path} is no file of {log}")
    return log.parent / "files" / path
