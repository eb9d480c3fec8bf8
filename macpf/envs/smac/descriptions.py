"""What a description of a battle may say, checked by pydantic."""

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
    """Units of one type that start as near to a point as there is room."""

    unit: UnitName
    count: Size
    at: Point


@dataclass(frozen=True, config=Strict)
class Teams:
    """Teams drawn for each battle: how many, of what, and which types never make up a team by themselves."""

    allies: Size
    enemies: Size
    units: dict[UnitName, Annotated[float, Field(gt=0)]]
    never_alone: tuple[UnitName, ...] = ()


@dataclass(frozen=True, config=Strict)
class Scenario:
    """A battle: either groups on both sides, or `teams` that are drawn.

    Attributes:
        episode_limit: env steps.
        terrain: ``plain``, or a SMAC map whose ground it is.
        sight: cells that agents see.
        unit_ranges: agents see and may attack as far as their unit does instead (SMACv2).
        own_position: agents observe where they are (SMACv2).
        allies, enemies: groups.
        teams: drawn teams.
        surrounded: with drawn teams, the probability that the agents start surrounded.
        enemies_do: ``hunt`` the nearest agent, ``hold`` their places, or attack-move to a point.
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
    """A description, as it comes from YAML, as a scenario.

    Raises:
        ValueError: one line: the key, its value, what is wanted.
    """
    try:
        return TypeAdapter(Scenario).validate_python(description)
    except ValidationError as error:
        found = error.errors()[0]
        key = ".".join(["map.scenario", *map(str, found["loc"])])
        raise ValueError(f"{key}={found['input']}: {found['msg']}") from None
