"""Write tables, texts and their captions to files."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from analysis import AnalysisError
from macpf.records.files import write_atomically


class NotWritten(AnalysisError):
    """A file cannot be written where it should be; the message does not say yet what to type instead."""


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Create the folder of a file that is written in this context.

    Raises:
        NotWritten: the folder or the file cannot be written.
    """
    place = path.parent
    try:
        place.mkdir(parents=True, exist_ok=True)
        place = path
        if path.is_dir():
            raise NotWritten(f"cannot write {path}: it is a folder")
        yield
    except OSError as error:
        raise NotWritten(f"cannot write {place}: {error.strerror or error}") from error


def save(files: Mapping[Path, pd.DataFrame | str], float_format: str | None = None) -> list[Path]:
    """Write tables as CSV and texts as they are; missing folders are created.

    Raises:
        NotWritten: a file cannot be written.
    """
    for path, content in files.items():
        text = content if isinstance(content, str) else content.to_csv(index=False, float_format=float_format)
        with writing(path):
            write_atomically(path, text.encode())
    return list(files)


def with_caption(table: str, caption: str) -> str:
    """A table in Markdown with its caption below."""
    return f"{table}\n\n{caption}\n"
