"""Movement: steps around other units and along walls, and pushing apart units that overlap."""
# mypy: ignore-errors

from __future__ import annotations

import numpy as np

from macpf.envs.smac.maps import SIZE
from macpf.envs.smac.skirmish import layout as L
from macpf.envs.smac.skirmish import parameters as P
from macpf.envs.smac.skirmish.compiled import compiled, inlined
from macpf.envs.smac.skirmish.steering import DETOUR_INTERVAL, detour
from macpf.envs.smac.skirmish.terrain import in_sight, room, waypoint
from macpf.envs.smac.units import LOOPS_PER_SECOND, MEDIVAC_ACCELERATION

#: A unit tries to go straight, then turns by 30, 60, ... degrees to either side, up to the parameter `widest_turn`.
TURN = 30
TURNS = np.radians(np.array([0.0, *(side * TURN * k for k in range(1, 6) for side in (1, -1))]))
COSINES, SINES = np.cos(TURNS), np.sin(TURNS)
#: Waypoints count as reached within this distance, in cells.
NEAR_WAYPOINT = 0.3
#: Smaller overlaps are ignored, in cells.
TOUCH = 1e-4


@compiled
def look_around(f, n, w, around):
    """List for each unit the other units that it could touch before the next update."""
    U, near, n_near, apart = f.shape[1], around.near, around.n_near, around.apart
    n_near[:] = 0
    for u in range(U):
        around.n_before[u] = n_near[u]
        if n[L.ALIVE, u] == 0:
            continue
        x, y = f[L.X, u], f[L.Y, u]
        for v in range(U):  # no branches, so that the loop is vectorised
            dx, dy = x - f[L.X, v], y - f[L.Y, v]
            apart[v] = dx * dx + dy * dy
        count = n_near[u]
        for v in range(u + 1, U):
            if apart[v] < w.notice[u, v] and n[L.ALIVE, v]:
                near[u, count] = v
                count += 1
                near[v, n_near[v]] = u
                n_near[v] += 1
        n_near[u] = count


@compiled
def note_fighters(n, around):
    """List the units that stand and fight."""
    count = 0
    for u in range(n.shape[1]):
        if n[L.ALIVE, u] and n[L.STANCE, u] == L.FIGHTING:
            around.fighters[count] = u
            count += 1
    around.fighters[count] = -1


@inlined
def head_for(f, n, w, u, x, y):
    """Set the goal of u, and that it moves."""
    n[L.STANCE, u] = L.MOVING
    f[L.GOAL_X, u], f[L.GOAL_Y, u] = x, y


@compiled
def find_way(f, n, w, u):
    """Set the waypoint of u: the next point on the way to its goal, or none if the goal is in sight."""
    margin = w.stats[L.CLEARANCE, u] - 0.05
    walls = w.walls[walker(w, u)]
    x, y = f[L.GOAL_X, u], f[L.GOAL_Y, u]
    if in_sight(walls, f[L.X, u], f[L.Y, u], x, y, margin):
        f[L.WAY_X, u] = L.NO_WAY
    else:
        f[L.WAY_X, u], f[L.WAY_Y, u] = waypoint(walls, w.cells, w.hops, w.centres, f[L.X, u], f[L.Y, u], x, y, margin)


@inlined
def needs_way(f, loop, u):
    """Whether u needs a new way: every 8 loops while it walks straight, else near its waypoint or every 64 loops."""
    if f[L.WAY_X, u] == L.NO_WAY:
        return loop % 8 == 0
    near = abs(f[L.X, u] - f[L.WAY_X, u]) + abs(f[L.Y, u] - f[L.WAY_Y, u]) < NEAR_WAYPOINT
    return near or loop % 64 == 8 * (u % 8)


@inlined
def walker(w, u):
    """Which walls stop u: those for walkers (0) or those for colossi (1)."""
    return 1 if w.stats[L.KIND, u] == L.COLOSSUS else 0


@inlined
def walk(f, n, w, around, loop, u):
    """Move u one step towards its goal or waypoint."""
    x, y = f[L.X, u], f[L.Y, u]
    to_x, to_y = f[L.GOAL_X, u], f[L.GOAL_Y, u]
    flies = w.stats[L.FLIES, u] > 0
    if w.shape[L.HAS_PATHS] and not flies and walker(w, u) == 0 and f[L.WAY_X, u] != L.NO_WAY:
        to_x, to_y = f[L.WAY_X, u], f[L.WAY_Y, u]
    dx, dy = to_x - x, to_y - y
    length = np.sqrt(dx * dx + dy * dy)
    if flies:  # only medivacs accelerate
        f[L.SPEED, u] = min(f[L.SPEED, u] + MEDIVAC_ACCELERATION / LOOPS_PER_SECOND**2, w.stats[L.STEP, u])
        step = min(f[L.SPEED, u], length)
    else:
        step = min(w.stats[L.STEP, u], length)
    if length < 1e-6 or step <= 0:
        return
    dx, dy = dx / length, dy / length
    if not flies:
        if (loop + u) % DETOUR_INTERVAL == 0:
            f[L.DETOUR, u] = detour(f, n, w, around, u, dx, dy, length)
        angle = f[L.DETOUR, u]
        if angle != 0:
            dx, dy = dx * np.cos(angle) - dy * np.sin(angle), dx * np.sin(angle) + dy * np.cos(angle)
    dx, dy = dx * step, dy * step
    n_close, blocked = who_is_close(f, n, w, around, u, step, dx, dy)
    if not blocked and off_walls(f, w, u, x + dx, y + dy):
        f[L.X, u], f[L.Y, u] = x + dx, y + dy
        return
    side = 1.0 if n[L.SIDE, u] == 0 else -1.0
    turns = 1 + 2 * int(w.guesses[P.WIDEST_TURN] / TURN)
    taken = turns_taken(around.close, n_close, turns, x, y, dx, dy, side)
    for k in range(turns):
        if taken >> k & 1:
            continue
        turned_x = dx * COSINES[k] - side * dy * SINES[k]
        turned_y = side * dx * SINES[k] + dy * COSINES[k]
        if off_walls(f, w, u, x + turned_x, y + turned_y):
            f[L.X, u], f[L.Y, u] = x + turned_x, y + turned_y
            if k > 0 and k % 2 == 0:
                n[L.SIDE, u] = 1 - n[L.SIDE, u]  # prefer this side from now on
            return


@inlined
def who_is_close(f, n, w, around, u, step, dx, dy):
    """List in `around.close` the units that u could collide with in this loop, and how near it may come to each.

    Returns their number, and whether one of them blocks its step (dx, dy).

    Units may touch. They may overlap a little with idle friends and more with walking ones, and may always move away
    from units that are already nearer.
    """
    count, close, mine, blocked = 0, around.close, u < w.shape[L.N_AGENTS], False
    for k in range(around.n_near[u]):
        v = around.near[u, k]
        if n[L.ALIVE, v] == 0:
            continue
        x, y = f[L.X, u] - f[L.X, v], f[L.Y, u] - f[L.Y, v]
        apart, contact = x * x + y * y, w.contact[u, v]
        if mine == (v < w.shape[L.N_AGENTS]):
            if n[L.STANCE, v] == L.STANDING:
                contact -= w.guesses[P.SOFTNESS]
            elif n[L.STANCE, v] == L.MOVING:
                contact *= w.guesses[P.YIELDING]
        reach = contact + step
        if apart < reach * reach:
            close[0, count], close[1, count] = f[L.X, v], f[L.Y, v]
            limit = min(contact * contact, apart)
            close[2, count] = limit
            blocked |= (x + dx) ** 2 + (y + dy) ** 2 < limit
            count += 1
    return count, blocked


@inlined
def turns_taken(close, n_close, turns, x, y, dx, dy, side):
    """Turns whose step would end in another unit, as one bit for each.

    It computes all of them without branches; testing one after the other made env steps on crowded maps a tenth slower.
    """
    taken = 0
    for i in range(n_close):
        close_x, close_y, limit = close[0, i], close[1, i], close[2, i]
        for k in range(turns):
            apart_x = x + (dx * COSINES[k] - side * dy * SINES[k]) - close_x
            apart_y = y + (side * dx * SINES[k] + dy * COSINES[k]) - close_y
            taken |= (apart_x * apart_x + apart_y * apart_y < limit) << k
    return taken


@inlined
def off_walls(f, w, u, x, y):
    """Whether walls allow u to step to (x, y); if u is already too near to one, whether the step leads away from it."""
    if w.stats[L.FLIES, u] > 0:
        return 0 <= x <= SIZE and 0 <= y <= SIZE
    walls = w.walls[walker(w, u)]
    there = room(walls, x, y)
    return there >= w.stats[L.CLEARANCE, u] or there >= room(walls, f[L.X, u], f[L.Y, u]) + 1e-6


@compiled
def push_apart(f, n, w, around):
    """Push overlapping pairs apart, once for each pair. Units that do not fight cannot move units that do."""
    most = w.guesses[P.PUSH]
    for u in range(f.shape[1]):
        if n[L.ALIVE, u] == 0:
            continue
        for k in range(around.n_before[u], around.n_near[u]):
            v = around.near[u, k]
            if n[L.ALIVE, v] == 0:
                continue
            dx, dy = f[L.X, u] - f[L.X, v], f[L.Y, u] - f[L.Y, v]
            apart, contact = dx * dx + dy * dy, w.contact[u, v]
            if apart >= (contact - TOUCH) ** 2:
                continue
            apart = np.sqrt(apart)
            overlap = contact - apart
            if apart < 1e-6:
                dx, dy, apart = 1.0, 0.0, 1.0
            share_u, share_v = weight(n, w, u), weight(n, w, v)
            if share_u + share_v == 0:
                share_u, share_v = 1.0 * (w.stats[L.STEP, u] > 0), 1.0 * (w.stats[L.STEP, v] > 0)
            total = max(share_u + share_v, 1e-9)
            foes = (u < w.shape[L.N_AGENTS]) != (v < w.shape[L.N_AGENTS])
            farthest = overlap if foes else most  # overlaps with opponents are removed completely
            shift_u = min(overlap * share_u / total, farthest)
            shift_v = min(overlap * share_v / total, farthest)
            nudge(f, w, u, dx / apart * shift_u, dy / apart * shift_u)
            nudge(f, w, v, -dx / apart * shift_v, -dy / apart * shift_v)


@inlined
def weight(n, w, u):
    """Weight of a unit's share of a push: 0 for buildings and fighting units, else 1."""
    return 0.0 if w.stats[L.STEP, u] == 0 or n[L.STANCE, u] == L.FIGHTING else 1.0


@compiled
def nudge(f, w, u, dx, dy):
    """Move u by (dx, dy) unless a wall is in the way."""
    x, y = f[L.X, u] + dx, f[L.Y, u] + dy
    if w.stats[L.FLIES, u] == 0:
        walls = w.walls[walker(w, u)]
        there = room(walls, x, y)
        if there < w.stats[L.CLEARANCE, u] and there < room(walls, f[L.X, u], f[L.Y, u]):
            return
    f[L.X, u], f[L.Y, u] = x, y
