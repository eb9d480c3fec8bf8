"""How every figure gets its caption and reaches the disk."""

import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analysis import style

#: Inches of a caption's line, and characters in an inch of it.
_LINE, _CHARACTERS = 0.12, 19.0
#: Widths in inches: a column and a page of most papers.
COLUMN, PAGE = 3.3, 6.9


def blank(width: float, height: float, caption: str) -> tuple[Figure, float]:
    """An empty figure with its caption below, and the share of its height that the caption takes.

    Args:
        width, height: in inches, without the caption.
        caption: what a reader has to know; "" leaves the room to the figure.
    """
    lines = textwrap.wrap(caption, int(_CHARACTERS * (width - 0.2)))
    below = _LINE * len(lines) + 0.12 * bool(lines)
    figure = Figure(figsize=(width, height + below))
    FigureCanvasAgg(figure)
    share = below / (height + below)
    figure.text(0.1 / width, share, "\n".join(lines), fontsize=style.SMALLEST, va="top", color=style.FAINT)
    return figure, share


def save(stem: Path, draw: Callable[[str], Figure], caption: str, below: bool = True) -> list[Path]:
    """Write a figure as PDF and PNG.

    Args:
        stem: of the files' names; their folder is made if need be.
        draw: draws it with this caption below.
        caption: what a reader has to know.
        below: whether it stands below the figure, or in a text file beside it.
    """
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = [Path(f"{stem}.{suffix}") for suffix in ("pdf", "png")]
    with mpl.rc_context(style.RC):
        figure = draw(caption if below else "")
        figure.savefig(paths[0], metadata={"CreationDate": None})  # the same runs give the same bytes
        figure.savefig(paths[1], dpi=style.PNG_DPI)
    if not below:
        paths.append(Path(f"{stem}.txt"))
        paths[-1].write_text(caption + "\n")
    return paths


def save_tables(tables: Mapping[Path, pd.DataFrame], **how: str) -> list[Path]:
    """Write the numbers behind a figure as CSV."""
    for path, table in tables.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(path, index=False, **how)  # type: ignore[call-overload]
    return list(tables)
