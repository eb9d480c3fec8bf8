"""Attacks, from the wind-up to the hit, and deaths.

All functions work on one battle: its arrays f[field, U] and n[field, U] (see `layout`, L), and the Battlefield `w`.
"""
# mypy: ignore-errors

from __future__ import annotations

import numpy as np

from macpf.envs.smac.maps import SIZE
from macpf.envs.smac.skirmish import layout as L
from macpf.envs.smac.skirmish import parameters as P
from macpf.envs.smac.skirmish.compiled import compiled, inlined
from macpf.envs.smac.skirmish.random import uniform
from macpf.envs.smac.units import BEAM_HALF_WIDTH, BEAM_RADIUS, BLAST_RADIUS, LEAST_DAMAGE

#: The cooldown of each attack differs from its period by a uniform draw from -1 to +2 game loops.
LEAST_DELAY, MOST_DELAY = -1.0, 2.0


@inlined
def edge_distance(f, w, u, v):
    """Distance between the edges of two units."""
    dx, dy = f[L.X, u] - f[L.X, v], f[L.Y, u] - f[L.Y, v]
    return np.sqrt(dx * dx + dy * dy) - w.stats[L.RADIUS, u] - w.stats[L.RADIUS, v]


@inlined
def own_side(f, w, u):
    """First index of u's side, and one past its last."""
    N = w.shape[L.N_AGENTS]
    return (0, N) if u < N else (N, f.shape[1])


@inlined
def other_side(f, w, u):
    """First index of u's opponents, and one past their last."""
    N = w.shape[L.N_AGENTS]
    return (N, f.shape[1]) if u < N else (0, N)


@inlined
def falls(f, n, u):
    """Whether u is dead or was killed in this loop, so that it is no longer attacked."""
    return n[L.ALIVE, u] == 0 or f[L.HEALTH, u] <= 0


@inlined
def lower(f, u):
    """Cancel the wind-up of u without any cooldown."""
    if f[L.WINDUP, u] > 0:
        f[L.COOLDOWN, u] = 0
    f[L.WINDUP, u] = 0


@compiled
def call_off(f, u):
    """Cancel the wind-up of u without any cooldown, and its backswing."""
    lower(f, u)
    f[L.BACKSWING, u] = 0


@inlined
def attack(f, n, w, streams, b, u, t):
    """Advance the attack of u on t by one loop. Returns True if u stands and fights, False if it has to come closer."""
    s = w.stats
    apart = edge_distance(f, w, u, t)
    if f[L.WINDUP, u] > 0:
        if apart <= s[L.RANGE, u] + s[L.SLOP, u]:
            f[L.WINDUP, u] -= 1
            if f[L.WINDUP, u] <= 0:
                fire(f, n, w, u, t)
            return True
        call_off(f, u)
    if apart > s[L.RANGE, u]:
        return False
    if s[L.TURRET, u] > 0 and not aims(f, u, t, s[L.TURRET, u]):
        return True
    if f[L.COOLDOWN, u] <= 0:
        delay = LEAST_DELAY + (MOST_DELAY - LEAST_DELAY) * uniform(streams, b)
        f[L.COOLDOWN, u] = max(f[L.COOLDOWN, u], -1.0) + s[L.PERIOD, u] + delay  # keeps the fraction of a loop
        f[L.WINDUP, u] = s[L.DAMAGE_POINT, u]
        if f[L.WINDUP, u] <= 0:
            fire(f, n, w, u, t)
    return True


@compiled
def aims(f, u, t, turn):
    """Turn u's turret towards t for one loop; returns whether it then points at t."""
    off = np.arctan2(f[L.Y, t] - f[L.Y, u], f[L.X, t] - f[L.X, u]) - f[L.FACING, u]
    off = np.arctan2(np.sin(off), np.cos(off))
    f[L.FACING, u] += min(max(off, -turn), turn)
    return abs(off) <= turn


@compiled
def fire(f, n, w, u, t):
    """Complete the wind-up: hit at once, or launch a missile, beam or second strike that hits later."""
    s = w.stats
    f[L.WINDUP, u] = 0
    f[L.BACKSWING, u] = s[L.SWING, u]
    kind = s[L.KIND, u]
    flight = 0.0
    if kind == L.BANELING:
        f[L.HEALTH, u] = 0  # it dies at the end of the loop, and bursts
        return
    if kind == L.COLOSSUS:
        flight = w.guesses[P.BEAM_DELAY]
        dx, dy = f[L.X, t] - f[L.X, u], f[L.Y, t] - f[L.Y, u]
        length = max(np.sqrt(dx * dx + dy * dy), 1e-6)
        f[L.LINE_X, u], f[L.LINE_Y, u] = f[L.X, t], f[L.Y, t]
        f[L.LINE_DX, u], f[L.LINE_DY, u] = -dy / length, dx / length
    elif kind == L.SPINE:
        flight = w.guesses[P.SPINE_DELAY]
    elif s[L.MISSILE, u] > 0:
        dx, dy = f[L.X, t] - f[L.X, u], f[L.Y, t] - f[L.Y, u]
        flight = np.sqrt(dx * dx + dy * dy) / s[L.MISSILE, u]
    elif kind == L.ZEALOT:
        hit(f, n, w, u, t, w.damage[u, t])
        flight = s[L.STRIKE, u]
    if flight > 0:
        f[L.FLIGHT, u] = flight
        n[L.FLIGHT_TARGET, u] = t
    elif kind == L.COLOSSUS:
        burn(f, n, w, u, t)
    else:
        hit(f, n, w, u, t, w.damage[u, t])


@inlined
def land(f, n, w, u):
    """Advance u's pending hit by one loop, and hit when its time has come."""
    if n[L.FLIGHT_TARGET, u] < 0:
        return
    t = n[L.FLIGHT_TARGET, u]
    kind = w.stats[L.KIND, u]
    if kind == L.ZEALOT and (n[L.ALIVE, u] == 0 or n[L.TARGET, u] != t):
        n[L.FLIGHT_TARGET, u] = -1  # ordered away before the second strike
        return
    f[L.FLIGHT, u] -= 1
    if f[L.FLIGHT, u] > 0:
        return
    n[L.FLIGHT_TARGET, u] = -1
    if kind == L.COLOSSUS:
        burn(f, n, w, u, t)
    elif n[L.ALIVE, t] == 1:  # a missile is lost if its target is gone
        hit(f, n, w, u, t, w.damage[u, t])


@compiled
def burn(f, n, w, u, t):
    """Apply both beams of a colossus to its target, and to all ground enemies on that level that touch the line."""
    level = level_at(w, f[L.LINE_X, u], f[L.LINE_Y, u])
    for v in range(f.shape[1]):
        if n[L.ALIVE, v] == 0 or w.damage[u, v] == 0:
            continue
        dx, dy = f[L.X, v] - f[L.LINE_X, u], f[L.Y, v] - f[L.LINE_Y, u]
        along = dx * f[L.LINE_DX, u] + dy * f[L.LINE_DY, u]
        across = dy * f[L.LINE_DX, u] - dx * f[L.LINE_DY, u]
        beyond = max(abs(along) - BEAM_HALF_WIDTH, 0.0)
        touched = beyond * beyond + across * across <= (w.stats[L.RADIUS, v] + BEAM_RADIUS) ** 2
        if v == t or (touched and same_level(level, level_at(w, f[L.X, v], f[L.Y, v]))):
            for _ in range(int(w.stats[L.HITS, u])):
                hit(f, n, w, u, v, w.damage[u, v])


@compiled
def level_at(w, x, y):
    """Cliff level of a point."""
    return w.level[min(max(int(x), 0), SIZE - 1), min(max(int(y), 0), SIZE - 1)]


@compiled
def same_level(a, b):
    """Whether two cliff levels are the same; ramps (negative) match every level."""
    return a == b or a < 0 or b < 0


@compiled
def hit(f, n, w, u, t, damage):
    """Damage t: shields first, without armour; armour reduces the rest. An enemy and its friends may respond."""
    absorbed = min(f[L.SHIELD, t], damage)
    f[L.SHIELD, t] -= absorbed
    if damage > absorbed:
        f[L.HEALTH, t] -= max(damage - absorbed - w.stats[L.ARMOR, t], LEAST_DAMAGE)
    f[L.QUIET, t] = 0
    if n[L.ORDER, t] == L.MARCH:
        answer(f, n, w, u, t)


@compiled
def answer(f, n, w, u, t):
    """Let an enemy t that was hit attack u if it has no target, and likewise its friends nearby."""
    if n[L.TARGET, t] < 0 and w.damage[t, u] > 0:
        n[L.TARGET, t] = u
    if f[L.HELP, t] > 0:
        return
    f[L.HELP, t] = w.guesses[P.HELP_PERIOD]
    reach = w.guesses[P.HELP_RADIUS] ** 2
    first, end = own_side(f, w, t)
    for v in range(first, end):
        if n[L.ALIVE, v] == 1 and n[L.TARGET, v] < 0 and w.damage[v, u] > 0:
            dx, dy = f[L.X, v] - f[L.X, t], f[L.Y, v] - f[L.Y, t]
            if dx * dx + dy * dy <= reach:
                n[L.TARGET, v] = u


@compiled
def bury(f, n, w):
    """Remove dead units; banelings burst, which may kill others."""
    again = True
    while again:
        again = False
        for u in range(f.shape[1]):
            if n[L.ALIVE, u] == 1 and f[L.HEALTH, u] <= 0:
                n[L.ALIVE, u] = 0
                f[L.HEALTH, u] = 0
                f[L.SHIELD, u] = 0
                if w.stats[L.KIND, u] == L.BANELING:
                    burst(f, n, w, u)
                    again = True


@compiled
def burst(f, n, w, u):
    """Apply a baneling's blast: full damage to every enemy within reach on the ground of the same level."""
    level = level_at(w, f[L.X, u], f[L.Y, u])
    for v in range(f.shape[1]):
        if n[L.ALIVE, v] == 1 and w.damage[u, v] > 0:
            dx, dy = f[L.X, v] - f[L.X, u], f[L.Y, v] - f[L.Y, u]
            reach = BLAST_RADIUS + w.stats[L.RADIUS, v]
            if dx * dx + dy * dy <= reach * reach and same_level(level, level_at(w, f[L.X, v], f[L.Y, v])):
                hit(f, n, w, u, v, w.damage[u, v])
