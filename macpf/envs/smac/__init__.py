"""SMAC: the embedded engine and the real game behind one interface.

For use without the rest of the suite, `StarCraft2Env` has SMAC's own interface, `make_vec` plays many battles at once,
and `parallel_env` is a PettingZoo environment::

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
    from macpf.envs.smac.drop_in import StarCraft2Env as StarCraft2Env
    from macpf.envs.smac.pettingzoo import ParallelSkirmish
    from macpf.envs.smac.vector import VectorSkirmish


def parallel_env(
    map_name: str, render_mode: str | None = None, flat_observations: bool = False, **settings: Any
) -> ParallelSkirmish:
    """One battle on the embedded engine as a PettingZoo parallel environment.

    Args:
        map_name: one of the 25 maps, one of SMACv2's scenarios, or a battle of one's own (`scenarios.find_map`).
        render_mode: None, or ``rgb_array`` for `render`.
        flat_observations: observations without action masks; the infos have the masks in any case.
        settings: further arguments of `macpf.envs.smac.skirmish.battles.Skirmish`, e.g. ``reward_sparse=True``.

    Raises:
        ValueError: a map, render mode or setting is unknown, or a value is invalid.
    """
    from macpf.envs.smac.pettingzoo import ParallelSkirmish  # imported here because it compiles the engine

    return ParallelSkirmish(map_name, render_mode, flat_observations, **settings)


def make_vec(map_name: str, num_envs: int, **settings: Any) -> VectorSkirmish:
    """Many battles on the embedded engine as one vector environment of gymnasium; see `VectorSkirmish`.

    Args:
        map_name: one of the 25 maps, one of SMACv2's scenarios, or a battle of one's own (`scenarios.find_map`).
        num_envs: number of parallel battles.
        settings: further arguments of `macpf.envs.smac.skirmish.battles.Skirmish`, e.g. ``reward_sparse=True``.

    Raises:
        ValueError: a map or setting is unknown, or a value is invalid.
    """
    from macpf.envs.smac.vector import VectorSkirmish

    return VectorSkirmish(map_name, num_envs, **settings)


def __getattr__(name: str) -> Any:
    """Import `StarCraft2Env`, and with it the compiled engine, when it is first used."""
    if name == "StarCraft2Env":
        from macpf.envs.smac.drop_in import StarCraft2Env

        return StarCraft2Env
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
