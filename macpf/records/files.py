"""Write files so that a power cut at any moment leaves either the old or the new content; read typed JSON files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

Record = TypeVar("Record", bound="BaseModel")


class Damaged(Exception):
    """A file is not as it was written; the message is one line that names it, the problem and the remedy."""


def write_atomically(path: Path, content: bytes, keep_previous: bool = False) -> None:
    """Write a file so that a crash at any moment leaves the old or the new content, and wait until it is on the disk.

    With `keep_previous` the old content is kept as ``<stem>.previous<suffix>``.
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
    """The path at which `write_atomically` keeps the previous content."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def sync_folder(folder: Path) -> None:
    """Write the entries of a folder to the disk, so that new and renamed files survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_record(path: Path, type_: type[Record], remedy: str) -> Record:
    """Read a JSON file as a record.

    Args:
        path: path of the file.
        type_: type of the record.
        remedy: what to do about a damaged file; it ends the error message.

    Raises:
        FileNotFoundError: there is no such file.
        Damaged: it cannot be read, is not JSON, or its values are not of the record's types.
    """
    from pydantic import ValidationError  # slow to load, and only needed for reading

    try:
        return type_.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise
    except ValidationError as error:
        raise Damaged(f"{path} is damaged ({complaint(error)}); {remedy}") from error
    except OSError as error:
        raise Damaged(f"{path} cannot be read ({error.strerror}); {remedy}") from error


def complaint(error: ValidationError) -> str:
    """The first error that pydantic found, e.g. ``env_step: input should be a valid integer``."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    message = first["msg"][0].lower() + first["msg"][1:]
    return f"{where}: {message}" if where else message
