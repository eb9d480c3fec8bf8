"""Random teams and start positions for each battle: SMACv2's distributions (oxwhirl/smacv2, 577ab5a).

Source: `WeightedTeamsDistribution` and `SurroundedAndReflectPositionDistribution` in
smacv2/env/starcraft2/distributions.py. The units' constants then differ between battles, so `muster` writes those of
a battle into the Battlefield before the battle is used.
"""
# mypy: ignore-errors

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from macpf.envs.smac.maps import SIZE, RandomTeams, SmacMap
from macpf.envs.smac.skirmish import layout as L
from macpf.envs.smac.skirmish.compiled import compiled
from macpf.envs.smac.skirmish.parameters import Parameters
from macpf.envs.smac.skirmish.random import uniform
from macpf.envs.smac.skirmish.start_places import find_place
from macpf.envs.smac.units import UNIT_SETS

#: Least distances of start positions, in x of mirrored agents to the middle, in x and y of surrounding groups to the
#: centre.
BUFFER, OFFSET = 1.0, 2.0


class Levy(NamedTuple):
    """The K unit types from which teams are drawn.

    Attributes:
        stats: [25, K] properties of a unit of each type.
        damage, contact, notice: [K, K] as in the Battlefield, whatever the sides.
        up_to: [K] cumulative probabilities of the types.
        alone: [K] whether units of this type can make up a team alone.
        ranks: [K] rank of the type in the order by which agents are sorted, as in SMAC.
        surrounded: [1] probability that the agents start surrounded.
        places: [U, 2] working memory for the start positions.
    """

    stats: np.ndarray
    damage: np.ndarray
    contact: np.ndarray
    notice: np.ndarray
    up_to: np.ndarray
    alone: np.ndarray
    ranks: np.ndarray
    surrounded: np.ndarray
    places: np.ndarray


def levy_of(smac_map: SmacMap, parameters: Parameters) -> Levy:
    """The types from which a map's teams are drawn. For fixed teams these are unused and only give the right shapes."""
    fixed = tuple(dict.fromkeys(name for name, _, _ in (*smac_map.allies, *smac_map.enemies)))
    teams = smac_map.teams or RandomTeams(fixed, (1.0,) + (0.0,) * (len(fixed) - 1), (), 0.0)
    types = [UNIT_SETS[parameters.unit_data][name] for name in teams.units]
    bits = smac_map.type_bits[0] if smac_map.teams else ()
    columns = [L.unit_column(smac_map, n, t, bits, parameters) for n, t in zip(teams.units, types, strict=True)]
    stats, contact = np.array(columns, dtype=np.float64).T.copy(), L.contact_of(types)
    return Levy(
        stats=stats,
        damage=L.damage_of(types, None),
        contact=contact,
        notice=L.notice_of(contact, stats[L.STEP]),
        up_to=np.cumsum(teams.weights),
        alone=np.array([name not in teams.never_alone for name in teams.units]),
        ranks=np.argsort(np.argsort(teams.units)),
        surrounded=np.array([teams.surrounded]),
        places=np.zeros((smac_map.n_agents + smac_map.n_enemies, 2)),
    )


@compiled
def muster(w, levy, kinds):
    """Write the constants of a battle's units into the Battlefield, from their types."""
    N, U = w.shape[L.N_AGENTS], w.stats.shape[1]
    points = 0.0
    for u in range(U):
        i = int(kinds[u])
        for s in range(levy.stats.shape[0]):
            if s != L.START_X and s != L.START_Y:
                w.stats[s, u] = levy.stats[s, i]
        if u >= N:
            points += levy.stats[L.MAX_HEALTH, i] + levy.stats[L.MAX_SHIELD, i]
        for v in range(U):
            j = int(kinds[v])
            w.damage[u, v] = levy.damage[i, j] if (u < N) != (v < N) else 0.0
            w.contact[u, v] = levy.contact[i, j]
            w.notice[u, v] = levy.notice[i, j]
    w.rules[L.MAX_REWARD] = w.rules[L.BASE_REWARD] + points


@compiled
def draw_teams(w, levy, kinds, streams, b):
    """Draw teams and start positions of a battle: the enemies are a copy of the agents' team, and more if needed."""
    N, E = w.shape[L.N_AGENTS], w.shape[L.N_ENEMIES]
    draw_team(levy, kinds, 0, N, streams, b)
    for k in range(min(N, E)):
        kinds[N + k] = kinds[k]
    if E > N:
        draw_team(levy, kinds, 2 * N, N + E, streams, b)
    if uniform(streams, b) < levy.surrounded[0]:
        surround(w, levy, kinds, streams, b)
    else:
        mirror(w, levy, kinds, streams, b)
    sort_agents(levy, kinds, N)
    muster(w, levy, kinds)
    for u in range(N + E):
        w.stats[L.START_X, u], w.stats[L.START_Y, u] = levy.places[u, 0], levy.places[u, 1]


@compiled
def draw_team(levy, kinds, first, end, streams, b):
    """Draw a team's units, again until they may make up a team."""
    fine = False
    while not fine:
        for u in range(first, end):
            draw, i = uniform(streams, b), 0
            while i < len(levy.up_to) - 1 and draw >= levy.up_to[i]:
                i += 1
            kinds[u] = i
            fine |= levy.alone[i]


@compiled
def mirror(w, levy, kinds, streams, b):
    """Place agents anywhere in the west, enemies as their mirror image, and further enemies anywhere in the east."""
    N, E = w.shape[L.N_AGENTS], w.shape[L.N_ENEMIES]
    for k in range(N):
        put(w, levy, kinds, k, (SIZE / 2 - BUFFER) * uniform(streams, b), SIZE * uniform(streams, b))
    for k in range(E):
        if k < N:
            x, y = SIZE - levy.places[k, 0], levy.places[k, 1]
        else:
            x, y = SIZE / 2 * (1 + uniform(streams, b)), SIZE * uniform(streams, b)
        put(w, levy, kinds, N + k, x, y)


@compiled
def surround(w, levy, kinds, streams, b):
    """Place agents in the middle, and enemies in one to four groups, each somewhere on a different diagonal."""
    N, E = w.shape[L.N_AGENTS], w.shape[L.N_ENEMIES]
    for k in range(N):
        put(w, levy, kinds, k, SIZE / 2, SIZE / 2)
    groups = 1 + int(4 * uniform(streams, b))
    taken, u = 0, N
    left = E
    for g in range(groups):
        size = 0  # each unit left joins this group or one of the later ones, equally likely
        for _ in range(left):
            size += uniform(streams, b) * (groups - g) < 1
        left -= size
        corner = int((4 - g) * uniform(streams, b))
        for c in range(4):  # the corner-th of those that are still free
            if taken >> c & 1 == 0:
                if corner == 0:
                    taken |= 1 << c
                    corner = c
                    break
                corner -= 1
        east, north = 1.0 * (corner >= 2), 1.0 * (corner == 1 or corner == 2)
        t = uniform(streams, b)
        x = t * (SIZE / 2 + OFFSET * (2 * east - 1)) + (1 - t) * SIZE * east
        y = t * (SIZE / 2 + OFFSET * (2 * north - 1)) + (1 - t) * SIZE * north
        for _ in range(size):
            put(w, levy, kinds, u, x, y)
            u += 1


@compiled
def put(w, levy, kinds, u, x, y):
    """Store the start position of unit u: (x, y), or the nearest place that is free of the units before it."""
    find_place(w.walls, levy.stats, levy.contact, kinds, levy.places, u, x, y)


@compiled
def sort_agents(levy, kinds, n):
    """Sort the agents by type, then from west to east, then from south to north."""
    for end in range(1, n):
        k = end
        while k > 0 and comes_before(levy, kinds, k, k - 1):
            kinds[k], kinds[k - 1] = kinds[k - 1], kinds[k]
            for axis in range(2):
                there = levy.places[k, axis]
                levy.places[k, axis] = levy.places[k - 1, axis]
                levy.places[k - 1, axis] = there
            k -= 1


@compiled
def comes_before(levy, kinds, u, v):
    """Whether agent u comes before agent v in this order."""
    rank_u, rank_v = levy.ranks[int(kinds[u])], levy.ranks[int(kinds[v])]
    if rank_u != rank_v:
        return rank_u < rank_v
    if levy.places[u, 0] != levy.places[v, 0]:
        return levy.places[u, 0] < levy.places[v, 0]
    return levy.places[u, 1] < levy.places[v, 1]
