"""Pictures of a particle world: agents, landmarks, and the places that formation and line control ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from macpf.envs.mpe import world

if TYPE_CHECKING:
    from macpf.envs.mpe.particles import Particles

#: Blue and vermilion of Okabe and Ito's palette, which can be distinguished with every kind of colour vision.
AGENT, TOUCHING, LANDMARK, SLOT, FLOOR = "#0072B2", "#D55E00", "#3a3d40", "#009E73", "#f1f2f3"
#: Pixels of a side, dots per inch, and the largest coordinate in the picture; agents may leave it.
SIDE, DPI, EDGE = 360, 100, 1.35


def draw(env: Particles, b: int = 0) -> UInt8[np.ndarray, "H W 3"]:
    """A picture of world b in its current state.

    Agents are discs of their true size, blue or, if they touch another, vermilion. A line leads to where an agent would
    be in a quarter of a second. Agents start on the grey square. Landmarks are dark dots. The slots that agents should
    take are green rings; an agent whose centre lies within a ring has taken the slot.
    """
    agents, landmarks = env.agents[b], env.landmarks[b]
    figure = Figure(figsize=(SIDE / DPI, SIDE / DPI), dpi=DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(-EDGE, EDGE), ylim=(-EDGE, EDGE), aspect="equal")
    axes.axis("off")
    axes.add_patch(Rectangle((-1, -1), 2, 2, facecolor=FLOOR))
    for place in landmarks:
        axes.add_patch(Circle(tuple(place), world.COVERED / 2, color=LANDMARK))
    if env.rules.task != world.SPREAD:
        slots = np.empty((len(agents), 2))
        world.place_slots(env.rules, agents, landmarks, slots)
        for place in slots:
            axes.add_patch(Circle(tuple(place), world.TAKEN, fill=False, color=SLOT, linewidth=1.5))
    apart = np.linalg.norm(agents[:, None, :2] - agents[None, :, :2], axis=-1) + 9 * np.eye(len(agents))
    for i, (x, y, vx, vy) in enumerate(agents):
        touches = (apart[i] < 2 * env.rules.radius).any()
        axes.add_patch(Circle((x, y), env.rules.radius, color=TOUCHING if touches else AGENT, alpha=0.75, linewidth=0))
        axes.plot([x, x + vx / 4], [y, y + vy / 4], color="black", linewidth=1)
        beside = env.rules.radius + 0.04
        axes.text(x + beside, y + beside, str(i), fontsize=8, weight="bold", ha="center", va="center")
    axes.text(
        -EDGE + 0.05, EDGE - 0.05, f"{env.task}   step {env.played}/{env.spec.episode_limit}", fontsize=8, va="top"
    )
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()
