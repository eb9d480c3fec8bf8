"""The compiled battle: an env step plays several game loops (eight by default) of B battles in compiled code."""
# mypy: ignore-errors

from __future__ import annotations

import numpy as np

from macpf.envs.smac.skirmish import layout as L
from macpf.envs.smac.skirmish import parameters as P
from macpf.envs.smac.skirmish.combat import bury, land
from macpf.envs.smac.skirmish.compiled import compiled
from macpf.envs.smac.skirmish.features import note_kinds, record, show
from macpf.envs.smac.skirmish.judge import judge
from macpf.envs.smac.skirmish.movement import find_way, look_around, needs_way, note_fighters, push_apart, walk
from macpf.envs.smac.skirmish.muster import draw_teams, muster
from macpf.envs.smac.skirmish.orders import act, give_orders
from macpf.envs.smac.skirmish.random import uniform
from macpf.envs.smac.units import (
    ENERGY_MAX,
    ENERGY_RATE,
    ENERGY_START,
    LOOPS_PER_SECOND,
    SHIELD_DELAY,
    SHIELD_RATE,
)


@compiled
def reset_battles(floats, ints, counts, streams, w, levy, kinds, around, which, rows, obs, state, available):
    """Start new battles where `which` is true, and write the features of all running battles."""
    for b in range(floats.shape[0]):
        if which[b]:
            if w.shape[L.RANDOM]:
                draw_teams(w, levy, kinds[b], streams, b)
            deploy(floats[b], ints[b], counts[b], streams, b, w)
            for loop in range(int(w.guesses[P.PREROLL])):
                advance(floats[b], ints[b], w, streams, b, loop, around)
        if not counts[b, L.OVER]:
            if w.shape[L.RANDOM]:
                muster(w, levy, kinds[b])
                note_kinds(kinds[b], w, rows[b])
            record(floats[b], ints[b], w, rows[b])
            show(rows[b], w, obs[b], state[b], available[b])
        else:
            available[b, :, 0] = True


@compiled
def step_battles(floats, ints, counts, streams, w, levy, kinds, around, actions, rows, obs, state, available, reward):
    """Play one env step in all running battles; the features of the others stay zero, with no-op available."""
    for b in range(floats.shape[0]):
        if counts[b, L.OVER]:
            available[b, :, 0] = True
            continue
        f, n = floats[b], ints[b]
        if w.shape[L.RANDOM]:
            muster(w, levy, kinds[b])
            note_kinds(kinds[b], w, rows[b])
        give_orders(f, n, w, actions[b])
        loops = int(w.rules[L.LOOPS])
        for loop in range(loops):
            advance(f, n, w, streams, b, loops * counts[b, L.STEPS] + loop, around)
        reward[b] = judge(f, n, counts[b], w)
        record(f, n, w, rows[b])
        show(rows[b], w, obs[b], state[b], available[b])


@compiled
def deploy(f, n, counts, streams, b, w):
    """Put all units on their start positions, with full health."""
    f[:] = 0
    n[:] = 0
    counts[:] = 0
    N, U = w.shape[L.N_AGENTS], f.shape[1]
    along = uniform(streams, b)  # position of the enemies' target point on its segment
    jitter, spread = w.guesses[P.JITTER], w.guesses[P.MARCH_SPREAD]
    middle_x, middle_y = w.stats[L.START_X, N:].mean(), w.stats[L.START_Y, N:].mean()
    for u in range(U):
        f[L.X, u], f[L.Y, u] = w.stats[L.START_X, u], w.stats[L.START_Y, u]
        if jitter > 0:
            angle, radius = 2 * np.pi * uniform(streams, b), jitter * np.sqrt(uniform(streams, b))
            f[L.X, u] += radius * np.cos(angle)
            f[L.Y, u] += radius * np.sin(angle)
        f[L.HEALTH, u], f[L.SHIELD, u] = w.stats[L.MAX_HEALTH, u], w.stats[L.MAX_SHIELD, u]
        f[L.PREVIOUS, u] = f[L.HEALTH, u] + f[L.SHIELD, u]
        f[L.ENERGY, u] = ENERGY_START if w.stats[L.KIND, u] == L.MEDIVAC else 0.0
        f[L.QUIET, u] = SHIELD_DELAY * LOOPS_PER_SECOND
        f[L.POST_X, u] = w.order[0] + along * (w.order[2] - w.order[0]) + spread * (w.stats[L.START_X, u] - middle_x)
        f[L.POST_Y, u] = w.order[1] + along * (w.order[3] - w.order[1]) + spread * (w.stats[L.START_Y, u] - middle_y)
        f[L.WAY_X, u] = L.NO_WAY
        n[L.ALIVE, u] = 1
        n[L.ORDER, u] = L.IDLE if u < N else L.MARCH
        n[L.TARGET, u] = -1
        n[L.FLIGHT_TARGET, u] = -1
        n[L.SIDE, u] = (u if u < N else u - N) % 2  # counted per team, so that neither is favoured
        n[L.LAST_ACTION, u] = -1


@compiled
def advance(f, n, w, streams, b, loop, around):
    """One game loop: timers, decisions, movement, hits, deaths. Units that die in a loop still act in it."""
    U = f.shape[1]
    tick(f, n, w)
    looks = loop % L.LOOK_AROUND == 0
    if looks:
        look_around(f, n, w, around)
    first = int(uniform(streams, b) * U)  # so that no unit always acts first
    anyone = False
    for k in range(U):
        u = first + k if first + k < U else first + k - U
        if n[L.ALIVE, u]:
            act(f, n, w, streams, b, loop, u)
            moves = n[L.STANCE, u] == L.MOVING
            anyone |= moves
            if not moves:
                f[L.SPEED, u] = 0
            if w.shape[L.HAS_PATHS]:
                if not moves:
                    f[L.WAY_X, u] = L.NO_WAY
                elif needs_way(f, loop, u):
                    find_way(f, n, w, u)
    if anyone:
        note_fighters(n, around)
        for k in range(U):
            u = first + k if first + k < U else first + k - U
            if n[L.ALIVE, u] and n[L.STANCE, u] == L.MOVING:
                walk(f, n, w, around, loop, u)
        push_apart(f, n, w, around)
    for u in range(U):
        land(f, n, w, u)
    bury(f, n, w)


@compiled
def tick(f, n, w):
    """Advance timers, and regenerate shields, Zerg health and medivac energy."""
    for u in range(f.shape[1]):
        if n[L.ALIVE, u] == 0:
            continue
        f[L.COOLDOWN, u] = max(f[L.COOLDOWN, u] - 1, -1.0)
        f[L.BACKSWING, u] -= 1
        f[L.HELP, u] -= 1
        f[L.QUIET, u] += 1
        if w.stats[L.MAX_SHIELD, u] > 0 and f[L.QUIET, u] > SHIELD_DELAY * LOOPS_PER_SECOND:
            f[L.SHIELD, u] = min(f[L.SHIELD, u] + SHIELD_RATE / LOOPS_PER_SECOND, w.stats[L.MAX_SHIELD, u])
        if w.stats[L.REGENERATION, u] > 0:
            f[L.HEALTH, u] = min(f[L.HEALTH, u] + w.stats[L.REGENERATION, u], w.stats[L.MAX_HEALTH, u])
        if w.stats[L.KIND, u] == L.MEDIVAC:
            f[L.ENERGY, u] = min(f[L.ENERGY, u] + ENERGY_RATE / LOOPS_PER_SECOND, ENERGY_MAX)
