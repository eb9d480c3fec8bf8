"""Compiled code of the three particle tasks: dynamics, observations and rewards.

All computations are in float64 and in the order of mpe2's code, so that with mpe2's rules only the last bits of sums
can differ. Arrays: ``agents`` [B, N, 4] holds x, y, vx, vy; ``landmarks`` [B, L, 2] holds x, y.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numba import njit

SPREAD, FORMATION, LINE = range(3)
DT, DAMPING, FORCE = 0.1, 0.25, 5.0
CONTACT_FORCE, CONTACT_MARGIN = 100.0, 1e-3
#: Depth of contact, in units of the margin, below which the contact force is below 1e-17.
NO_CONTACT = -40.0
#: Radius of formation control's circle, length of line control's line, and the largest distance that counts in both.
CIRCLE, LENGTH, FARTHEST = 0.5, 1.25, 2.0
#: Distance at which a landmark counts as covered, and a slot as taken.
COVERED, TAKEN = 0.1, 0.05
#: Direction of the force for each action, in mpe2's order; on-policy's spread swaps left and right, and down and up.
DIRECTIONS = ((0.0, 0.0), (-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0))

Function = TypeVar("Function", bound=Callable)


class Rules(NamedTuple):
    """The settings of a task that compiled code needs.

    Attributes:
        task: SPREAD, FORMATION or LINE.
        radius: radius of an agent.
        position_first: whether agents move by the old velocity before it changes (mpe2), instead of by the new one.
        cover_weight: in spread, weight of the summed distances between landmarks and their nearest agents.
        hit_weight: in spread, penalty for each agent that an agent touches.
        self_collision: in spread, whether an agent also touches itself.
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
    """One env step of each running world: moves its agents, and writes its reward (summed over agents) and success.

    Args:
        rules: settings of the task (`Rules`).
        actions: [B, N] actions.
        running: [B] bool; worlds that are not running do not change and have reward 0.
        agents: [B, N, 4] positions and velocities, changed in place.
        landmarks: [B, L, 2] positions.
        reward: [B] float64, written.
        success: [B] bool, written: whether all landmarks are covered, or all slots taken.
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
    """Write [N, 2] forces: those of the actions, and contact forces, which grow smoothly with the agents' overlap."""
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
    """Semi-implicit Euler as in OpenAI's and on-policy's code, or mpe2's explicit one (forces act a step later)."""
    for i in range(len(agents)):
        for axis in range(2):
            old = agents[i, 2 + axis]
            new = old * (1 - DAMPING) + force[i, axis] * DT
            agents[i, 2 + axis] = new
            agents[i, axis] += (old if rules.position_first else new) * DT


@_compiled()
def pay_spread(rules, agents, landmarks):  # type: ignore[no-untyped-def]
    """Sum of the agents' rewards, and whether all landmarks are covered.

    Each agent is penalised for the summed distances from landmarks to their nearest agents, and for each agent that it
    touches, with the weights of the rules.
    """
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
    """Write [N, 2] slots: on a circle, with the first at the smallest angle of any agent, or on a line."""
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
    """Assign a slot to each agent so that the summed distance is smallest; the last entry of each array has the result.

    Entry s of the arrays is for the assignment of the slots in the bit set s to the first agents: the smallest summed
    distance (`cost`), the same with each distance cut at `FARTHEST` (`paid`), and the largest distance (`farthest`).
    This is dynamic programming over the 2^N sets; for a handful of agents nothing is faster.
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
    """Distance from agent i to a point."""
    dx, dy = agents[i, 0] - x, agents[i, 1] - y
    return np.sqrt(dx * dx + dy * dy)


@_compiled()
def show(agents, landmarks, sees_others, obs):  # type: ignore[no-untyped-def]
    """Write observations: own velocity and position, and relative positions of landmarks and other agents.

    Args:
        agents: [M, N, 4] positions and velocities.
        landmarks: [M, L, 2] positions.
        sees_others: whether agents observe each other (spread). The observation then ends with two zeros for each other
            agent, which are the communication channel in MPE.
        obs: [M, N, O] float32, zeros; written.
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
