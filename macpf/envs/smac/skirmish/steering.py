"""Detours: the direction in which a walking unit goes around friendly units that stand and fight."""
# mypy: ignore-errors

from __future__ import annotations

import numpy as np

from macpf.envs.smac.skirmish import layout as L
from macpf.envs.smac.skirmish import parameters as P
from macpf.envs.smac.skirmish.combat import own_side
from macpf.envs.smac.skirmish.compiled import compiled

#: Game loops between two searches for a detour; widest detour in radians; fraction of the contact distance to keep.
DETOUR_INTERVAL, WIDEST_DETOUR, CLOSENESS = 4, 2.6, 0.97


@compiled
def detour(f, n, w, around, u, dx, dy, length):
    """The angle by which u has to turn from its direction (dx, dy) to pass all fighting friends ahead; 0 for none.

    Each friend within the horizon blocks an arc of directions. Starting straight ahead, the walker looks left and right
    for the first direction that is free. It takes the nearer one, but keeps to the side of its present detour if the
    difference is small. Friends beyond the horizon or beyond the goal of u do not count.
    """
    if around.fighters[0] < 0:
        return 0.0
    lows, highs = around.close[0], around.close[1]
    count = hidden_arcs(f, n, w, around, u, dx, dy, length, lows, highs)
    left, right = 0.0, 0.0
    again = count > 0
    while again:
        again = False
        for i in range(count):
            if lows[i] < left < highs[i]:
                left, again = highs[i], True
            if lows[i] < right < highs[i]:
                right, again = lows[i], True
    if left == 0:
        return 0.0
    loyalty = 0.0  # a new detour has no preferred side
    if f[L.DETOUR, u] != 0:
        loyalty = w.guesses[P.LOYALTY] if f[L.DETOUR, u] > 0 else -w.guesses[P.LOYALTY]
    turn = left if left - loyalty <= -right + loyalty else right
    if abs(turn) > WIDEST_DETOUR:
        return 0.0
    n[L.SIDE, u] = 0 if turn > 0 else 1
    return turn


@compiled
def hidden_arcs(f, n, w, around, u, dx, dy, length, lows, highs):
    """Store in `lows` and `highs` the arcs relative to (dx, dy) that fighting friends block; returns how many."""
    t = n[L.TARGET, u]
    if t >= 0 and f[L.WAY_X, u] == L.NO_WAY:  # it only needs to come into range
        length = max(length - w.stats[L.RANGE, u] - w.stats[L.RADIUS, u] - w.stats[L.RADIUS, t], 0.0)
    far, count = min(length, w.guesses[P.HORIZON]), 0
    first, end = own_side(f, w, u)
    for v in around.fighters:
        contact = w.contact[u, v]
        if v < 0 or v >= end:
            break
        if v < first or contact == 0:
            continue
        x, y = f[L.X, v] - f[L.X, u], f[L.Y, v] - f[L.Y, u]
        apart = np.sqrt(x * x + y * y)
        if apart > far + contact:
            continue
        bearing = np.arctan2(dx * y - dy * x, dx * x + dy * y)
        half = np.arcsin(min(CLOSENESS * contact / max(apart, 1e-6), 1.0))
        lows[count], highs[count] = bearing - half, bearing + half
        count += 1
    return count
