"""Captions, files and matrices, for all figures."""

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from analysis import style
from analysis.saving import save, writing

#: Height of a caption's line in inches, and characters per inch of its length.
_LINE, _CHARACTERS = 0.12, 19.0
#: Widths in inches of a letter and of the line before it in a legend.
_CHARACTER, _HANDLE = 0.062, 0.45
#: Widths in inches: a column and a page of most papers.
COLUMN, PAGE = 3.3, 6.9


def blank(width: float, height: float, caption: str) -> tuple[Figure, float]:
    """An empty figure (inches, without the caption), its caption below, and the share of its height that this takes."""
    lines = textwrap.wrap(caption, int(_CHARACTERS * (width - 0.2)))
    below = _LINE * len(lines) + 0.12 * bool(lines)
    figure = Figure(figsize=(width, height + below))
    FigureCanvasAgg(figure)
    share = below / (height + below)
    figure.text(0.1 / width, share, "\n".join(lines), fontsize=style.SMALLEST, va="top", color=style.FAINT)
    return figure, share


def save_figure(stem: Path, draw: Callable[[str], Figure], caption: str, below: bool = True) -> list[Path]:
    """Write a figure as PDF and PNG, with its caption `below` or in a text file beside it.

    `stem` is the path of the files without suffix; `draw` draws the figure with the given caption below.
    """
    paths = [Path(f"{stem}.{suffix}") for suffix in ("pdf", "png")]
    with mpl.rc_context(style.RC):
        figure = draw(caption if below else "")
        with writing(paths[0]):
            figure.savefig(paths[0], metadata={"CreationDate": None})  # the same runs give the same bytes
        with writing(paths[1]):
            figure.savefig(paths[1], dpi=style.PNG_DPI)
    return paths if below else [*paths, *save({Path(f"{stem}.txt"): f"{caption}\n"})]


def legend(lines: Sequence[Artist], labels: Sequence[str], width: float) -> tuple[float, dict[str, Any]]:
    """The height in inches of a legend above panels of this width (inches), and what draws it: ``figure.legend(**it)``.

    It has as many columns as fit; labels longer than the page are broken.
    """
    broken = [textwrap.fill(label, int((width - _HANDLE) / _CHARACTER)) for label in labels]
    longest = max(len(line) for label in broken for line in label.split("\n"))
    columns = max(1, min(len(labels), int(width / max(1.3, _HANDLE + _CHARACTER * longest))))
    rows, deep = -(-len(labels) // columns), max(label.count("\n") for label in broken)
    drawn = {"handles": lines, "labels": broken, "loc": "upper center", "ncols": columns, "frameon": False}
    return rows * (0.17 + 0.155 * deep) + 0.08, drawn


def draw_matrix(
    axes: Axes,
    values: NDArray[np.float64],
    cmap: Colormap,
    norm: Normalize,
    text: Callable[[float], str],
    emphasised: NDArray[np.bool_],
) -> None:
    """Draw a table with the actions of agent 1 along the top and those of agent 0 down the side.

    Args:
        axes: empty axes.
        values: [rows, columns]; NaN cells stay white.
        cmap, norm: from value to colour.
        text: from value to the text of its cell.
        emphasised: [rows, columns], the cells that get bold text and a frame.
    """
    rows, columns = values.shape
    axes.imshow(values, cmap=cmap, norm=norm, aspect="equal")
    axes.set_anchor("N")  # matrices with few rows hang below their titles
    longest = max(len(text(value)) for value in values.flat)
    wide = axes.bbox.width / axes.figure.dpi * 72 / max(rows, columns)  # width of a cell in points
    size = float(np.clip(0.75 * wide / (0.7 * longest), style.SMALLEST, 11))  # a bold digit's width is 0.7 of it
    for (i, j), value in np.ndenumerate(values):
        red, green, blue, _ = cmap(norm(value)) if np.isfinite(value) else (1.0, 1.0, 1.0, 1.0)
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55  # perceived brightness, ITU-R BT.601
        axes.text(
            *(j, i, text(value)),
            ha="center",
            va="center",
            fontsize=size,
            fontweight="bold" if emphasised[i, j] else "normal",
            color="white" if dark else style.INK,
        )
    axes.set_xticks(np.arange(columns + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    for i, j in np.argwhere(emphasised):
        frame = Rectangle((j - 0.46, i - 0.46), 0.92, 0.92, fill=False, edgecolor=style.INK, linewidth=1.4, zorder=3)
        axes.add_patch(frame)
    axes.tick_params(which="both", length=0)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_xticks(range(columns), [str(j + 1) for j in range(columns)])
    axes.set_yticks(range(rows), [str(i + 1) for i in range(rows)])
    axes.set_xlabel("action of agent 2", labelpad=4)
    axes.set_ylabel("action of agent 1", labelpad=2)
    axes.spines[:].set_visible(False)
