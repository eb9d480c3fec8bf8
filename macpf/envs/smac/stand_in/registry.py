"""SMAC's table of maps, derived from `macpf.envs.smac.maps`."""

from __future__ import annotations

from typing import Any

from macpf.envs.smac.maps import load_map, map_names


def get_map_params(map_name: str) -> dict[str, Any]:
    """The entry of a map in SMAC's table.

    Raises:
        ValueError: the map is unknown.
    """
    smac_map = load_map(map_name)
    return {
        "n_agents": smac_map.n_agents,
        "n_enemies": smac_map.n_enemies,
        "limit": smac_map.episode_limit,
        "a_race": smac_map.races[0],
        "b_race": smac_map.races[1],
        "unit_type_bits": len(smac_map.type_bits[0]),
        "map_type": smac_map.map_type,
    }


def get_smac_map_registry() -> dict[str, dict[str, Any]]:
    """The whole table, by map names."""
    return {name: get_map_params(name) for name in map_names()}
