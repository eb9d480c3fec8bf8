"""The backends of the particle worlds: this project's compiled code, or mpe2 itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from macpf.envs.base import Env
from macpf.envs.mpe.particles import Particles, refuse_unknown

#: For each task, mpe2's name for it and the arguments that mpe2 has only for this task.
MPE2 = {
    "simple_spread": ("mpe2.simple_spread_v3", ("local_ratio",)),
    "formation_control": ("mpe2.simple_formation_v1", ()),
    "line_control": ("mpe2.simple_line_v1", ()),
}
#: The rules that mpe2 has no option for, with the values that it uses.
FIXED = {"integration": "position_first", "landmark_range": 1.0, "self_collision": False}


def make(
    backend: str,
    task: str,
    rules: str,
    rule_sets: Mapping[str, Mapping[str, Any]],
    n_agents: int,
    steps: int,
    reward: str,
    end_at_success: bool,
    batch_size: int,
    seed: int,
) -> Env:
    """B worlds of a task on the chosen backend.

    Args:
        backend: ``embedded``, or ``mpe2`` (slow; for comparisons).
        rules: name of one of the `rule_sets`.
        rule_sets: by name, the arguments integration, landmark_range, self_collision and local_ratio of `Particles`.
        task, n_agents, steps, reward, end_at_success, batch_size, seed: see `Particles`.

    Raises:
        ValueError: a value is unknown, out of range, or one that mpe2 has no option for.
    """
    refuse_unknown("env.backend", backend, ("embedded", "mpe2"))
    refuse_unknown("map.name", task, MPE2)
    refuse_unknown("env.rules", rules, rule_sets)
    chosen = dict(rule_sets[rules])
    if backend == "embedded":
        return Particles(task, batch_size, seed, n_agents, steps, reward, end_at_success, **chosen)
    from macpf.envs.pettingzoo import PettingZoo  # imported late, as training does not need it

    ratio = chosen.pop("local_ratio")
    if chosen != FIXED or ratio is None:
        raise ValueError(f"env.backend=mpe2 cannot play env.rules={rules}; type env.rules=mpe2 with it")
    name, arguments = MPE2[task]
    options = {"N": n_agents, "max_cycles": steps, "terminate_on_success": end_at_success}
    options |= {"local_ratio": ratio} if "local_ratio" in arguments else {}
    return PettingZoo(name, options, reward, "concat", steps, batch_size, seed)
