"""The paper's three particle worlds: simple spread, formation control and line control.

For use without the rest of the suite, `parallel_env` makes a PettingZoo environment::

    from macpf.envs.mpe import parallel_env

    env = parallel_env("formation_control", n_agents=4)
    observations, infos = env.reset(seed=0)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from macpf.envs.mpe.pettingzoo import ParallelParticles


def parallel_env(
    task: str, rules: str = "paper", n_agents: int = 3, steps: int = 25, render_mode: str | None = None, **settings: Any
) -> ParallelParticles:
    """One particle world as a PettingZoo parallel environment; see `macpf.envs.mpe.pettingzoo.ParallelParticles`.

    Args:
        task: simple_spread, formation_control or line_control.
        rules: ``paper``, which training uses, or ``mpe2``.
        n_agents: number of agents.
        steps: env steps until an episode is cut.
        render_mode: None, or ``rgb_array`` for `render`.
        settings: further arguments of `macpf.envs.mpe.particles.Particles`; they override those of the rules.

    Raises:
        ValueError: the task, the rules, the render mode or a setting is unknown, or a value is invalid.
    """
    from macpf.envs.mpe.pettingzoo import ParallelParticles  # imported late, as compiling the world takes time

    return ParallelParticles(task, rules, n_agents, steps, render_mode, **settings)
