"""Distances to blocked ground, and shortest paths on maps whose rooms are not convex."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numba import njit

from macpf.envs.smac.maps import SIZE
from macpf.envs.smac.skirmish.compiled import compiled, inlined

#: Quarter cells along a side of the map, and the width of the ring of blocked ones around it.
FINE, RING = 4 * SIZE, 1
#: Half cells along a side of the map, the grid of paths.
COARSE = 2 * SIZE
#: Paths keep this far from walls, so that walkers do not hug them and jam at corners.
PATH_CLEARANCE = 0.45
#: Half cells that are searched ahead on a path; every SIGHT_STRIDE-th of them is tested for a straight line to it.
FORESIGHT, SIGHT_STRIDE = 24, 3
#: Cost of a straight and of a diagonal step between half cells; the cost of cells that cannot be reached.
STRAIGHT, DIAGONAL, UNREACHABLE = 5, 7, 32767


class Paths(NamedTuple):
    """Shortest paths between all pairs of walkable half cells.

    Attributes:
        cells: [64, 64] number of the nearest walkable half cell, by (x, y).
        hops: [C, C] length of the shortest path between two cells, in tenths of a cell.
        centres: [C, 2] centres of the cells.
    """

    cells: np.ndarray
    hops: np.ndarray
    centres: np.ndarray

    @classmethod
    def none(cls) -> Paths:
        """Empty paths, for maps where units can walk in straight lines."""
        return cls(np.zeros((1, 1), np.int16), np.zeros((1, 1), np.int16), np.zeros((0, 2)))


def clearance(ground: Bool[np.ndarray, "128 128"]) -> Float[np.ndarray, "130 130"]:
    """Distance from each quarter cell's centre to blocked ground, in cells; negative inside it."""
    padded = np.zeros((FINE + 2 * RING, FINE + 2 * RING), dtype=np.bool_)
    padded[RING:-RING, RING:-RING] = ground
    return _distances(padded)


@njit(cache=True)
def _distances(ground):  # type: ignore[no-untyped-def]
    """Distances by brute force over the cells at the border of ground; a map has a few hundred of them."""
    n = ground.shape[0]
    rim = np.empty((n * n, 2), np.int64)
    count = 0
    for i in range(n):
        for j in range(n):
            for a, b in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
                if 0 <= a < n and 0 <= b < n and ground[i, j] != ground[a, b]:
                    rim[count] = i, j
                    count += 1
                    break
    out = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            best = 1e9
            for k in range(count):
                a, b = rim[k]
                if ground[a, b] != ground[i, j]:
                    best = min(best, (a - i) ** 2.0 + (b - j) ** 2.0)
            out[i, j] = (np.sqrt(best) - 0.5) / 4 if ground[i, j] else -(np.sqrt(best) - 0.5) / 4
    return out


@inlined
def room(walls, x, y):  # type: ignore[no-untyped-def]
    """Distance from any point to blocked ground, interpolated in `walls`, the result of `clearance`."""
    fx = min(max(4 * x + 0.5, 0.0), 128.999)
    fy = min(max(4 * y + 0.5, 0.0), 128.999)
    i, j = int(fx), int(fy)
    a, b = fx - i, fy - j
    low = walls[i, j] * (1 - a) + walls[i + 1, j] * a
    high = walls[i, j + 1] * (1 - a) + walls[i + 1, j + 1] * a
    return low * (1 - b) + high * b


@compiled
def in_sight(walls, x, y, to_x, to_y, margin):  # type: ignore[no-untyped-def]
    """Whether a disc of radius `margin` can move in a straight line from one point to another."""
    dx, dy = to_x - x, to_y - y
    length = np.sqrt(dx * dx + dy * dy)
    gone = 0.0
    while gone < length:
        free = room(walls, x + dx * gone / length, y + dy * gone / length)
        if free < margin:
            return False
        gone += max(free - margin, 0.2)
    return True


def find_paths(walls: Float[np.ndarray, "130 130"]) -> Paths:
    """Shortest paths over the half cells of a terrain that are at least `PATH_CLEARANCE` away from walls."""
    centres = (np.arange(COARSE) + 0.5) / 2
    free = np.array([[room(walls, x, y) >= PATH_CLEARANCE for y in centres] for x in centres])
    where = np.argwhere(free)
    numbers = np.full((COARSE, COARSE), -1, dtype=np.int16)
    numbers[free] = np.arange(len(where))
    hops = _all_pairs(numbers, where)
    main = np.median(hops, axis=1) < UNREACHABLE  # drops ground that cannot be reached
    where, hops = where[main], np.ascontiguousarray(hops[np.ix_(main, main)])
    points = (where + 0.5) / 2
    grid = np.stack(np.meshgrid(centres, centres, indexing="ij"), axis=-1)
    nearest = ((grid[:, :, None] - points) ** 2).sum(-1).argmin(-1).astype(np.int16)
    return Paths(nearest, hops, points)


@njit(cache=True)
def _all_pairs(numbers, where):  # type: ignore[no-untyped-def]
    """Path lengths from every cell to every other, with a queue of the cells whose length was reduced."""
    n = len(where)
    size = numbers.shape[0]
    hops = np.full((n, n), UNREACHABLE, np.int16)
    queue = np.empty(64 * n, np.int32)
    for source in range(n):
        cost = hops[source]
        cost[source] = 0
        queue[0] = source
        head, tail = 0, 1
        while head < tail:
            here = queue[head]
            head += 1
            i, j = where[here]
            for di in range(-1, 2):
                for dj in range(-1, 2):
                    a, b = i + di, j + dj
                    if (di == 0 and dj == 0) or not (0 <= a < size and 0 <= b < size) or numbers[a, b] < 0:
                        continue
                    if di != 0 and dj != 0 and (numbers[a, j] < 0 or numbers[i, b] < 0):
                        continue  # diagonal steps must not cut corners
                    there = numbers[a, b]
                    length = cost[here] + (STRAIGHT if di == 0 or dj == 0 else DIAGONAL)
                    if length < cost[there]:
                        cost[there] = length
                        queue[tail] = there
                        tail += 1
    return hops


@compiled
def cell_of(cells, x, y):  # type: ignore[no-untyped-def]
    """Number of the walkable half cell nearest to a point."""
    i = min(max(int(2 * x), 0), COARSE - 1)
    j = min(max(int(2 * y), 0), COARSE - 1)
    return cells[i, j]


@compiled
def waypoint(walls, cells, hops, centres, x, y, to_x, to_y, margin):  # type: ignore[no-untyped-def]
    """The next point on the way from (x, y) to a point out of sight: the farthest visible one on the shortest path."""
    goal = cell_of(cells, to_x, to_y)
    here = cell_of(cells, x, y)
    to_goal = hops[goal]  # lengths are symmetric, and a row is contiguous in memory
    best_x, best_y = centres[here]
    for k in range(FORESIGHT):
        step, length = here, to_goal[here]
        i, j = int(2 * centres[here, 0]), int(2 * centres[here, 1])
        for a in range(max(i - 1, 0), min(i + 2, COARSE)):
            for b in range(max(j - 1, 0), min(j + 2, COARSE)):
                near = cells[a, b]
                apart = abs(centres[near, 0] - centres[here, 0]) + abs(centres[near, 1] - centres[here, 1])
                if apart <= 1.0 and to_goal[near] < length:
                    step, length = near, to_goal[near]
        if step == here:
            break
        here = step
        if k % SIGHT_STRIDE == 0:
            if not in_sight(walls, x, y, centres[here, 0], centres[here, 1], margin):
                break
            best_x, best_y = centres[here]
    return best_x, best_y
