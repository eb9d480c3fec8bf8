"""Write tables, texts and their captions to files."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from macpf.records.files import write_atomically


def save(files: Mapping[Path, pd.DataFrame | str], float_format: str | None = None) -> list[Path]:
    """Write tables as CSV and texts as they are; missing folders are created."""
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else content.to_csv(index=False, float_format=float_format)
        write_atomically(path, text.encode())
    return list(files)


def with_caption(table: str, caption: str) -> str:
    """A table in Markdown with its caption below."""
    return f"{table}\n\n{caption}\n"
