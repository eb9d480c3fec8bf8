"""The backend of SMAC: the embedded engine, or the real game where it is installed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from macpf.envs.base import Env, refuse_others
from macpf.envs.smac.maps import map_names
from macpf.envs.smac.scenarios import read_scenario

EMBEDDED, STARCRAFT = "embedded", "starcraft"


def choose() -> tuple[str, str]:
    """The backend that ``env.backend=auto`` selects on this machine, and the reason."""
    from macpf.envs.smac.installation import why_not

    reason = why_not()
    if reason is None:
        return STARCRAFT, "StarCraft II and the smac package are installed"
    return EMBEDDED, reason


def make(
    backend: str,
    map_name: str,
    batch_size: int,
    seed: int,
    parameters: Mapping[str, Any],
    reward_sparse: bool,
    reward_only_positive: bool,
    reward_scale: bool,
    myopic_allies: str,
    scenario: Any = None,
    opponent: str = "default",
) -> Env:
    """B battles of a map on the chosen backend; arguments not listed here are those of `Skirmish`.

    Args:
        scenario: description of a custom battle (`macpf.envs.smac.scenarios`); `map_name` is then its name.

    Raises:
        ValueError: the backend or map is unknown, or a value is invalid.
    """
    if myopic_allies not in ("drop", "zero"):
        raise ValueError(f"env.make.myopic_allies={myopic_allies} is not known; use drop or zero")
    zero_ally_block = myopic_allies == "zero"
    rewards: dict[str, Any] = {
        "reward_sparse": reward_sparse,
        "reward_only_positive": reward_only_positive,
        "reward_scale": reward_scale,
    }
    if backend == EMBEDDED:
        from macpf.envs.smac.skirmish.battles import Skirmish

        chosen = map_name if scenario is None else read_scenario(map_name, scenario)
        rules = {"zero_ally_block": zero_ally_block, "opponent": opponent, **rewards}
        return Skirmish(chosen, batch_size, seed, parameters, **rules)
    if backend == STARCRAFT:
        from macpf.envs.smac.starcraft import StarCraft

        if scenario is not None or map_name not in map_names() or opponent != "default":
            raise ValueError(
                "scenarios and opponents of one's own are the embedded engine's alone; type env.backend=embedded"
            )

        refuse_others(bool, **rewards)
        return StarCraft(map_name, batch_size, seed, options=rewards, zero_ally_block=zero_ally_block)
    raise ValueError(f"env.backend={backend} is not known; use auto, {EMBEDDED} or {STARCRAFT}")
