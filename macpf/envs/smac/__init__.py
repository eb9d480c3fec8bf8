"""SMAC: the embedded engine and the real game behind one interface.

For use without the rest of the suite, `parallel_env` makes a PettingZoo environment::

    from macpf.envs.smac import parallel_env

    env = parallel_env("MMM2")
    observations, infos = env.reset(seed=0)
    while env.agents:
        actions = {agent: env.action_space(agent).sample(observations[agent]["action_mask"]) for agent in env.agents}
        observations, rewards, terminations, truncations, infos = env.step(actions)
    print(infos["agent_0"]["battle_won"])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from macpf.envs.smac.pettingzoo import ParallelSkirmish


def parallel_env(map_name: str, render_mode: str | None = None, **settings: Any) -> ParallelSkirmish:
    """One battle on the embedded engine as a PettingZoo parallel environment.

    Args:
        map_name: one of the 25 maps.
        render_mode: None, or ``rgb_array`` for `render`.
        settings: further arguments of `macpf.envs.smac.skirmish.env.Skirmish`, e.g. ``reward_sparse=True``.

    Raises:
        ValueError: no such map, no such render mode, or a setting that cannot be used.
    """
    from macpf.envs.smac.pettingzoo import ParallelSkirmish  # compiles the engine, which others need not wait for

    return ParallelSkirmish(map_name, render_mode, **settings)
