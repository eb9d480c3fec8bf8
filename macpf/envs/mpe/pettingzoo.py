"""A particle world as a PettingZoo parallel environment, for use without the rest of the suite."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import yaml
from gymnasium import spaces
from jaxtyping import Bool

from macpf.choices import CONF
from macpf.envs.base import whole_action
from macpf.envs.mpe.particles import Particles, refuse_unknown
from macpf.envs.parallel import ParallelTeam, refuse_mode


class ParallelParticles(ParallelTeam):
    """One world of a particle task.

    Agents are ``agent_0`` ...; the team shares one reward. All agents are truncated together at the time limit, or
    terminate together with ``end_at_success=True``. An agent observes its velocity and position, and relative positions
    of landmarks (in simple spread also of agents, and then two zeros for each other agent, as in MPE). The state is all
    observations, concatenated. The five actions are: no force, left, right, down, up.

    Args:
        task: simple_spread, formation_control or line_control.
        rules: ``paper``, which training uses, or ``mpe2``; conf/env/mpe.yaml defines both.
        n_agents: number of agents N.
        steps: env steps until an episode is cut.
        render_mode: None, or ``rgb_array`` for `render`.
        settings: further arguments of `Particles`, e.g. ``reward="mean"``; they override those of the rules.

    Raises:
        ValueError: the task, the rules, the render mode or a setting is unknown, or a value is invalid.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "particles_v0",
        "render_modes": ["rgb_array"],
        "render_fps": 10,
        "is_parallelizable": True,
    }

    def __init__(
        self, task: str, rules: str, n_agents: int, steps: int, render_mode: str | None = None, **settings: Any
    ) -> None:
        refuse_mode(render_mode)
        rule_sets = yaml.safe_load((CONF / "env" / "mpe.yaml").read_text(encoding="utf-8"))["rule_sets"]
        refuse_unknown("rules", rules, rule_sets)
        chosen = {"reward": "sum", "end_at_success": False, **rule_sets[rules]}
        if unknown := sorted(set(settings) - set(chosen)):
            choices = ", ".join(chosen)
            raise ValueError(f"{unknown[0]}={settings[unknown[0]]} is no setting of the world; choose from: {choices}")
        fresh = int(np.random.SeedSequence().generate_state(1)[0])  # worlds differ until reset(seed=...) says otherwise
        self.world = Particles(task, 1, fresh, n_agents, steps, **(chosen | settings))
        super().__init__(self.world, render_mode)
        seen = spaces.Box(-np.inf, np.inf, (self.world.spec.obs_dim,), np.float32)
        self.observation_spaces = dict.fromkeys(self.possible_agents, seen)
        self.action_spaces = {agent: spaces.Discrete(self.world.spec.n_actions) for agent in self.possible_agents}

    def _plant(self, seed: int) -> None:
        self.world.streams = [np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))]

    def _action(self, agent: str, actions: dict[str, int], available: Bool[np.ndarray, " A"]) -> int:
        if agent in actions and self.action_spaces[agent].contains(action := whole_action(agent, actions[agent])):
            return action
        raise ValueError(f"{agent}: action {actions.get(agent)} is not known; choose one of: 0, 1, 2, 3, 4")
