"""What no data file tells about the game: every guess of the engine, by name."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Literal

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

NotNegative = Annotated[float, Field(ge=0)]
#: Fields that compiled code does not read.
NAMES = ("version", "unit_data")


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Parameters:
    """Guesses about StarCraft II, in game loops (16 a second) and cells unless said otherwise.

    Attributes:
        version: of the engine's rules: raised with every change that lets battles go another way, so that results of
            two versions are never pooled.
        unit_data: set of unit data, ``multiplayer`` or ``liberty``; see `macpf.envs.smac.units`.
        scan_interval: loops between two looks for a nearer target of an enemy whose target is out of range; one that
            has no target looks in every loop.
        nearest_at_each_shot: whether an enemy shoots at whoever is nearest then, or at one target until it is dead.
        enemy_backswing_blocks: whether enemies finish their backswing before they walk, even if their target is dead.
        enemy_medivac_follows: whether the enemy's medivac goes with its army, or stays where it was made.
        healer_first: whether enemies prefer medivacs to nearer targets, as SMAClite has it.
        missile_flight: whether missiles take time to arrive.
        refused_keeps_order: whether an order the game refuses (attack what one cannot hit, heal who is well) leaves
            the unit with its previous order; otherwise it stops.
        beam_delay: loops from a colossus's damage point to its burn.
        spine_delay: loops that a spine crawler's tentacle travels.
        widest_turn: degrees that a walking unit turns at most to get around others, in steps of 30.
        softness: how deep a walker may press into an idle friend, in cells, which is then pushed away.
        push: farthest that overlapping friends are moved apart in a loop.
        help_radius: enemies without a target come to a friend that is hit this near.
        help_period: loops between two such calls.
        arrival: a march is over this near to its point.
        march_spread: how far apart enemies march to, as a multiple of how far apart they start.
        yielding: how near a walker may come to a walking friend, as a share of the distance at which they touch.
        horizon: how far walkers look for friends who stand and fight, to go around them.
        loyalty: radians of a detour that a walker accepts rather than change the side on which it goes around.
        preroll_loops: loops that pass before the first observation.
        start_spacing: how far apart the units of a group start, as a multiple of where the maps' data have them.
        start_turn: degrees by which these formations are turned.
        spawn_jitter: radius of random displacement at the start; SMAC has none.
    """

    version: Literal[2] = 2
    unit_data: Literal["multiplayer", "liberty"] = "multiplayer"
    scan_interval: Annotated[int, Field(ge=1)] = 2
    nearest_at_each_shot: bool = True
    enemy_backswing_blocks: bool = True
    enemy_medivac_follows: bool = True
    healer_first: bool = False
    missile_flight: bool = True
    refused_keeps_order: bool = True
    beam_delay: NotNegative = 11.5
    spine_delay: NotNegative = 3.2
    widest_turn: Annotated[int, Field(ge=0, le=150, multiple_of=30)] = 120
    softness: NotNegative = 0.06
    push: NotNegative = 0.2
    help_radius: NotNegative = 4.0
    help_period: NotNegative = 32.0
    arrival: NotNegative = 0.5
    march_spread: NotNegative = 3.0
    yielding: Annotated[float, Field(ge=0, le=1)] = 0.7
    horizon: NotNegative = 6.0
    loyalty: NotNegative = 1.0
    preroll_loops: Annotated[int, Field(ge=0)] = 0
    start_spacing: NotNegative = 1.0
    start_turn: float = 0.0
    spawn_jitter: NotNegative = 0.0

    def vector(self) -> np.ndarray:
        """All guesses as numbers in the order of the fields, for compiled code."""
        return np.array([getattr(self, f.name) for f in fields(self) if f.name not in NAMES], dtype=np.float64)


(
    SCAN_INTERVAL, NEAREST_AT_EACH_SHOT, BACKSWING_BLOCKS, MEDIVAC_FOLLOWS, HEALER_FIRST, MISSILE_FLIGHT,
    REFUSED_KEEPS, BEAM_DELAY, SPINE_DELAY, WIDEST_TURN, SOFTNESS, PUSH, HELP_RADIUS, HELP_PERIOD, ARRIVAL,
    MARCH_SPREAD, YIELDING, HORIZON, LOYALTY, PREROLL, SPACING, TURNED, JITTER,
) = range(23)  # fmt: skip
