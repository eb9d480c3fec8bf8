"""Detours: which way a walker goes around friends who stand and fight."""
# mypy: ignore-errors

from __future__ import annotations

import numpy as np

from macpf.envs.smac.skirmish import layout as L
from macpf.envs.smac.skirmish import parameters as P
from macpf.envs.smac.skirmish.combat import own_side
from macpf.envs.smac.skirmish.compiled import compiled

#: Loops between two looks for a way around, the widest detour in radians, and how closely one passes.
DETOUR_INTERVAL, WIDEST_DETOUR, CLOSENESS = 4, 2.6, 0.97


@compiled
def detour(f, n, w, around, u, dx, dy, length):
    """The angle by which u has to turn from its direction (dx, dy) to pass all fighting friends ahead; 0: none.

    Each friend within the horizon hides an arc of it. From straight ahead the walker looks to the left and to the
    right for the first direction that is not hidden, and takes the nearer one, or stays on its side if that costs
    little. Who is this far away already, or fights beyond where u wants to go, does not count.
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
    loyalty = 0.0  # on a new detour both ways are equal
    if f[L.DETOUR, u] != 0:
        loyalty = w.guesses[P.LOYALTY] if f[L.DETOUR, u] > 0 else -w.guesses[P.LOYALTY]
    turn = left if left - loyalty <= -right + loyalty else right
    if abs(turn) > WIDEST_DETOUR:
        return 0.0
    n[L.SIDE, u] = 0 if turn > 0 else 1
    return turn


@compiled
def hidden_arcs(f, n, w, around, u, dx, dy, length, lows, highs):
    """Note the arcs, relative to (dx, dy), that fighting friends hide. Returns how many."""
    t = n[L.TARGET, u]
    if t >= 0 and f[L.WAY_X, u] == L.NO_WAY:  # in range is near enough
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
