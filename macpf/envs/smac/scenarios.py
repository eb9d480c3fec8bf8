"""Custom battles: maps from descriptions in plain values (YAML or Python), and SMACv2's fifteen scenarios by name.

A description is the content of ``scenario`` in a map's file (docs/environments/smac_scenarios.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from macpf.envs.smac.maps import SIZE, RandomTeams, SmacMap, load_map, load_terrain, map_names
from macpf.envs.smac.units import UNITS

if TYPE_CHECKING:
    from macpf.envs.smac.descriptions import Group, Scenario, Teams

#: Unit types by race; each side has units of one race only, as in SMAC.
RACES = {
    "T": ("marine", "marauder", "medivac"),
    "P": ("stalker", "zealot", "colossus"),
    "Z": ("zergling", "hydralisk", "baneling", "spine_crawler"),
}
#: By race: SMACv2's units in the order of its one-hots, with the probability of each, and the units that may not make
#: up a team alone (smacv2/examples/configs, 577ab5a).
SMACV2 = {
    "terran": ({"marine": 0.45, "marauder": 0.45, "medivac": 0.1}, ["medivac"]),
    "protoss": ({"stalker": 0.45, "zealot": 0.45, "colossus": 0.1}, []),
    "zerg": ({"zergling": 0.45, "hydralisk": 0.45, "baneling": 0.1}, ["baneling"]),
}  # fmt: skip
#: Numbers of agents and enemies in SMACv2's scenarios (its README).
SMACV2_SIZES = ((5, 5), (10, 10), (10, 11), (20, 20), (20, 23))


def read_scenario(name: str, description: Any) -> SmacMap:
    """The map that a description defines.

    Args:
        name: name of the map.
        description: values for `Scenario`, as read from YAML.

    Raises:
        ValueError: the description is invalid; one line names the key, its value and what is expected.
    """
    from macpf.envs.smac.descriptions import checked  # loads pydantic, which SMAC's own maps do not need

    scenario = checked(description)
    terrain = _terrain(scenario.terrain)
    if scenario.teams:
        return _drawn(name, scenario, scenario.teams, terrain)
    return _fixed(name, scenario, terrain)


def read_file(path: Path) -> SmacMap:
    """The map of a YAML file with the key ``scenario``.

    Raises:
        ValueError: the file does not exist, is not YAML, or has no valid scenario; one line says which.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{path} cannot be read as a scenario: {' '.join(str(error).split())}") from None
    if not isinstance(content, Mapping) or "scenario" not in content:
        raise ValueError(f"{path} has no key scenario; see docs/environments/smac_scenarios.md")
    return read_scenario(str(content.get("name", path.stem)), content["scenario"])


def smacv2_names() -> tuple[str, ...]:
    """The names of SMACv2's fifteen scenarios."""
    return tuple(f"smacv2_{race}_{a}_vs_{b}" for race in SMACV2 for a, b in SMACV2_SIZES)


def find_map(name: str | Path) -> SmacMap:
    """A map of SMAC or SMACv2 by its name, or the map of a YAML file by its path.

    Raises:
        ValueError: the map is unknown, or the file has no valid scenario.
    """
    if name in smacv2_names():
        race, allies, _, enemies = name.removeprefix("smacv2_").split("_")
        units, never_alone = SMACV2[race]
        teams = {"allies": int(allies), "enemies": int(enemies), "units": units, "never_alone": never_alone}
        return read_scenario(name, {"episode_limit": 200, "unit_ranges": True, "own_position": True, "teams": teams})
    if str(name).endswith((".yaml", ".yml")):
        return read_file(Path(name))
    if name not in map_names():
        choices = ", ".join((*map_names(), *smacv2_names()))
        raise ValueError(f"map.name={name} is no SMAC map; choose one of: {choices}; or the YAML file of your own")
    return load_map(name)


def _terrain(name: str) -> str:
    if name == "plain":
        return "open"
    if name not in map_names():
        raise ValueError(f"map.scenario.terrain={name} is not known; use plain, or one of: {', '.join(map_names())}")
    return load_map(name).terrain


def _race(key: str, units: list[str]) -> str:
    """The race of the units of one side.

    Raises:
        ValueError: the units are of several races, or none of them can attack.
    """
    for race, names in RACES.items():
        if set(units) <= set(names):
            if set(units) == {"medivac"}:
                raise ValueError(f"map.scenario.{key}: medivacs alone cannot fight; add marines or marauders")
            return race
    raise ValueError(f"map.scenario.{key}: {', '.join(dict.fromkeys(units))} are of several races; use one for a side")


def _drawn(name: str, scenario: Scenario, teams: Teams, terrain: str) -> SmacMap:
    if scenario.allies or scenario.enemies:
        raise ValueError("map.scenario has both teams and allies or enemies; use teams alone for teams that are drawn")
    units = tuple(teams.units)
    race = _race("teams.units", list(units))
    if missing := sorted(set(teams.never_alone) - set(units)):
        raise ValueError(f"map.scenario.teams.never_alone={missing[0]} is not among its units: {', '.join(units)}")
    if set(teams.never_alone) == set(units):
        raise ValueError("map.scenario.teams.never_alone names all units; leave one out, or no team can be drawn")
    total = sum(teams.units.values())
    weights = tuple(weight / total for weight in teams.units.values())
    if isinstance(scenario.enemies_do, tuple):
        raise ValueError("map.scenario.enemies_do: with teams the enemies hunt or hold; a point is for groups")
    return _map(
        name,
        scenario,
        terrain,
        races=race + race,
        bits=(units, units),
        allies=((units[0], 0.0, 0.0),) * teams.allies,
        enemies=((units[0], 0.0, 0.0),) * teams.enemies,
        teams=RandomTeams(units, weights, teams.never_alone, scenario.surrounded),
    )


def _fixed(name: str, scenario: Scenario, terrain: str) -> SmacMap:
    from macpf.envs.smac.skirmish.start_places import place  # loads compiled code, which other maps do not need

    for key in ("allies", "enemies"):
        if not getattr(scenario, key):
            raise ValueError(f"map.scenario.{key} is missing; give groups like {{unit: marine, count: 3, at: [8, 16]}}")
    ground = load_terrain(terrain)
    sides, races, bits = [], "", []
    for key in ("allies", "enemies"):
        groups: tuple[Group, ...] = getattr(scenario, key)
        for k, group in enumerate(groups):
            cell = tuple(np.minimum((4 * np.array(group.at)).astype(int), 4 * SIZE - 1))
            if not UNITS[group.unit].flies and not ground.cliff_walk[cell]:
                raise ValueError(f"map.scenario.{key}.{k}.at={list(group.at)} is blocked ground; choose another place")
        units = [group.unit for group in groups for _ in range(group.count)]
        races += _race(key, list(units))
        types = tuple(unit for unit in RACES[races[-1]] if unit in units)
        bits.append(types if len(types) > 1 else ())
        sides.append([(group.unit, *group.at) for group in groups for _ in range(group.count)])
    placed = place(terrain, [*sides[0], *sides[1]])
    allies = sorted(placed[: len(sides[0])])
    return _map(
        name,
        scenario,
        terrain,
        races=races,
        bits=(bits[0], bits[1]),
        allies=tuple(allies),
        enemies=tuple(placed[len(sides[0]) :]),
    )


def _map(name: str, scenario: Scenario, terrain: str, **sides: Any) -> SmacMap:
    point = scenario.enemies_do if isinstance(scenario.enemies_do, tuple) else None
    return SmacMap(
        name=name,
        difficulty="own",
        in_paper=False,
        episode_limit=scenario.episode_limit,
        map_type="scenario",
        terrain=terrain,
        sight_range=scenario.sight,
        ally_block=True,
        order="march" if point else str(scenario.enemies_do),
        order_points=(point, point) if point else (),
        unit_ranges=scenario.unit_ranges,
        own_position=scenario.own_position,
        **sides,
    )
