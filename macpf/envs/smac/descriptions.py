"""The format of descriptions of battles, checked by pydantic."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from macpf.envs.smac.maps import SIZE

Strict = ConfigDict(extra="forbid")
UnitName = Literal["marine", "marauder", "medivac", "stalker", "zealot", "colossus", "zergling", "hydralisk",
                   "baneling", "spine_crawler"]  # fmt: skip
Coordinate = Annotated[float, Field(ge=0, le=SIZE)]
Point = tuple[Coordinate, Coordinate]
Size = Annotated[int, Field(ge=1, le=100)]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, config=Strict)
class Group:
    """Units of one type that start at a point, or as near to it as there is room."""

    unit: UnitName
    count: Size
    at: Point


@dataclass(frozen=True, config=Strict)
class Teams:
    """Teams drawn for each battle: sizes, weights of the unit types, and types that cannot make up a team alone."""

    allies: Size
    enemies: Size
    units: dict[UnitName, Annotated[float, Field(gt=0)]]
    never_alone: tuple[UnitName, ...] = ()


@dataclass(frozen=True, config=Strict)
class Scenario:
    """A battle: either groups of units on both sides, or random `teams`.

    Attributes:
        episode_limit: longest episode, in env steps.
        terrain: ``plain``, or the SMAC map whose ground is used.
        sight: sight range of the agents, in cells.
        unit_ranges: use each unit's own sight and attack range instead (SMACv2).
        own_position: agents observe their position (SMACv2).
        allies, enemies: groups of units.
        teams: random teams, drawn for each battle.
        surrounded: with `teams`, the probability that the agents start surrounded.
        enemies_do: ``hunt`` the nearest agent, ``hold`` their positions, or attack-move to this point.
    """

    episode_limit: Annotated[int, Field(ge=1, le=10_000)]
    terrain: str = "plain"
    sight: Annotated[float, Field(gt=0, le=2 * SIZE)] = 9.0
    unit_ranges: bool = False
    own_position: bool = False
    allies: tuple[Group, ...] = ()
    enemies: tuple[Group, ...] = ()
    teams: Teams | None = None
    surrounded: Share = 0.5
    enemies_do: Literal["hunt", "hold"] | Point = "hunt"


def checked(description: Any) -> Scenario:
    """Check a description, as read from YAML, and return it as a scenario.

    Raises:
        ValueError: the description is invalid; one line names the key, its value and what is expected.
    """
    try:
        return TypeAdapter(Scenario).validate_python(description)
    except ValidationError as error:
        found = error.errors()[0]
        key = ".".join(["map.scenario", *map(str, found["loc"])])
        raise ValueError(f"{key}={found['input']}: {found['msg']}") from None
