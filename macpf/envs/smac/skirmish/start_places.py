"""Start positions of a scenario's units: the given point, or a free place as near to it as possible."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from macpf.envs.smac.maps import SIZE
from macpf.envs.smac.skirmish import layout as L
from macpf.envs.smac.skirmish.compiled import compiled
from macpf.envs.smac.skirmish.terrain import room
from macpf.envs.smac.units import UNITS

#: Places around a point lie on rings: distance between rings in cells, number of rings, and places per ring.
RING, RINGS, PER_RING = 0.25, 64, 24


@compiled
def find_place(walls, stats, contact, kinds, places, u, x, y):  # type: ignore[no-untyped-def]
    """Store in places[u] a place near (x, y) that is free of units 0 to u - 1; (x, y) itself if there is none."""
    places[u, 0], places[u, 1] = x, y
    for ring in range(RINGS):
        for k in range(PER_RING if ring else 1):
            angle = 2 * np.pi * (k + 0.5 * (ring % 2)) / PER_RING
            at_x, at_y = x + ring * RING * np.cos(angle), y + ring * RING * np.sin(angle)
            if is_free(walls, stats, contact, kinds, places, u, at_x, at_y):
                places[u, 0], places[u, 1] = at_x, at_y
                return


@compiled
def is_free(walls, stats, contact, kinds, places, u, x, y):  # type: ignore[no-untyped-def]
    """Whether unit u can stand at (x, y) without overlapping units 0 to u - 1."""
    i = int(kinds[u])
    inside = 0 <= x <= SIZE and 0 <= y <= SIZE
    ground = walls[1 if stats[L.KIND, i] == L.COLOSSUS else 0]
    if not inside or (stats[L.FLIES, i] == 0 and room(ground, x, y) < stats[L.CLEARANCE, i]):
        return False
    for v in range(u):
        touch = contact[i, int(kinds[v])]
        if (x - places[v, 0]) ** 2 + (y - places[v, 1]) ** 2 < touch * touch - 1e-9:
            return False
    return True


def place(terrain: str, units: Sequence[tuple[str, float, float]]) -> list[tuple[str, float, float]]:
    """Move units, each (type, x, y), to free places one after the other."""
    names = list(dict.fromkeys(name for name, _, _ in units))
    types = [UNITS[name] for name in names]
    stats = np.zeros((L.SHOOTS + 1, len(names)))
    for i, (name, unit) in enumerate(zip(names, types, strict=True)):
        stats[L.KIND, i], stats[L.FLIES, i] = L.KINDS.get(name, L.PLAIN), unit.flies
        stats[L.CLEARANCE, i] = unit.clearance
    contact, kinds = L.contact_of(types), np.array([names.index(name) for name, _, _ in units])
    places, walls = np.zeros((len(units), 2)), L.walls_of(terrain)
    for u, (_, x, y) in enumerate(units):
        find_place(walls, stats, contact, kinds, places, u, x, y)
    return [(name, float(x), float(y)) for (name, _, _), (x, y) in zip(units, places, strict=True)]
