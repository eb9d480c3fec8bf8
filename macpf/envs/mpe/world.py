"""The particles of the three tasks, compiled: what pushes them, what they see, and what they are paid.

Everything happens in float64 and in the order of mpe2's code, so that with mpe2's rules nothing but the last bits of
sums can differ. Arrays: ``agents`` [B, N, 4] holds x, y, vx, vy; ``landmarks`` [B, L, 2] holds x, y.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numba import njit

SPREAD, FORMATION, LINE = range(3)
DT, DAMPING, FORCE = 0.1, 0.25, 5.0
CONTACT_FORCE, CONTACT_MARGIN = 100.0, 1e-3
#: Beyond this many margins between two bodies, the contact force is below 1e-17.
NO_CONTACT = -40.0
#: Formation: radius of the circle. Line: its length. Both: distances count up to this one.
CIRCLE, LENGTH, FARTHEST = 0.5, 1.25, 2.0
#: Distance at which a landmark counts as covered, and a slot as taken.
COVERED, TAKEN = 0.1, 0.05
#: Action: direction of the force. mpe2's order; on-policy's spread has left and right, down and up exchanged.
DIRECTIONS = ((0.0, 0.0), (-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0))

Function = TypeVar("Function", bound=Callable)


class Rules(NamedTuple):
    """What compiled code needs to know of a task.

    Attributes:
        task: SPREAD, FORMATION or LINE.
        radius: of an agent.
        position_first: move by the old velocity, then change it (mpe2), instead of the other way round.
        cover_weight: spread: weight of the summed distances between landmarks and their nearest agents.
        hit_weight: spread: weight of each agent that an agent touches.
        self_collision: spread: an agent touches itself.
    """

    task: int
    radius: float
    position_first: bool
    cover_weight: float
    hit_weight: float
    self_collision: bool


def _compiled(**options: Any) -> Callable[[Function], Function]:
    return njit(cache=True, error_model="numpy", **options)


@_compiled()
def step_worlds(rules, actions, running, agents, landmarks, reward, success):  # type: ignore[no-untyped-def]
    """One step of each running world: new places and velocities, the reward summed over agents, and who is done.

    Args:
        rules: `Rules`.
        actions: [B, N].
        running: [B] bool; the others stay as they are and are paid nothing.
        agents: [B, N, 4], changed in place.
        landmarks: [B, L, 2].
        reward: [B] float64, written.
        success: [B] bool, written: all landmarks are covered, or all slots taken.
    """
    N = agents.shape[1]
    force, slots = np.empty((N, 2)), np.empty((N, 2))
    n_teams = 1 << N if rules.task != SPREAD else 1
    cost, paid, farthest = np.empty(n_teams), np.empty(n_teams), np.empty(n_teams)
    for b in range(len(agents)):
        reward[b], success[b] = 0.0, False
        if not running[b]:
            continue
        add_forces(rules, actions[b], agents[b], force)
        move(rules, agents[b], force)
        if rules.task == SPREAD:
            reward[b], success[b] = pay_spread(rules, agents[b], landmarks[b])
        else:
            place_slots(rules, agents[b], landmarks[b], slots)
            match(agents[b], slots, cost, paid, farthest)
            reward[b], success[b] = -paid[-1], farthest[-1] < TAKEN


@_compiled()
def add_forces(rules, actions, agents, force):  # type: ignore[no-untyped-def]
    """[N, 2] forces of the actions and of contacts between agents, which grow softly with how deep they overlap."""
    N = len(agents)
    for i in range(N):
        for axis in range(2):
            force[i, axis] = FORCE * DIRECTIONS[actions[i]][axis]
    for i in range(N):
        for j in range(i + 1, N):
            dx, dy = agents[i, 0] - agents[j, 0], agents[i, 1] - agents[j, 1]
            distance = np.sqrt(dx * dx + dy * dy)
            depth = (2 * rules.radius - distance) / CONTACT_MARGIN
            if depth < NO_CONTACT or distance == 0.0:
                continue
            overlap = CONTACT_MARGIN * (max(depth, 0.0) + np.log1p(np.exp(-abs(depth))))
            push = CONTACT_FORCE * overlap / distance
            force[i, 0] += push * dx
            force[i, 1] += push * dy
            force[j, 0] -= push * dx
            force[j, 1] -= push * dy


@_compiled()
def move(rules, agents, force):  # type: ignore[no-untyped-def]
    """Semi-implicit Euler as in OpenAI's and on-policy's code, or mpe2's explicit one: forces act a step later."""
    for i in range(len(agents)):
        for axis in range(2):
            old = agents[i, 2 + axis]
            new = old * (1 - DAMPING) + force[i, axis] * DT
            agents[i, 2 + axis] = new
            agents[i, axis] += (old if rules.position_first else new) * DT


@_compiled()
def pay_spread(rules, agents, landmarks):  # type: ignore[no-untyped-def]
    """Sum of the agents' rewards: each loses the summed distances to the landmarks and a point for whom it touches."""
    N = len(agents)
    distances, all_covered = 0.0, True
    for k in range(len(landmarks)):
        nearest = np.inf
        for i in range(N):
            nearest = min(nearest, distance_to(agents, i, landmarks[k, 0], landmarks[k, 1]))
        distances += nearest
        all_covered &= nearest < COVERED
    hits = N if rules.self_collision else 0
    for i in range(N):
        for j in range(i + 1, N):
            if distance_to(agents, i, agents[j, 0], agents[j, 1]) < 2 * rules.radius:
                hits += 2
    return -(N * rules.cover_weight * distances + rules.hit_weight * hits), all_covered


@_compiled()
def place_slots(rules, agents, landmarks, slots):  # type: ignore[no-untyped-def]
    """[N, 2] places the agents should take: on a circle, the first at the smallest angle of an agent, or on a line."""
    N = len(agents)
    x, y = landmarks[0, 0], landmarks[0, 1]
    if rules.task == FORMATION:
        first = np.inf
        for i in range(N):
            angle = np.arctan2(agents[i, 1] - y, agents[i, 0] - x)
            first = min(first, angle + 2 * np.pi if angle < 0 else angle)
        for k in range(N):
            angle = first + k * (2 * np.pi / N)
            slots[k, 0], slots[k, 1] = x + CIRCLE * np.cos(angle), y + CIRCLE * np.sin(angle)
    else:
        for k in range(N):
            share = k / (N - 1)
            slots[k, 0] = x + share * (landmarks[1, 0] - x)
            slots[k, 1] = y + share * (landmarks[1, 1] - y)


@_compiled()
def match(agents, slots, cost, paid, farthest):  # type: ignore[no-untyped-def]
    """Give each agent a slot so that the summed distance is smallest; the answer stands in each array's last entry.

    Entry s of the arrays is about the slots in the bit set s, shared out among the first agents: the least summed
    distance (`cost`), the same with distances up to `FARTHEST` only (`paid`), and the longest way (`farthest`).
    Dynamic programming over the 2^N sets; for a handful of agents nothing is faster.
    """
    N = len(agents)
    cost[0], paid[0], farthest[0] = 0.0, 0.0, 0.0
    for taken in range(1, 1 << N):
        agent = -1
        for k in range(N):
            agent += (taken >> k) & 1
        cost[taken] = np.inf
        for k in range(N):
            if (taken >> k) & 1:
                before = taken - (1 << k)
                distance = distance_to(agents, agent, slots[k, 0], slots[k, 1])
                if cost[before] + distance < cost[taken]:
                    cost[taken] = cost[before] + distance
                    paid[taken] = paid[before] + min(distance, FARTHEST)
                    farthest[taken] = max(farthest[before], distance)


@_compiled(inline="always")
def distance_to(agents, i, x, y):  # type: ignore[no-untyped-def]
    """From agent i to a point."""
    dx, dy = agents[i, 0] - x, agents[i, 1] - y
    return np.sqrt(dx * dx + dy * dy)


@_compiled()
def show(agents, landmarks, sees_others, obs):  # type: ignore[no-untyped-def]
    """Write what agents see: own velocity and place, landmarks from there, and where `sees_others` the other agents.

    Args:
        agents: [M, N, 4].
        landmarks: [M, L, 2].
        sees_others: spread; the two numbers that each other agent could say remain zeros, as in MPE.
        obs: [M, N, O] float32, zeros.
    """
    M, N, L = len(agents), agents.shape[1], landmarks.shape[1]
    for m in range(M):
        for i in range(N):
            x, y = agents[m, i, 0], agents[m, i, 1]
            obs[m, i, 0], obs[m, i, 1] = agents[m, i, 2], agents[m, i, 3]
            obs[m, i, 2], obs[m, i, 3] = x, y
            at = 4
            for k in range(L):
                obs[m, i, at], obs[m, i, at + 1] = landmarks[m, k, 0] - x, landmarks[m, k, 1] - y
                at += 2
            if sees_others:
                for j in range(N):
                    if j != i:
                        obs[m, i, at], obs[m, i, at + 1] = agents[m, j, 0] - x, agents[m, j, 1] - y
                        at += 2
