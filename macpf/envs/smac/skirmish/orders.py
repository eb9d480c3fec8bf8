"""Decisions of units: the agents' orders, and the enemies' behaviour."""
# mypy: ignore-errors

from __future__ import annotations

import numpy as np

from macpf.envs.smac.maps import EAST, FIRST_ATTACK, NORTH, SOUTH, STOP, WEST
from macpf.envs.smac.skirmish import layout as L
from macpf.envs.smac.skirmish import parameters as P
from macpf.envs.smac.skirmish.combat import attack, call_off, edge_distance, falls, lower, other_side, own_side
from macpf.envs.smac.skirmish.compiled import compiled, inlined
from macpf.envs.smac.skirmish.movement import head_for
from macpf.envs.smac.skirmish.terrain import cell_of
from macpf.envs.smac.units import (
    ENERGY_MAX,
    HEAL_AUTOCAST_ENERGY,
    HEAL_COST,
    HEAL_RANGE,
    HEAL_RATE,
    HEAL_SCAN,
    LOOPS_PER_SECOND,
)

#: Kiting enemies retreat while their cooldown exceeds this many loops, from units nearer than this, with goals this far
#: away.
KITE_COOLDOWN, KITE_DISTANCE, KITE_STEP = 2.0, 4.0, 2.0


@compiled
def give_orders(f, n, w, actions):
    """Turn the actions of an env step into the agents' orders."""
    N = w.shape[L.N_AGENTS]
    for u in range(N):
        n[L.LAST_ACTION, u] = actions[u]
        if n[L.ALIVE, u] == 0:
            continue
        a = actions[u]
        if a <= STOP:
            obey(f, n, u, L.IDLE, -1)
        elif a < FIRST_ATTACK:
            obey(f, n, u, L.MOVE, -1)
            f[L.GOAL_X, u] = f[L.X, u] + w.rules[L.MOVE_AMOUNT] * ((a == EAST) - (a == WEST))
            f[L.GOAL_Y, u] = f[L.Y, u] + w.rules[L.MOVE_AMOUNT] * ((a == NORTH) - (a == SOUTH))
        else:
            heals = w.stats[L.KIND, u] == L.MEDIVAC
            t = a - FIRST_ATTACK if heals else N + a - FIRST_ATTACK
            if heals and not well(f, w, t):
                obey(f, n, u, L.HEAL, t)
            elif not heals and w.damage[u, t] > 0:
                obey(f, n, u, L.ATTACK, t)
            elif not w.guesses[P.REFUSED_KEEPS]:
                obey(f, n, u, L.IDLE, -1)


@compiled
def obey(f, n, u, order, target):
    """Take a new order. If it is the present attack, that attack continues."""
    if order == L.ATTACK and n[L.ORDER, u] == order and n[L.TARGET, u] == target:
        return
    call_off(f, u)
    n[L.ORDER, u] = order
    n[L.TARGET, u] = target


@inlined
def well(f, w, u):
    """Whether u needs no healing."""
    return f[L.HEALTH, u] >= w.stats[L.MAX_HEALTH, u]


@inlined
def act(f, n, w, streams, b, loop, u):
    """Let unit u act for one loop by its order: attack or heal, or set its goal. Sets its stance."""
    n[L.STANCE, u] = L.STANDING
    order = n[L.ORDER, u]
    if order == L.MARCH:
        if w.stats[L.KIND, u] == L.MEDIVAC:
            attend(f, n, w, u)
        else:
            fight(f, n, w, streams, b, loop, u)
        return
    if order == L.MOVE:
        n[L.STANCE, u] = L.MOVING
        return
    t = n[L.TARGET, u]
    if order == L.IDLE:
        return
    if n[L.ALIVE, t] == 0 or (order == L.ATTACK and falls(f, n, t)):
        obey(f, n, u, L.IDLE, -1)
    elif order == L.HEAL:
        heal(f, n, w, u, t)
    elif attack(f, n, w, streams, b, u, t):
        n[L.STANCE, u] = L.FIGHTING
    else:
        head_for(f, n, w, u, f[L.X, t], f[L.Y, t])


@inlined
def fight(f, n, w, streams, b, loop, u):
    """An enemy on attack-move: attack its target if in range, else approach it; without a target, march on."""
    t = n[L.TARGET, u]
    if t >= 0 and falls(f, n, t):
        lower(f, u)
        t = -1
    if t < 0 or (f[L.WINDUP, u] <= 0 and looks_again(f, w, loop, u, t)):
        t = look_for_target(f, n, w, u)
    n[L.TARGET, u] = t
    if w.shape[L.OPPONENT] == L.KITE and backs_off(f, n, w, u):
        return
    swings = f[L.BACKSWING, u] > 0 and w.guesses[P.BACKSWING_BLOCKS] > 0
    if (t >= 0 and attack(f, n, w, streams, b, u, t)) or swings:
        n[L.STANCE, u] = L.FIGHTING
    elif t >= 0:
        head_for(f, n, w, u, f[L.X, t], f[L.Y, t])
    else:
        march(f, n, w, u)


@inlined
def looks_again(f, w, loop, u, t):
    """Whether an enemy looks for a better target than t: at intervals if t is out of range, else when it can attack."""
    if edge_distance(f, w, u, t) > w.stats[L.RANGE, u]:
        return (loop + u) % int(w.guesses[P.SCAN_INTERVAL]) == 0
    return f[L.COOLDOWN, u] <= 0 and w.guesses[P.NEAREST_AT_EACH_SHOT] > 0


@inlined
def march(f, n, w, u):
    """Move on to the point to which u was ordered."""
    if not w.shape[L.MARCHES]:
        return
    x, y = f[L.POST_X, u], f[L.POST_Y, u]
    if (f[L.X, u] - x) ** 2 + (f[L.Y, u] - y) ** 2 > w.guesses[P.ARRIVAL] ** 2:
        head_for(f, n, w, u, x, y)


@inlined
def look_for_target(f, n, w, u):
    """The nearest opponent in scan range that u can hit; if there is none on a hunt, the one with the shortest way."""
    if w.shape[L.OPPONENT] != L.DEFAULT:
        weakest = weakest_in_range(f, n, w, u)
        if weakest >= 0:
            return weakest
    best, nearest = -1, w.stats[L.SCAN, u]
    best_healer = False
    first, end = other_side(f, w, u)
    for v in range(first, end):
        if falls(f, n, v) or w.damage[u, v] == 0:
            continue
        apart = edge_distance(f, w, u, v)
        healer = w.guesses[P.HEALER_FIRST] > 0 and w.stats[L.KIND, v] == L.MEDIVAC
        if apart > w.stats[L.SCAN, u] or (best_healer and not healer):
            continue
        if best < 0 or apart < nearest or (healer and not best_healer):
            best, nearest, best_healer = v, apart, healer
    if best >= 0 or not w.shape[L.HUNT]:
        return best
    shortest, paths = 1e9, w.shape[L.HAS_PATHS]
    here = cell_of(w.cells, f[L.X, u], f[L.Y, u]) if paths else 0
    for v in range(first, end):
        if n[L.ALIVE, v] == 1 and (paths or w.damage[u, v] > 0):
            way = edge_distance(f, w, u, v)
            if paths:
                way = np.float64(w.hops[here, cell_of(w.cells, f[L.X, v], f[L.Y, v])])
            if way < shortest:
                best, shortest = v, way
    return best


@compiled
def weakest_in_range(f, n, w, u):
    """The opponent in range of u's weapon with the least health and shields left; -1 if there is none."""
    best, least = -1, 1e9
    first, end = other_side(f, w, u)
    for v in range(first, end):
        if falls(f, n, v) or w.damage[u, v] == 0 or edge_distance(f, w, u, v) > w.stats[L.RANGE, u]:
            continue
        points = np.float64(f[L.HEALTH, v]) + np.float64(f[L.SHIELD, v])
        if points < least:
            best, least = v, points
    return best


@compiled
def backs_off(f, n, w, u):
    """Retreat from the nearest opponent of shorter range while the weapon cools down; returns whether u does."""
    reach = w.stats[L.RANGE, u]
    if f[L.WINDUP, u] > 0 or f[L.COOLDOWN, u] <= KITE_COOLDOWN or w.stats[L.STEP, u] == 0:
        return False
    threat, nearest = -1, min(reach, KITE_DISTANCE)
    first, end = other_side(f, w, u)
    for v in range(first, end):
        if falls(f, n, v) or w.damage[v, u] == 0 or w.stats[L.RANGE, v] >= reach:
            continue
        apart = edge_distance(f, w, u, v)
        if apart < nearest:
            threat, nearest = v, apart
    if threat < 0:
        return False
    dx, dy = f[L.X, u] - f[L.X, threat], f[L.Y, u] - f[L.Y, threat]
    length = max(np.sqrt(dx * dx + dy * dy), 1e-6)
    f[L.BACKSWING, u] = 0
    head_for(f, n, w, u, f[L.X, u] + KITE_STEP * dx / length, f[L.Y, u] + KITE_STEP * dy / length)
    return True


@compiled
def attend(f, n, w, u):
    """The enemies' medivac: heal a friend nearby, else follow the army."""
    t = n[L.TARGET, u]
    if t < 0 or n[L.ALIVE, t] == 0 or well(f, w, t) or f[L.ENERGY, u] <= 0:
        t = look_for_patient(f, n, w, u)
        n[L.TARGET, u] = t
    if t >= 0:
        heal(f, n, w, u, t)
        return
    if not w.guesses[P.MEDIVAC_FOLLOWS]:
        return
    nearest, friend = 1e9, -1
    first, end = own_side(f, w, u)
    for v in range(first, end):
        if v != u and n[L.ALIVE, v] == 1:
            apart = edge_distance(f, w, u, v)
            if apart < nearest:
                nearest, friend = apart, v
    if friend >= 0 and nearest > 0:
        head_for(f, n, w, u, f[L.X, friend], f[L.Y, friend])


@compiled
def look_for_patient(f, n, w, u):
    """The wounded friend in scan range with the lowest share of its health, the nearest of equals; -1 if none."""
    best, lowest, nearest = -1, 1.0, 1e9
    if f[L.ENERGY, u] < HEAL_AUTOCAST_ENERGY:
        return best
    first, end = own_side(f, w, u)
    for v in range(first, end):
        if v == u or n[L.ALIVE, v] == 0 or well(f, w, v) or w.stats[L.FLIES, v] > 0:
            continue
        share, apart = f[L.HEALTH, v] / w.stats[L.MAX_HEALTH, v], edge_distance(f, w, u, v)
        if apart <= HEAL_SCAN and (share < lowest or (share == lowest and apart < nearest)):
            best, lowest, nearest = v, share, apart
    return best


@compiled
def heal(f, n, w, u, t):
    """Heal t for one loop if it is in range, else follow it."""
    if edge_distance(f, w, u, t) > HEAL_RANGE:
        head_for(f, n, w, u, f[L.X, t], f[L.Y, t])
        return
    missing = w.stats[L.MAX_HEALTH, t] - f[L.HEALTH, t]
    points = min(HEAL_RATE / LOOPS_PER_SECOND, missing, f[L.ENERGY, u] / HEAL_COST)
    if points > 0 and f[L.HEALTH, t] > 0:  # units killed in this loop stay dead
        f[L.HEALTH, t] += points
        f[L.ENERGY, u] = min(max(f[L.ENERGY, u] - points * HEAL_COST, 0.0), ENERGY_MAX)
