"""Who plays SMAC: the embedded engine, or the real game where it is installed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from macpf.envs.base import Env

EMBEDDED, STARCRAFT = "embedded", "starcraft"


def choose() -> tuple[str, str]:
    """What ``env.backend=auto`` stands for on this machine, and why."""
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
) -> Env:
    """B battles of a map on the chosen backend; the arguments are those of `Skirmish`.

    Raises:
        ValueError: no such backend or map, or a value that it cannot use.
    """
    if myopic_allies not in ("drop", "zero"):
        raise ValueError(f"env.make.myopic_allies={myopic_allies} is not known; use drop or zero")
    zero_ally_block = myopic_allies == "zero"
    rewards = {
        "reward_sparse": reward_sparse,
        "reward_only_positive": reward_only_positive,
        "reward_scale": reward_scale,
    }
    if backend == EMBEDDED:
        from macpf.envs.smac.skirmish.env import Skirmish

        return Skirmish(map_name, batch_size, seed, parameters, zero_ally_block=zero_ally_block, **rewards)
    if backend == STARCRAFT:
        from macpf.envs.smac.starcraft import StarCraft

        return StarCraft(map_name, batch_size, seed, options=rewards, zero_ally_block=zero_ally_block)
    raise ValueError(f"env.backend={backend} is not known; use auto, {EMBEDDED} or {STARCRAFT}")
