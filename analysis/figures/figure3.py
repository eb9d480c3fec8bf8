"""Figure 3 of the paper: MACPF's modules and how they are joined, with the sizes they had in a run."""

from functools import partial
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from analysis import AnalysisError, style
from analysis.figures.drawing import blank, save_figure
from analysis.run_facts import parameters
from analysis.runs import Runs
from macpf import names

#: A network's modules by their paths in it: text, and left and bottom in the unit square of its panel.
_MODULES = {
    "trunk.input": ("Linear, ReLU", 0.30, 0.16),
    "trunk.gru": ("GRU", 0.30, 0.36),
    "independent": ("linear head", 0.12, 0.60),
    "embedding": ("Linear, ELU", 0.74, 0.36),
    "correction": ("linear head", 0.56, 0.60),
}
_WIDTH, _HEIGHT = 0.24, 0.105
_ACTOR = ("independent local policy  $\\pi_i^{ind}$", "dependency policy correction  $b_i^{dep}$")
_CRITIC = ("independent local critic  $Q_i^{ind}$", "dependency critic correction  $c_i^{dep}$")


def write_figure3(runs: Runs, out: Path, macpf: str, below: bool = True) -> list[Path]:
    """Write Figure 3 as PDF and PNG, with the parameter counts of the first run of `macpf` that logged them.

    Raises:
        AnalysisError: no run of it has logged its parameter counts.
    """
    for run in sorted(set(runs.configs) - set(runs.left_out)):
        config = runs.configs[run]
        counts = parameters(config)
        if config.get(names.ALGO) == macpf and counts:
            break
    else:
        raise AnalysisError(f"no run of {macpf} says its parameter counts; type: python run.py algo={macpf}")
    caption = (
        f"Parameters on {config[names.ENV]}, map {config[names.MAP]}: {sum(counts.values()):,} in all; one policy and "
        "one critic network for all agents. Dashed: no gradient goes back. The sum of both heads is the dependent "
        "policy's logits (eq. 10) or value (13)."
    )
    return save_figure(out / "figure3", partial(draw, counts), caption, below)


def draw(counts: dict[str, int], caption: str) -> Figure:
    """Actor, critic and mixer; counts by the module's path in the algorithm."""
    figure, below = blank(9.2, 4.3, caption)  # a page in landscape
    for left, title, owner, heads in (
        (0.0, "policy of agent i", "actor", _ACTOR),
        (0.4, "critic of agent i", "critic.agents", _CRITIC),
    ):
        axes = _panel(figure, left, 0.4, below, title)
        _network(
            axes, {path.removeprefix(f"{owner}."): n for path, n in counts.items() if path.startswith(owner)}, heads
        )
    axes = _panel(figure, 0.8, 0.2, below, "mixer, one for both")
    mixer = sum(n for path, n in counts.items() if path.startswith("critic.mixer"))
    _box(axes, 0.14, 0.60, "hypernetworks\nof the state", mixer, width=0.72, height=0.14)
    _arrow(axes, (0.5, 0.42), (0.5, 0.60))
    _arrow(axes, (0.5, 0.74), (0.5, 0.86))
    axes.text(0.5, 0.36, "$Q_1, \\ldots, Q_N$\n(all ind or all dep)", ha="center", va="center")
    axes.text(0.5, 0.90, "$Q_{jt}^{ind}$ or $Q_{jt}^{dep}$", ha="center", va="center")
    return figure


def _panel(figure: Figure, left: float, width: float, below: float, title: str) -> Axes:
    axes = figure.add_axes((left, below, width, 0.98 - below), xlim=(0, 1), ylim=(0, 1))
    axes.set_axis_off()
    axes.text(0.03, 0.99, title, fontsize=10, fontweight="bold", color=style.INK, va="top")
    return axes


def _network(axes: Axes, counts: dict[str, int], heads: tuple[str, str]) -> None:
    places = {name: place for name, place in _MODULES.items() if name in counts}
    for name, (text, x, y) in places.items():
        _box(axes, x, y, text, counts[name])
    axes.text(0.42, 0.07, "$\\tau_i$: observation,\nlast action, agent", ha="center", va="center", fontsize=8)
    axes.text(0.86, 0.24, "actions of the\nagents before i", ha="center", va="center", fontsize=8)
    top = _MODULES["trunk.gru" if "trunk.gru" in counts else "trunk.input"]
    middle = top[2] + _HEIGHT
    _arrow(axes, (0.42, 0.11), (0.42, 0.16))
    if "trunk.gru" in counts:
        _arrow(axes, (0.42, 0.16 + _HEIGHT), (0.42, 0.36))
    _arrow(axes, (0.42, middle), (0.24, 0.60))
    _arrow(axes, (0.42, middle), (0.64, 0.60), broken=True)
    _arrow(axes, (0.86, 0.29), (0.86, 0.36))
    _arrow(axes, (0.86, 0.36 + _HEIGHT), (0.72, 0.60))
    axes.text(0.855, 0.52, "sum / N", fontsize=7.5, color=style.FAINT)
    for x, text in zip((0.24, 0.68), heads, strict=True):
        _arrow(axes, (x, 0.60 + _HEIGHT), (x, 0.79))
        axes.text(x, 0.82, text.replace("  ", "\n"), ha="center", va="center", fontsize=8)
    axes.text(0.46, 0.915, "dep = stop gradient(ind) + correction", ha="center", fontsize=8, color=style.FAINT)


def _box(axes: Axes, x: float, y: float, text: str, count: int, width: float = _WIDTH, height: float = _HEIGHT) -> None:
    axes.add_patch(
        FancyBboxPatch(
            (x, y), width, height, boxstyle="round,pad=0,rounding_size=0.02", facecolor="#f3f0ea", edgecolor=style.INK
        )
    )
    axes.text(
        x + width / 2, y + height / 2, f"{text}\n{count:,}", ha="center", va="center", fontsize=8, linespacing=1.3
    )


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], broken: bool = False) -> None:
    line = (0, (3, 2)) if broken else "-"
    axes.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=9, linestyle=line, color=style.INK, linewidth=1)
    )
