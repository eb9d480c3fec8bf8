"""SMAC's features of a battle: available actions, observations and state, computed from a row of units alone.

A row of units holds x, y, health, shield and cooldown (energy of a medivac), each for all U units, then the agents'
last actions (-1 before the first). Replay stores nothing else: all features follow from it, bit for bit. Like SMAC,
this computes in double precision from 32-bit inputs.
"""
# mypy: ignore-errors

from __future__ import annotations

import math

import numpy as np

from macpf.envs.smac.maps import FIRST_ATTACK, NO_OP, NORTH, SIZE, STOP
from macpf.envs.smac.skirmish import layout as L
from macpf.envs.smac.skirmish.compiled import compiled
from macpf.envs.smac.skirmish.muster import muster

N_COLUMNS = 5
PX, PY, PHEALTH, PSHIELD, PCOOLDOWN = range(N_COLUMNS)
#: SMAC's `can_move` checks the cell half a move away, to the north, south, east and west.
LOOK_X, LOOK_Y = (0, 0, 1, -1), (1, -1, 0, 0)


def record_width(n_agents: int, n_enemies: int, drawn: bool = False) -> int:
    """Length of a row of units; with random teams (`drawn`), the units' types are at its end."""
    return (N_COLUMNS + drawn) * (n_agents + n_enemies) + n_agents


@compiled
def record(f, n, w, row):
    """Write the state of a battle into a row of units."""
    U, N = f.shape[1], w.shape[L.N_AGENTS]
    for u in range(U):
        row[PX * U + u] = f[L.X, u]
        row[PY * U + u] = f[L.Y, u]
        row[PHEALTH * U + u] = f[L.HEALTH, u]
        row[PSHIELD * U + u] = f[L.SHIELD, u]
        medivac = w.stats[L.KIND, u] == L.MEDIVAC
        row[PCOOLDOWN * U + u] = f[L.ENERGY, u] if medivac else max(f[L.COOLDOWN, u], 0)
    for u in range(N):
        row[N_COLUMNS * U + u] = n[L.LAST_ACTION, u]


@compiled
def note_kinds(kinds, w, row):
    """Write the drawn types of a battle's units to the end of its row."""
    first = N_COLUMNS * len(kinds) + w.shape[L.N_AGENTS]
    for u in range(len(kinds)):
        row[first + u] = kinds[u]


@compiled
def show(row, w, obs, state, available):
    """Compute one battle's obs [N, O], state [S] and available [N, A], all zero before, from its row of units."""
    N, E = w.shape[L.N_AGENTS], w.shape[L.N_ENEMIES]
    U = N + E
    units = row[: N_COLUMNS * U].reshape(N_COLUMNS, U)
    for a in range(N):
        if units[PHEALTH, a] > 0:
            show_available(units, w, a, available[a])
            show_obs(units, w, a, obs[a], available[a])
        else:
            available[a, NO_OP] = True
    show_state(units, row[N_COLUMNS * U :], w, state)


@compiled
def show_available(units, w, a, available):
    """Compute the available actions of a living agent but for attacks, which `show_obs` measures; heals included."""
    N = w.shape[L.N_AGENTS]
    available[STOP] = True
    x, y = np.float64(units[PX, a]), np.float64(units[PY, a])
    for m in range(4):
        half = w.rules[L.MOVE_AMOUNT] / 2
        i, j = (
            int(x + half * LOOK_X[m]),
            int(y + half * LOOK_Y[m]),
        )  # int() rounds towards zero, at the south and west edge too
        available[NORTH + m] = 0 <= i < SIZE and 0 <= j < SIZE and w.pathing[i, j]
    if w.stats[L.KIND, a] == L.MEDIVAC:
        for k in range(N):
            if units[PHEALTH, k] > 0 and w.stats[L.KIND, k] != L.MEDIVAC:
                available[FIRST_ATTACK + k] = distance(units, k, x, y, w.stats[L.SHOOTS, a]) <= w.stats[L.SHOOTS, a]


@compiled
def show_obs(units, w, a, obs, available):
    """Compute the observation of a living agent: its moves, all enemies, all other agents, itself; and its attacks."""
    N, E = w.shape[L.N_AGENTS], w.shape[L.N_ENEMIES]
    at = 4
    for m in range(4):
        obs[m] = available[NORTH + m]
    x, y, sight, shoots = np.float64(units[PX, a]), np.float64(units[PY, a]), w.stats[L.SEES, a], w.stats[L.SHOOTS, a]
    fights = w.stats[L.KIND, a] != L.MEDIVAC
    far = max(sight, shoots)
    enemy_row = 5 + w.shape[L.ENEMY_SHIELD] + w.shape[L.ENEMY_BITS]
    for k in range(E):
        if units[PHEALTH, N + k] > 0:
            apart = distance(units, N + k, x, y, far)
            if fights:
                available[FIRST_ATTACK + k] = apart <= shoots
            if apart < sight:
                seen(units, w, N + k, x, y, sight, apart, obs[at : at + enemy_row], L.ENEMY_SHIELD)
                obs[at] = available[FIRST_ATTACK + k]  # as in SMAC, for a medivac this says whether k can be healed
        at += enemy_row
    ally_row = 5 + w.shape[L.ALLY_SHIELD] + w.shape[L.ALLY_BITS]
    if w.shape[L.ALLY_BLOCK] != L.BLOCK_NONE:
        shown = w.shape[L.ALLY_BLOCK] == L.BLOCK_SHOWN
        for k in range(N):
            if k != a:
                if shown and units[PHEALTH, k] > 0:
                    apart = distance(units, k, x, y, sight)
                    if apart < sight:
                        seen(units, w, k, x, y, sight, apart, obs[at : at + ally_row], L.ALLY_SHIELD)
                at += ally_row
    place = 2 * w.shape[L.OWN_POSITION]
    health_and_type(units, w, a, obs[at:], L.ALLY_SHIELD, place)
    if place:
        at += 1 + w.shape[L.ALLY_SHIELD]
        obs[at], obs[at + 1] = x / SIZE, y / SIZE


@compiled
def distance(units, t, x, y, far):
    """Distance of a unit from a place, or infinity where one coordinate alone is further away than `far`."""
    dx, dy = np.float64(units[PX, t]) - x, np.float64(units[PY, t]) - y
    if abs(dx) > far or abs(dy) > far:
        return math.inf
    return math.hypot(dx, dy)


@compiled
def seen(units, w, t, x, y, sight, apart, out, shield):
    """Write the features of another unit that is alive and within sight."""
    out[0] = 1.0
    out[1] = apart / sight
    out[2] = (np.float64(units[PX, t]) - x) / sight
    out[3] = (np.float64(units[PY, t]) - y) / sight
    health_and_type(units, w, t, out[4:], shield, 0)


@compiled
def health_and_type(units, w, u, out, shield, between):
    """Write health, the shield if the side is Protoss, and the one-hot of the type if the side has several types.

    `between` is the number of entries that stay free before the one-hot.
    """
    out[0] = np.float64(units[PHEALTH, u]) / w.stats[L.MAX_HEALTH, u]
    if w.shape[shield]:
        out[1] = np.float64(units[PSHIELD, u]) / w.stats[L.MAX_SHIELD, u]
    if w.stats[L.TYPE_BIT, u] >= 0:
        out[1 + w.shape[shield] + between + int(w.stats[L.TYPE_BIT, u])] = 1.0


@compiled
def show_state(units, last_actions, w, state):
    """Compute the state: the features of each agent and each enemy, and the one-hots of the last actions."""
    N, E = w.shape[L.N_AGENTS], w.shape[L.N_ENEMIES]
    at = 0
    for u in range(N + E):
        ally = u < N
        shield = L.ALLY_SHIELD if ally else L.ENEMY_SHIELD
        bits = w.shape[L.ALLY_BITS] if ally else w.shape[L.ENEMY_BITS]
        if units[PHEALTH, u] > 0:
            row = state[at:]
            row[0] = np.float64(units[PHEALTH, u]) / w.stats[L.MAX_HEALTH, u]
            if ally:
                row[1] = np.float64(units[PCOOLDOWN, u]) / w.stats[L.MAX_COOLDOWN, u]
            k = 1 + ally
            row[k] = (np.float64(units[PX, u]) - SIZE / 2) / SIZE
            row[k + 1] = (np.float64(units[PY, u]) - SIZE / 2) / SIZE
            if w.shape[shield]:
                row[k + 2] = np.float64(units[PSHIELD, u]) / w.stats[L.MAX_SHIELD, u]
            if w.stats[L.TYPE_BIT, u] >= 0:
                row[k + 2 + w.shape[shield] + int(w.stats[L.TYPE_BIT, u])] = 1.0
        at += 3 + ally + w.shape[shield] + bits
    for a in range(N):
        if last_actions[a] >= 0:
            state[at + a * (FIRST_ATTACK + w.shape[L.TARGETS]) + int(last_actions[a])] = 1.0


@compiled
def muster_row(w, levy, row):
    """With random teams, set the units' constants to those of the battle of this row."""
    if w.shape[L.RANDOM]:
        U = w.shape[L.N_AGENTS] + w.shape[L.N_ENEMIES]
        muster(w, levy, row[N_COLUMNS * U + w.shape[L.N_AGENTS] :])


@compiled
def show_all(rows, w, levy, obs, state, available):
    """Apply `show` to M rows of units [M, K]; features of rows of zeros stay zero, with no-op available."""
    for m in range(rows.shape[0]):
        if rows[m].any():  # not just health: after a draw all are dead, but the state has last actions
            muster_row(w, levy, rows[m])
            show(rows[m], w, obs[m], state[m], available[m])
        else:
            available[m, :, NO_OP] = True


@compiled
def visibility(rows, w, levy, visible):
    """Fill SMAC's visibility matrix [M, N, N + E], or its first columns: which agent sees which agent and enemy."""
    N = w.shape[L.N_AGENTS]
    U = N + w.shape[L.N_ENEMIES]
    for m in range(rows.shape[0]):
        muster_row(w, levy, rows[m])
        units = rows[m, : N_COLUMNS * U].reshape(N_COLUMNS, U)
        for a in range(N):
            for u in range(visible.shape[2]):
                if a != u and units[PHEALTH, a] > 0 and units[PHEALTH, u] > 0:
                    dx = np.float64(units[PX, u]) - np.float64(units[PX, a])
                    dy = np.float64(units[PY, u]) - np.float64(units[PY, a])
                    visible[m, a, u] = math.hypot(dx, dy) < w.stats[L.SEES, a]
