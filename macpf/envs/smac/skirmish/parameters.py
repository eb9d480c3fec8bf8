"""Parameters of the engine that are in no data file of the game: its assumptions, by name."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Literal

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

NotNegative = Annotated[float, Field(ge=0)]
#: Fields that compiled code does not use.
NAMES = ("version", "unit_data")


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Parameters:
    """Assumptions about StarCraft II, in game loops (16 per second) and cells unless noted otherwise.

    Attributes:
        version: version of the engine's rules. It is raised with every change that can alter battles, so that results
            of two versions are never pooled.
        unit_data: set of unit data, ``multiplayer`` or ``liberty``; see `macpf.envs.smac.units`.
        scan_interval: loops between two searches for a nearer target by an enemy whose target is out of range. An enemy
            without a target searches in every loop.
        nearest_at_each_shot: whether enemies choose the nearest target for each attack, or keep one until it is dead.
        enemy_backswing_blocks: whether enemies finish their backswing before they walk, even if their target is dead.
        enemy_medivac_follows: whether the enemies' medivac follows its army, or stays where it starts.
        healer_first: whether enemies prefer medivacs to nearer targets, as in SMAClite.
        missile_flight: whether missiles take time to arrive.
        refused_keeps_order: whether an agent keeps its previous order if the game refuses a new one (to attack a unit
            that it cannot hit, or heal one in full health); otherwise it stops.
        beam_delay: loops from a colossus's damage point to the damage.
        spine_delay: loops from a spine crawler's damage point to the damage.
        widest_turn: largest angle by which a walking unit turns to get around others, in degrees and steps of 30.
        softness: cells by which a walking unit may overlap with an idle friend, which is then pushed away.
        push: largest distance by which overlapping friends are moved apart in a loop.
        help_radius: enemies without a target attack whoever hits a friend within this distance of them.
        help_period: loops between two calls for help of a unit.
        arrival: distance to the target point at which a march ends.
        march_spread: spread of the enemies' target points, as a multiple of the spread of their start positions.
        yielding: smallest distance between walking friends, as a fraction of the distance at which they touch.
        horizon: distance within which walking units go around friends that stand and fight.
        loyalty: a walking unit changes the side of its detour only if that saves more than twice this turn, in radians.
        preroll_loops: loops that are played before the first observation.
        start_spacing: spacing of the units of a group at the start, as a multiple of that in the maps' data.
        start_turn: degrees by which these groups are rotated.
        spawn_jitter: radius of a random displacement at the start; SMAC has none.
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
        """The assumptions as numbers in the order of the fields, for compiled code."""
        return np.array([getattr(self, f.name) for f in fields(self) if f.name not in NAMES], dtype=np.float64)


(
    SCAN_INTERVAL, NEAREST_AT_EACH_SHOT, BACKSWING_BLOCKS, MEDIVAC_FOLLOWS, HEALER_FIRST, MISSILE_FLIGHT,
    REFUSED_KEEPS, BEAM_DELAY, SPINE_DELAY, WIDEST_TURN, SOFTNESS, PUSH, HELP_RADIUS, HELP_PERIOD, ARRIVAL,
    MARCH_SPREAD, YIELDING, HORIZON, LOYALTY, PREROLL, SPACING, TURNED, JITTER,
) = range(23)  # fmt: skip
