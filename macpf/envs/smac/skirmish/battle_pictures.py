"""Pictures of a battle: ground, units with their health and targets, and the agents' sight and attack ranges.

Coordinates are cells of the map; matplotlib's Agg canvas needs no display. The ground is painted once for each
environment; each frame only draws the moving parts on top of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Bool, Float, UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import EllipseCollection, LineCollection, PolyCollection
from matplotlib.figure import Figure

from macpf.envs.smac.maps import SmacMap
from macpf.envs.smac.skirmish import layout as L
from macpf.envs.smac.skirmish.ground import BLOCKED, arena, paint_ground

if TYPE_CHECKING:
    from macpf.envs.smac.skirmish.battles import Skirmish

#: Blue and vermilion of Okabe and Ito's palette, which every kind of colour vision can distinguish.
AGENTS, ENEMIES = "#0072B2", "#D55E00"
AGENTS_LIT, ENEMIES_LIT = "#56B4E9", "#f0904d"  # lighter, for text on dark ground
EMPTY, HEALTH, SHIELD, HEALS = "#1d1f21", "#35c486", "#7cc7f2", "#009E73"
#: The letters for units in map names; the legend explains them.
LETTERS = {
    "marine": "m", "marauder": "M", "medivac": "+", "stalker": "s", "zealot": "z", "colossus": "c",
    "zergling": "zg", "baneling": "b", "hydralisk": "h", "spine_crawler": "sc",
}  # fmt: skip
#: Pixels of the longer side of the arena, of the header and of the footer; pixels per inch.
LONGEST, HEADER, FOOTER, DPI = 720, 30, 24, 100
#: Height of a health bar in cells; resolution of the visible area in points per cell.
BAR, SEEN_GRID = 0.14, 8
#: Opacity of the dark layer over areas that no agent sees.
DIMMED = 0.36


def draw(env: Skirmish, b: int = 0) -> UInt8[np.ndarray, "H W 3"]:
    """Draw the current state of battle b.

    Agents are blue and enemies vermilion discs of their true size, with shield and health above. Lines lead to the
    targets of attacks and healing; they are thick while these are under way. Crosses mark dead units. Areas that no
    agent sees are dimmed, and a thin line encloses the agents' attack range.
    """
    smac_map, field = env.roster(b), env.constants(b)
    if env not in _painters or _painters[env].map != smac_map:
        _painters[env] = Painter(smac_map, field)
    return _painters[env].paint(env.floats[b], env.ints[b], env.counts[b])


_painters: WeakKeyDictionary[Skirmish, Painter] = WeakKeyDictionary()


class Painter:
    """Draws battles of one map, one at a time, on one canvas.

    Args:
        smac_map: the map.
        field: the constants of the map.
    """

    def __init__(self, smac_map: SmacMap, field: L.Battlefield) -> None:
        self.map, self.field = smac_map, field
        self.radius = field.stats[L.RADIUS]
        self.is_agent = np.arange(len(self.radius)) < smac_map.n_agents
        self.colours = np.where(self.is_agent, AGENTS, ENEMIES)
        self.box = arena(smac_map)
        west, south, east, north = self.box
        self.cell = LONGEST / max(east - west, north - south)  # pixels
        width, height = (round(self.cell * side / 2) * 2 for side in (east - west, north - south))
        self.figure = Figure(figsize=(width / DPI, (height + HEADER + FOOTER) / DPI), dpi=DPI, facecolor=BLOCKED)
        self.canvas = FigureCanvasAgg(self.figure)
        tall = height + HEADER + FOOTER
        self.axes = self.figure.add_axes((0, FOOTER / tall, 1, height / tall), xlim=(west, east), ylim=(south, north))
        self.axes.axis("off")
        self.edge = paint_ground(self.axes, smac_map)
        self._write_legend(FOOTER / tall)
        self._add_moving_parts()
        self.canvas.draw()
        self.ground = self.canvas.copy_from_bbox(self.figure.bbox)

    def _write_legend(self, top: float) -> None:
        units = dict.fromkeys(name for name, _, _ in (*self.map.allies, *self.map.enemies))
        legend = "   ".join(f"{LETTERS[name]} {name.replace('_', ' ')}" for name in units)
        width = self.figure.bbox.width
        for x, side, text in ((8, "left", legend), (width - 8, "right", "light: in sight    line: in range")):
            self.figure.text(x / width, top / 2, text, color="#b9bcbf", fontsize=7.5, ha=side, va="center")

    def _add_moving_parts(self) -> None:
        """Create everything that changes between frames; `animated` keeps it out of the ground's picture."""
        west, south, east, north = self.box
        shape = (round((north - south) * SEEN_GRID), round((east - west) * SEEN_GRID))
        self.xs = west + (np.arange(shape[1]) + 0.5) * (east - west) / shape[1]
        self.ys = south + (np.arange(shape[0]) + 0.5) * (north - south) / shape[0]
        self.seen = self.axes.imshow(
            np.zeros((*shape, 4)), extent=(west, east, south, north), origin="lower", interpolation="bilinear",
            aspect="auto", animated=True,
        )  # fmt: skip
        self.range = LineCollection([], linewidths=0.9, colors=AGENTS, alpha=0.6)
        self.seen.set_clip_path(self.edge, self.axes.transData)
        self.range.set_clip_path(self.edge, self.axes.transData)
        self.dead = LineCollection([], linewidths=1.6, alpha=0.55)
        self.targets = LineCollection([], capstyle="round", alpha=0.7)
        self.shadows = self._discs(facecolors="black", alpha=0.22)
        self.walkers = self._discs(edgecolors="white", linewidths=0.8)
        self.flyers = self._discs(edgecolors="white", linewidths=1.2, linestyles="dashed")
        self.bars = PolyCollection([], linewidths=0)
        self.parts = [self.range, self.dead, self.targets, self.shadows, self.walkers, self.flyers, self.bars]
        for part in self.parts:
            part.set_animated(True)
            self.axes.add_collection(part, autolim=False)
        names = [name for name, _, _ in (*self.map.allies, *self.map.enemies)]
        self.letters = [
            self.axes.text(
                0, 0, LETTERS[name], color="white", weight="bold", ha="center", va="center_baseline", animated=True,
                fontsize=self._points(radius * (1.15 if len(LETTERS[name]) == 1 else 0.85)),
            )
            for name, radius in zip(names, self.radius, strict=True)
        ]  # fmt: skip
        top = 1 - HEADER / 2 / self.figure.bbox.height
        width = self.figure.bbox.width
        self.captions = [
            self.figure.text(
                x / width, top, "", color=colour, fontsize=10, weight="bold", ha=side, va="center", animated=True
            )
            for x, colour, side in (
                (8, "white", "left"), (width - 155, AGENTS_LIT, "right"), (width - 8, ENEMIES_LIT, "right"),
            )
        ]  # fmt: skip

    def _discs(self, **style: object) -> EllipseCollection:
        empty = np.zeros((0, 2))
        return EllipseCollection([], [], [], units="xy", offsets=empty, offset_transform=self.axes.transData, **style)

    def _points(self, cells: float) -> float:
        """A length in cells as a font size in points."""
        return cells * self.cell * 72 / DPI

    def paint(self, f: Float[np.ndarray, "F U"], n: np.ndarray, counts: np.ndarray) -> UInt8[np.ndarray, "H W 3"]:
        """The picture of a battle with these floats, ints and counts (see `layout`)."""
        places, alive = f[[L.X, L.Y]].T.astype(float), n[L.ALIVE] == 1
        self._show_sight(places, alive & self.is_agent)
        self._show_units(places, alive)
        self._show_targets(places, alive, n)
        self._show_bars(places, alive, f)
        self._write_captions(alive, counts)
        self.canvas.restore_region(self.ground)
        for part in (self.seen, *self.parts, *self.letters, *self.captions):
            self.figure.draw_artist(part)
        return np.asarray(self.canvas.buffer_rgba())[:, :, :3].copy()

    def _show_sight(self, places: Float[np.ndarray, "U 2"], looking: Bool[np.ndarray, " U"]) -> None:
        beyond = np.full((len(self.ys), len(self.xs)), np.inf)
        for (x, y), sight in zip(places[looking], self.field.stats[L.SEES, looking], strict=True):
            np.minimum(beyond, np.sqrt((self.xs - x) ** 2 + (self.ys[:, None] - y) ** 2) - sight, out=beyond)
        picture = np.zeros((*beyond.shape, 4))
        picture[..., 3] = DIMMED * np.clip(beyond * SEEN_GRID / 2 + 0.5, 0, 1)
        self.seen.set_data(picture)
        self.range.set_segments(list(_outline(places[looking], self.field.stats[L.SHOOTS, looking])))

    def _show_units(self, places: Float[np.ndarray, "U 2"], alive: Bool[np.ndarray, " U"]) -> None:
        flies = self.field.stats[L.FLIES] > 0
        for discs, who, shift in (
            (self.walkers, alive & ~flies, 0.0), (self.flyers, alive & flies, 0.0), (self.shadows, alive & flies, 0.3),
        ):  # fmt: skip
            discs.set_offsets(places[who] + (shift, -shift))
            discs.set_widths(2 * self.radius[who])
            discs.set_heights(2 * self.radius[who])
            discs.set_angles(np.zeros(who.sum()))
            if discs is not self.shadows:
                discs.set_facecolor(list(self.colours[who]))
        for letter, place, lives in zip(self.letters, places, alive, strict=True):
            letter.set_position(place)
            letter.set_visible(lives)
        arms = np.array([[(-1, -1), (1, 1)], [(-1, 1), (1, -1)]]) * 0.22
        self.dead.set_segments(list((places[~alive][:, None, None] + arms).reshape(-1, 2, 2)))
        self.dead.set_color(list(np.repeat(self.colours[~alive], 2)))

    def _show_targets(self, places: Float[np.ndarray, "U 2"], alive: Bool[np.ndarray, " U"], n: np.ndarray) -> None:
        aims = alive & (n[L.TARGET] >= 0) & np.isin(n[L.ORDER], (L.ATTACK, L.HEAL, L.MARCH))
        aims &= alive[n[L.TARGET]]
        heals = self.field.stats[L.KIND] == L.MEDIVAC
        self.targets.set_segments(list(np.stack([places[aims], places[n[L.TARGET, aims]]], axis=1)))
        self.targets.set_color(list(np.where(heals, HEALS, self.colours)[aims]))
        busy = (n[L.STANCE] != L.MOVING)[aims]
        self.targets.set_linewidth(list(np.where(busy, 1.6, 0.8)))

    def _show_bars(self, places: Float[np.ndarray, "U 2"], alive: Bool[np.ndarray, " U"], f: np.ndarray) -> None:
        rectangles, colours = [], []
        for u in np.flatnonzero(alive):
            width = 2 * self.radius[u]
            left, bottom = places[u, 0] - width / 2, places[u, 1] + 0.62 * self.radius[u]
            for points, most, colour in (
                (f[L.HEALTH, u], self.field.stats[L.MAX_HEALTH, u], HEALTH),
                (f[L.SHIELD, u], self.field.stats[L.MAX_SHIELD, u], SHIELD),
            ):
                if most > 0:
                    rectangles += [_rectangle(left, bottom, width), _rectangle(left, bottom, width * points / most)]
                    colours += [EMPTY, colour]
                    bottom += BAR
        self.bars.set_verts(rectangles)
        self.bars.set_facecolor(colours)

    def _write_captions(self, alive: Bool[np.ndarray, " U"], counts: np.ndarray) -> None:
        agents, enemies = alive[self.is_agent].sum(), alive[~self.is_agent].sum()
        texts = (
            f"{self.map.name}   step {counts[L.STEPS]}/{self.map.episode_limit}   {outcome(counts)}",
            f"agents {agents}/{self.map.n_agents}",
            f"enemies {enemies}/{self.map.n_enemies}",
        )
        for caption, text in zip(self.captions, texts, strict=True):
            caption.set_text(text)


def outcome(counts: np.ndarray) -> str:
    """The outcome of a battle from its counts; empty while it is running."""
    if not counts[L.OVER]:
        return ""
    if counts[L.WON]:
        return "won"
    return "lost" if counts[L.LOST] else "draw" if counts[L.DECIDED] else "time is up"


def _rectangle(left: float, bottom: float, width: float) -> list[tuple[float, float]]:
    right, top = left + width, bottom + BAR
    return [(left, bottom), (right, bottom), (right, top), (left, top)]


def _outline(centres: Float[np.ndarray, "M 2"], radius: Float[np.ndarray, " M"]) -> Float[np.ndarray, "K 2 2"]:
    """The outline of the union of circles, as segments of 2.5 degrees."""
    angles = np.linspace(0, 2 * np.pi, 145)
    circles = centres[:, None] + radius[:, None, None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    pieces = np.stack([circles[:, :-1], circles[:, 1:]], axis=2).reshape(-1, 2, 2)
    apart = np.linalg.norm(pieces.mean(axis=1)[:, None] - centres, axis=-1)
    return pieces[(apart > radius * 0.999).all(axis=1)]
