"""A picture of a map's ground: levels, ramps, cliffs and blocked cells."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.path import Path

from macpf.envs.smac.maps import SIZE, SmacMap, load_terrain

#: Colours; higher levels are lighter.
BLOCKED, CLIFF, RAMP, LEVELS = "#2b2f33", "#8f8777", "#d3c7ac", ("#e3dccb", "#f4f0e6", "#fffdf7")
#: Margin around the ground, in cells.
MARGIN = 0.75
#: Margin at the edge of the map, in cells.
EDGE = 0.25


def arena(smac_map: SmacMap) -> tuple[float, float, float, float]:
    """West, south, east and north end of the ground, with a margin for units that fly over its edge."""
    where = np.argwhere(load_terrain(smac_map.terrain).cliff_walk) / 4
    west, south = where.min(axis=0) - MARGIN
    east, north = where.max(axis=0) + 0.25 + MARGIN
    return max(west, -EDGE), max(south, -EDGE), min(east, SIZE + EDGE), min(north, SIZE + EDGE)


def paint_ground(axes: Axes, smac_map: SmacMap) -> Path:
    """Paint the levels of a map's ground; returns the outline of the ground."""
    terrain = load_terrain(smac_map.terrain)
    level = np.repeat(np.repeat(terrain.level, 4, axis=0), 4, axis=1)
    lowest = level[terrain.ground & (level >= 0)].min()
    layers = [(terrain.cliff_walk, CLIFF), (terrain.ground, LEVELS[0])]
    layers += [(terrain.ground & (level >= lowest + k), LEVELS[k]) for k in (1, 2)]
    layers += [(terrain.ground & (level < 0), RAMP)]
    corners = (np.arange(4 * SIZE + 2) - 0.5) / 4
    painted = []
    for mask, colour in layers:
        if mask.any():
            painted.append(axes.contourf(corners, corners, np.pad(mask, 1).T, levels=(0.5, 2), colors=colour))
    edge: Path = painted[0].get_paths()[0]
    return edge
