"""A team that knows everything, shares out its targets and looks four steps ahead: how well can one play?"""

import numpy as np
from scipy.optimize import linear_sum_assignment

from macpf.envs.mpe import world
from macpf.envs.mpe.particles import Particles

DEPTH = 4
#: [5, 2] forces of the actions.
FORCES = world.FORCE * np.array(world.DIRECTIONS)


def targets(env: Particles, b: int, matched: bool) -> np.ndarray:
    """[N, 2] where the agents of world b should go: by the shortest way together, or agent i to place i.

    Who does not see the others cannot know how the circle is turned, only agree to turn it a little from the x axis.
    """
    agents, landmarks = env.agents[b], env.landmarks[b]
    if env.rules.task == world.SPREAD:
        places = landmarks
    elif env.rules.task == world.FORMATION and not matched:
        angles = 0.05 + 2 * np.pi * np.arange(len(agents)) / len(agents)
        return landmarks[0] + world.CIRCLE * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    else:
        places = np.empty((len(agents), 2))
        world.place_slots(env.rules, agents, landmarks, places)
    if not matched:
        return places
    distances = np.linalg.norm(agents[:, None, :2] - places[None], axis=-1)
    return places[linear_sum_assignment(distances)[1]]


def approach(agents: np.ndarray, goals: np.ndarray, position_first: bool) -> np.ndarray:
    """[M] actions for agents [M, 4]: the first of the four that stay closest to the goals [M, 2], contacts aside."""
    place, velocity, missed = agents[:, None, :2], agents[:, None, 2:], np.zeros((len(agents), 1))
    for _ in range(DEPTH):  # [M, 5, 2], then [M, 25, 2] and so on: of every sequence so far, once for each next action
        old = velocity.repeat(5, axis=1)
        velocity = (velocity[:, :, None] * (1 - world.DAMPING) + FORCES * world.DT).reshape(old.shape)
        place = place.repeat(5, axis=1) + (old if position_first else velocity) * world.DT
        apart = place - goals[:, None]
        missed = missed.repeat(5, axis=1) + np.sqrt(apart[..., 0] ** 2 + apart[..., 1] ** 2)
    return missed.argmin(axis=1) // 5 ** (DEPTH - 1)


def scripted_actions(env: Particles, matched: bool) -> np.ndarray:
    """[B, N]."""
    goals = np.concatenate([targets(env, b, matched) for b in range(env.batch_size)])
    return approach(env.agents.reshape(-1, 4), goals, env.rules.position_first).reshape(env.batch_size, -1)


def returns(env: Particles, choose) -> np.ndarray:
    """[B] undiscounted returns of one episode in each world."""
    step, total = env.reset(), 0.0
    while not (step.terminated | step.truncated).all():
        step = env.step(choose(env))
        total = total + step.reward
    return total
