"""Writing files so that a power cut at any moment leaves the old content or the new, and reading typed JSON back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

Record = TypeVar("Record", bound="BaseModel")


class Damaged(Exception):
    """A file that is not what it should be: one line that names it, says what is wrong and what to do."""


def write_atomically(path: Path, content: bytes, keep_previous: bool = False) -> None:
    """Write a file so that a crash at any moment leaves the old content or the new, on the disk and not in a cache.

    With `keep_previous` the old content stays as ``<stem>.previous<suffix>``.
    """
    new = path.with_name(f"{path.name}.new")
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if keep_previous and path.exists():
        os.replace(path, previous(path))
    os.replace(new, path)
    sync_folder(path.parent)


def previous(path: Path) -> Path:
    """Where `write_atomically` keeps the previous content."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_record(path: Path, type_: type[Record], remedy: str) -> Record:
    """A JSON file as a record of this type.

    Args:
        path: of the file.
        type_: what it should hold.
        remedy: what to do about a bad one, which ends the line.

    Raises:
        FileNotFoundError: there is none.
        Damaged: it cannot be read, is no JSON, or its values are not of the record's types.
    """
    from pydantic import ValidationError  # slow to load, and whoever writes files needs none of it

    try:
        return type_.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise
    except ValidationError as error:
        raise Damaged(f"{path} is damaged ({complaint(error)}); {remedy}") from error
    except OSError as error:
        raise Damaged(f"{path} cannot be read ({error.strerror}); {remedy}") from error


def complaint(error: ValidationError) -> str:
    """The first of pydantic's complaints, e.g. ``env_step: input should be a valid integer``."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    message = first["msg"][0].lower() + first["msg"][1:]
    return f"{where}: {message}" if where else message
