"""Scripted policies for the embedded engine, as baselines without learning.

A policy is created for each round of battles. It is called once per env step with the environment and its last `Step`,
and returns actions [B, N]. All policies use the true positions, health and cooldowns of all units, not the agents'
observations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from macpf.envs.base import Step
from macpf.envs.smac.maps import FIRST_ATTACK, NO_OP, STOP, load_terrain
from macpf.envs.smac.skirmish import layout as L
from macpf.envs.smac.skirmish.battles import Skirmish
from macpf.envs.smac.skirmish.features import N_COLUMNS, PCOOLDOWN, PHEALTH, PSHIELD, PX, PY

#: Directions of the actions 2 to 5: north, south, east, west.
DIRECTIONS = np.array([[0, 1], [0, -1], [1, 0], [-1, 0]], dtype=np.float64)
#: Kiting: retreat from enemies nearer than this, if the weapon cools down for more game loops than this.
KITE_DISTANCE, KITE_COOLDOWN = 5.0, 1.0
#: Corridor: the agents' end of the passage, and their distance from it.
CHOKE, CHOKE_RADIUS = (10.6, 10.6), 1.6
#: Corridor: the agents only attack enemies within this distance.
CHOKE_REACH = 1.6

#: Weapons with at most this range are melee.
MELEE = 1.0

Actions = Int[np.ndarray, "B N"]
Policy = Callable[[Skirmish, Step], Actions]


@dataclass(frozen=True)
class Field:
    """All units of B battles, agents first.

    Attributes:
        at: [B, U, 2] positions.
        points: [B, U] health and shield together.
        health: [B, U] health alone; 0 for the dead.
        cooldown: [B, U] game loops until the weapon is ready; energy of medivacs.
        available: [B, N, A] available actions.
        n: number of agents.
    """

    at: Float[np.ndarray, "B U 2"]
    points: Float[np.ndarray, "B U"]
    health: Float[np.ndarray, "B U"]
    cooldown: Float[np.ndarray, "B U"]
    available: Bool[np.ndarray, "B N A"]
    n: int

    @classmethod
    def of(cls, env: Skirmish, step: Step) -> Field:
        """The units of an environment as they are now."""
        n, units = env.spec.n_agents, env.floats.shape[2]
        table = env.units[:, : N_COLUMNS * units].reshape(env.batch_size, N_COLUMNS, units).astype(np.float64)
        return cls(
            at=np.stack([table[:, PX], table[:, PY]], axis=-1),
            points=table[:, PHEALTH] + table[:, PSHIELD],
            health=table[:, PHEALTH],
            cooldown=table[:, PCOOLDOWN],
            available=step.available,
            n=n,
        )

    def distances(self, first: int, end: int) -> Float[np.ndarray, "B N T"]:
        """Distance from each agent to units first to end - 1; infinite for dead ones."""
        apart = np.linalg.norm(self.at[:, : self.n, None] - self.at[:, None, first:end], axis=-1)
        return np.where(self.health[:, None, first:end] > 0, apart, np.inf)

    def orders(self, actions: Actions) -> Actions:
        """Complete the actions: dead agents take no-op, and negative actions become stop."""
        dead = self.health[:, : self.n] <= 0
        return np.where(dead, NO_OP, np.where(actions < 0, STOP, actions))

    def step_towards(self, wish: Float[np.ndarray, "B N 2"]) -> Actions:
        """The available move that goes farthest in the desired direction; stop if there is none."""
        gain = np.where(self.available[:, :, 2:FIRST_ATTACK], wish @ DIRECTIONS.T, -1)
        return np.where(gain.max(axis=-1) > 0, 2 + gain.argmax(axis=-1), STOP)


def _medics(env: Skirmish) -> Bool[np.ndarray, " N"]:
    return env.field.stats[L.KIND, : env.spec.n_agents] == L.MEDIVAC


def _targets(env: Skirmish, field: Field) -> tuple[Float[np.ndarray, "B N T"], Bool[np.ndarray, "B N T"]]:
    """Distance to the target of each action from 6 on, and whether it can be hit (or needs healing)."""
    n, n_enemies = field.n, env.map.n_enemies
    apart = field.distances(n, n + n_enemies)
    sense = np.broadcast_to(env.field.damage[:n, n:] > 0, apart.shape) & np.isfinite(apart)
    more = ((0, 0), (0, 0), (0, env.spec.n_actions - FIRST_ATTACK - n_enemies))  # if agents outnumber enemies
    apart, sense = np.pad(apart, more, constant_values=np.inf), np.pad(sense, more)
    medics = _medics(env)
    if medics.any():
        wounded = (field.health[:, :n] < env.field.stats[L.MAX_HEALTH, :n]) & (field.health[:, :n] > 0) & ~medics
        friends = np.full_like(apart, np.inf)
        friends[:, :, :n] = field.distances(0, n)
        worth = np.zeros_like(sense)
        worth[:, :, :n] = wounded[:, None]
        apart = np.where(medics[:, None], friends, apart)
        sense = np.where(medics[:, None], worth, sense)
    return apart, sense


def _nearest(apart: Float[np.ndarray, "B N T"], sense: Bool[np.ndarray, "B N T"]) -> Int[np.ndarray, "B N"]:
    """Index of the nearest useful target; -1 where there is none."""
    reach = np.where(sense, apart, np.inf)
    return np.where(np.isfinite(reach.min(axis=-1)), reach.argmin(axis=-1), -1)


def _attack(target: Int[np.ndarray, "B N"]) -> Actions:
    return np.where(target >= 0, FIRST_ATTACK + target, -1)


class Random:
    """Uniformly random available actions."""

    def __init__(self, env: Skirmish, rng: np.random.Generator) -> None:
        self.rng = rng

    def __call__(self, env: Skirmish, step: Step) -> Actions:
        """Actions [B, N]."""
        draws = self.rng.random(step.available.shape, dtype=np.float32)
        return np.where(step.available, draws, -1).argmax(axis=-1)


class Stop:
    """Stand still and do nothing."""

    def __init__(self, env: Skirmish, rng: np.random.Generator) -> None:
        pass

    def __call__(self, env: Skirmish, step: Step) -> Actions:
        """Actions [B, N]."""
        return np.where(step.available[:, :, STOP], STOP, NO_OP)


class Stand:
    """Never move; attack the nearest enemy for which SMAC makes the action available (centres within 6 cells)."""

    def __init__(self, env: Skirmish, rng: np.random.Generator) -> None:
        pass

    def __call__(self, env: Skirmish, step: Step) -> Actions:
        """Actions [B, N]."""
        field = Field.of(env, step)
        apart, sense = _targets(env, field)
        return field.orders(_attack(_nearest(apart, sense & step.available[:, :, FIRST_ATTACK:])))


class Heuristic:
    """SMAC's `heuristic_ai`: keep a target until it is dead (or healed), then take the nearest at any distance.

    SMAC sends these orders to the game at any distance, so they need not be available actions.
    """

    def __init__(self, env: Skirmish, rng: np.random.Generator) -> None:
        self.target = np.full((env.batch_size, env.spec.n_agents), -1)

    def __call__(self, env: Skirmish, step: Step) -> Actions:
        """Actions [B, N]."""
        field = Field.of(env, step)
        apart, sense = _targets(env, field)
        kept = np.take_along_axis(sense, np.maximum(self.target, 0)[..., None], axis=-1)[..., 0] & (self.target >= 0)
        self.target = np.where(kept, self.target, _nearest(apart, sense))
        return field.orders(_attack(self.target))


class Focus:
    """Ranged units attack the weakest enemy that any of them can attack; those that cannot attack it, the nearest.

    Melee units attack the nearest. All wait for the enemies, unless these hold their positions, and advance as soon as
    any agent can attack.
    """

    def __init__(self, env: Skirmish, rng: np.random.Generator) -> None:
        pass

    def __call__(self, env: Skirmish, step: Step) -> Actions:
        """Actions [B, N]."""
        field = Field.of(env, step)
        apart, sense = _targets(env, field)
        medics, n = _medics(env), field.n
        offered = sense & step.available[:, :, FIRST_ATTACK:]
        shooters = offered & (~medics & (env.field.stats[L.RANGE, :n] > MELEE))[:, None]
        shot_at = shooters.any(axis=1)[:, : env.map.n_enemies]
        points = np.where(shot_at, field.points[:, n:], np.inf)
        weakest = points.argmin(axis=-1)[:, None, None]
        hits = np.take_along_axis(shooters, weakest, axis=-1)[..., 0]
        target = np.where(hits, weakest[..., 0], _nearest(apart, offered))
        nearest = np.maximum(_nearest(apart, sense), 0)
        others = np.where(medics, nearest, n + nearest)
        wish = np.take_along_axis(field.at, others[..., None], axis=1) - field.at[:, :n]
        fighting = offered.any(axis=(1, 2))[:, None] | (env.map.order == "hold")
        idle = np.where(fighting & sense.any(axis=-1), field.step_towards(wish), STOP)
        return field.orders(np.where(target >= 0, FIRST_ATTACK + target, idle))


class Kite:
    """Ranged units against melee: retreat from near enemies while the weapon cools down, else attack the nearest.

    Retreating units also keep away from the edge of the ground, to avoid being cornered.
    """

    def __init__(self, env: Skirmish, rng: np.random.Generator) -> None:
        cells = np.argwhere(load_terrain(env.map.terrain).pathing) + 0.5
        self.middle, self.reach = cells.mean(axis=0), np.ptp(cells, axis=0) / 2

    def __call__(self, env: Skirmish, step: Step) -> Actions:
        """Actions [B, N]."""
        field = Field.of(env, step)
        apart, sense = _targets(env, field)
        n = field.n
        here, there = field.at[:, :n, None], field.at[:, None, n:]
        near = np.where(sense, apart, np.inf)[:, :, : env.map.n_enemies, None]
        push = ((here - there) * near**-3.0).sum(axis=2)
        push /= np.maximum(np.linalg.norm(push, axis=-1, keepdims=True), 1e-9)
        offset = (field.at[:, :n] - self.middle) / self.reach  # as strong as the push at the very edge
        away = field.step_towards(push - offset * np.abs(offset) ** 2)
        flees = (field.cooldown[:, :n] > KITE_COOLDOWN) & (np.where(sense, apart, np.inf).min(axis=-1) < KITE_DISTANCE)
        target = _nearest(apart, sense & step.available[:, :, FIRST_ATTACK:])
        nearest = n + np.maximum(_nearest(apart, sense), 0)
        closer = field.step_towards(np.take_along_axis(field.at, nearest[..., None], axis=1) - field.at[:, :n])
        return field.orders(np.where(flees, away, np.where(target >= 0, FIRST_ATTACK + target, closer)))


class Choke:
    """On corridor: hold an arc around the agents' end of the passage, and attack enemies that come through."""

    def __init__(self, env: Skirmish, rng: np.random.Generator) -> None:
        n = env.spec.n_agents
        angles = np.radians(np.linspace(135, 315, n))  # half a circle that faces the passage from the south-west
        self.posts = np.array(CHOKE) + CHOKE_RADIUS * np.stack([np.cos(angles), np.sin(angles)], axis=-1)

    def __call__(self, env: Skirmish, step: Step) -> Actions:
        """Actions [B, N]."""
        field = Field.of(env, step)
        apart, sense = _targets(env, field)
        n = field.n
        wish = self.posts - field.at[:, :n]
        far = np.abs(wish).max(axis=-1) > 0.6
        nearest = _nearest(apart, sense & step.available[:, :, FIRST_ATTACK:] & (apart < CHOKE_REACH))
        return field.orders(np.where(nearest >= 0, _attack(nearest), np.where(far, field.step_towards(wish), STOP)))


#: The policies by their names in the command and the documentation.
POLICIES: dict[str, Callable[[Skirmish, np.random.Generator], Policy]] = {
    "random": Random, "stop": Stop, "stand": Stand, "heuristic": Heuristic, "focus": Focus, "kite": Kite,
    "choke": Choke,
}  # fmt: skip


def plays(policy: str, env: Skirmish) -> bool:
    """Whether a policy suits a map: kite needs ranged agents and only melee enemies, choke the map corridor."""
    n, reach = env.spec.n_agents, env.field.stats[L.RANGE]
    if policy == "kite":
        return bool((reach[:n] > MELEE).all() and (reach[n:] < MELEE).all())
    return policy != "choke" or env.map.name == "corridor"
