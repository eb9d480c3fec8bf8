"""Names, colours and order of methods, the same in every figure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import cycle
from typing import Any

from macpf import names
from macpf.choices import read
from macpf.extensions import find

#: matplotlib's settings for every figure; font type 42 keeps text as text in the PDF.
RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 8,
    "legend.handlelength": 2.4,
    "legend.columnspacing": 1.4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#4d4d4d",
    "axes.linewidth": 0.8,
    "xtick.color": "#4d4d4d",
    "ytick.color": "#4d4d4d",
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "pdf.fonttype": 42,
}
PNG_DPI = 220
#: Size in points of the smallest text, as printed: figures are as wide as a column or a page.
SMALLEST = 7.0
#: The family of algorithms that have a dependent policy.
MACPF = "macpf"
INK, FAINT = "#1a1a1a", "#6b6b6b"


@dataclass(frozen=True)
class Line:
    """How a method is drawn; line styles differ too, for print without colour."""

    color: str
    style: Any
    width: float = 1.5


# Okabe and Ito's palette (jfly.uni-koeln.de/color), which stays apart for every kind of colour blindness; their
# orange is a little lighter here, as it lies on the red where MACPF's two policies do equally well.
_LINES = {
    "MACPF": Line("#D55E00", "-", 2.8),
    "MACPF_DEP": Line("#F0B83B", (0, (3, 2)), 1.7),
    "MACPF_CONTROL": Line("#5D3A9B", (0, (3, 1.2))),
    "MACPF_NONLINEAR": Line("#332288", (0, (5, 1.5, 1, 1.5))),
    "MACPF_ATT": Line("#117733", (0, (1, 1.2)), 1.8),
    "QMIX": Line("#0072B2", "-"),
    "QPLEX": Line("#56B4E9", (0, (5, 1.5, 1, 1.5))),
    "QTRAN": Line("#009E73", (0, (1, 1.2)), 1.8),
    "FOP": Line("#CC79A7", (0, (3, 1.2))),
    "MAPPO": Line("#595959", (0, (6, 1.5, 1, 1.5, 1, 1.5))),
}
#: For all others: Paul Tol's "muted" colours that are far from the paper's methods'.
_SPARE = [
    Line(colour, dash)
    for dash in ((0, (4, 1.5)), "-", (0, (1, 1.2)))
    for colour in ("#882255", "#8C6D31", "#999933", "#44AA99", "#AA4499")
]


@cache
def label(algo: str, policy: str = names.INDEPENDENT) -> str:
    """The name of a method from its file in conf/, e.g. ``MACPF_DEP (tempered)``; else the algorithm's in capitals."""
    algo, _, settings = algo.partition("|")  # see `analysis.differences`
    if settings:
        return f"{label(algo, policy)} ({settings})"
    path = find("algo", algo)
    labels = (read(path).get("labels") or {}) if path else {}
    independent = str(labels.get(names.INDEPENDENT) or algo.upper())
    other = independent if policy == names.INDEPENDENT else f"{independent}_DEP"
    return str(labels.get(policy) or other)


def _base(text: str) -> str:
    """A label without its variant, which is ordered next to what it varies."""
    return text.partition(" (")[0]


def order(labels: Iterable[str]) -> list[str]:
    """Labels in the order of the paper; unknown ones come last, by name."""
    return sorted(labels, key=rank)


def in_order(algos: Iterable[str]) -> tuple[str, ...]:
    """Algorithms, each once, in the order of their labels."""
    return tuple(sorted(set(algos), key=lambda algo: (rank(label(algo)), algo)))


def rank(text: str) -> tuple[int, str]:
    """The key by which `order` sorts."""
    return place(_base(text), list(_LINES))[0], text


def place(name: str, known: Sequence[str]) -> tuple[int, str]:
    """The key for a given order in which others come last, by name."""
    return known.index(name) if name in known else len(known), name


def depth(text: str) -> tuple[bool, int]:
    """The key for the order of drawing, lowest first: the baselines, then MACPF's, each in the order of the paper."""
    return _base(text).startswith("MACPF"), rank(text)[0]


def lines(labels: Iterable[str]) -> dict[str, Line]:
    """A line for each label, no two alike as long as spare ones last. Those of the paper's methods never change.

    A variant looks like the method that it varies if that one is not drawn. All others get spare lines in the order of
    their names.
    """
    found: dict[str, Line] = {}
    spare = cycle(_SPARE)
    for text in order(labels):
        line = _LINES.get(_base(text))
        found[text] = line if line and line not in found.values() else next(spare)
    return found
