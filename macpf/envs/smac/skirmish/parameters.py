"""What no data file tells about the game: every guess of the engine, by name."""

from __future__ import annotations

from dataclasses import astuple
from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

NotNegative = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Parameters:
    """Guesses about StarCraft II, in game loops (16 a second) and cells unless said otherwise.

    Attributes:
        scan_interval: loops between two looks for a nearer target of an enemy whose target is out of range; one that
            has no target looks in every loop.
        enemy_backswing_blocks: whether enemies finish their backswing before they chase.
        enemy_medivac_follows: whether the enemy's medivac goes with its army, or stays where it was made.
        healer_first: whether enemies prefer medivacs to nearer targets, as SMAClite has it.
        missile_flight: whether missiles take time to arrive.
        refused_keeps_order: whether an order the game refuses (attack what one cannot hit, heal who is well) leaves
            the unit with its previous order; otherwise it stops.
        beam_delay: loops from a colossus's damage point to its burn.
        spine_delay: loops that a spine crawler's tentacle travels.
        widest_turn: degrees that a walking unit turns at most to get around others, in steps of 30.
        softness: how deep a walker may press into an idle friend, in cells, which is then pushed away.
        push: farthest that overlapping units are moved apart in a loop.
        help_radius: enemies without a target come to a friend that is hit this near.
        help_period: loops between two such calls.
        arrival: a march is over this near to its point.
        preroll_loops: loops that pass before the first observation.
        spawn_jitter: radius of random displacement at the start; SMAC has none.
    """

    scan_interval: Annotated[int, Field(ge=1)] = 2
    enemy_backswing_blocks: bool = True
    enemy_medivac_follows: bool = True
    healer_first: bool = False
    missile_flight: bool = True
    refused_keeps_order: bool = True
    beam_delay: NotNegative = 11.5
    spine_delay: NotNegative = 3.2
    widest_turn: Annotated[int, Field(ge=0, le=150, multiple_of=30)] = 120
    softness: NotNegative = 0.06
    push: NotNegative = 0.08
    help_radius: NotNegative = 4.0
    help_period: NotNegative = 32.0
    arrival: NotNegative = 0.5
    preroll_loops: Annotated[int, Field(ge=0)] = 0
    spawn_jitter: NotNegative = 0.0

    def vector(self) -> np.ndarray:
        """All values as numbers in the order of the fields, for compiled code."""
        return np.array(astuple(self), dtype=np.float64)


(
    SCAN_INTERVAL, BACKSWING_BLOCKS, MEDIVAC_FOLLOWS, HEALER_FIRST, MISSILE_FLIGHT, REFUSED_KEEPS,
    BEAM_DELAY, SPINE_DELAY, WIDEST_TURN, SOFTNESS, PUSH, HELP_RADIUS, HELP_PERIOD, ARRIVAL, PREROLL, JITTER,
) = range(16)  # fmt: skip
