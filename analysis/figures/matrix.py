"""A small matrix as a table whose cells are shaded by their values."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from analysis import style


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
        axes: empty.
        values: [rows, columns]; NaN cells stay white.
        cmap, norm: from value to shade.
        text: what to write into a cell.
        emphasised: [rows, columns], the cells to set in bold and to frame.
    """
    rows, columns = values.shape
    axes.imshow(values, cmap=cmap, norm=norm, aspect="equal")
    axes.set_anchor("N")  # matrices with few rows hang below their titles
    longest = max(len(text(value)) for value in values.flat)
    wide = axes.bbox.width / axes.figure.dpi * 72 / max(rows, columns)  # points of a cell
    size = float(np.clip(0.75 * wide / (0.7 * longest), style.SMALLEST, 11))  # a digit in bold is 0.7 of it wide
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
