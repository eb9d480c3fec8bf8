"""A particle world as a PettingZoo parallel environment, for use without the rest of the suite."""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

import numpy as np
import yaml
from gymnasium import spaces
from jaxtyping import Float, UInt8
from pettingzoo import ParallelEnv

from macpf.choices import CONF
from macpf.envs.base import Step, checked_seed, whole_action
from macpf.envs.mpe.particles import Particles, refuse_unknown
from macpf.extras import require

#: The observation of one agent: float32 [O].
Observation: TypeAlias = np.ndarray


class ParallelParticles(ParallelEnv[str, Observation, int]):
    """One world of a particle task.

    Agents are ``agent_0`` ...; the team shares one reward. All agents are truncated together at the time limit, or
    terminate together with ``end_at_success=True``.

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
        refuse_unknown("render_mode", str(render_mode), ("None", "rgb_array"))
        rule_sets = yaml.safe_load((CONF / "env" / "mpe.yaml").read_text(encoding="utf-8"))["rule_sets"]
        refuse_unknown("rules", rules, rule_sets)
        chosen = {"reward": "sum", "end_at_success": False, **rule_sets[rules]}
        if unknown := sorted(set(settings) - set(chosen)):
            choices = ", ".join(chosen)
            raise ValueError(f"{unknown[0]}={settings[unknown[0]]} is no setting of the world; choose from: {choices}")
        fresh = int(np.random.SeedSequence().generate_state(1)[0])  # worlds differ until reset(seed=...) says otherwise
        self.world = Particles(task, 1, fresh, n_agents, steps, **(chosen | settings))
        self.render_mode = render_mode
        spec = self.world.spec
        self.possible_agents = [f"agent_{k}" for k in range(n_agents)]
        self.agents: list[str] = []
        self.state_space = spaces.Box(-np.inf, np.inf, (spec.state_dim,), np.float32)
        seen = spaces.Box(-np.inf, np.inf, (spec.obs_dim,), np.float32)
        self.observation_spaces = dict.fromkeys(self.possible_agents, seen)
        self.action_spaces = {agent: spaces.Discrete(spec.n_actions) for agent in self.possible_agents}
        self._last: Step | None = None

    def observation_space(self, agent: str) -> spaces.Box:
        """Velocity and position of the agent, and relative positions of landmarks (in simple spread also of agents).

        In simple spread, two zeros for each other agent follow, as in MPE.
        """
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Discrete:
        """Five actions: no force, left, right, down, up."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Observation], dict[str, dict[str, Any]]]:
        """Start an episode. The same seed and actions give the same results, bit for bit.

        Args:
            seed: seed of this and later episodes; None: the random stream continues.
            options: not used.

        Raises:
            ValueError: the seed is negative or not a whole number.
        """
        if seed is not None:
            self.world.streams = [np.random.default_rng(np.random.SeedSequence(checked_seed(seed), spawn_key=(0,)))]
        self._last = self.world.reset()
        self.agents = list(self.possible_agents)
        return self._observations(self._last), {agent: {} for agent in self.agents}

    def step(
        self, actions: dict[str, int]
    ) -> tuple[dict[str, Observation], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Take one action of every agent. After the end of an episode, a call without actions does nothing.

        Raises:
            ValueError: no episode is being played, or an agent has no action or an unknown one.
        """
        if not self.agents and not actions and self._last is not None:
            return {}, {}, {}, {}, {}
        if not self.agents:
            raise ValueError("no episode is being played; call reset() first")
        for agent in self.agents:
            if agent not in actions or not self.action_spaces[agent].contains(whole_action(agent, actions[agent])):
                raise ValueError(f"{agent}: action {actions.get(agent)} is not known; choose one of: 0, 1, 2, 3, 4")
        joint = np.array([[whole_action(agent, actions[agent]) for agent in self.agents]])
        step = self._last = self.world.step(joint)
        agents = self.agents
        self.agents = [] if bool((step.terminated | step.truncated)[0]) else agents
        return (
            self._observations(step),
            dict.fromkeys(agents, float(step.reward[0])),
            dict.fromkeys(agents, bool(step.terminated[0])),
            dict.fromkeys(agents, bool(step.truncated[0])),
            {agent: {} for agent in agents},
        )

    def state(self) -> Float[np.ndarray, " S"]:
        """The global state: all observations, concatenated.

        Raises:
            ValueError: no episode has begun.
        """
        if self._last is None:
            raise ValueError("no episode has begun; call reset() first")
        return self._last.state[0].copy()

    def render(self) -> UInt8[np.ndarray, "H W 3"]:
        """A picture of the world; see `macpf.envs.mpe.particle_pictures.draw`.

        Raises:
            ValueError: the environment was made without a render mode.
            macpf.extras.MissingExtra: matplotlib is not installed.
        """
        if self.render_mode is None:
            raise ValueError('render_mode=None draws nothing; make the environment with render_mode="rgb_array"')
        require("render", "a picture of a world")
        return self.world.draw(0)

    def close(self) -> None:
        """Does nothing: there is no window to close."""

    def _observations(self, step: Step) -> dict[str, Observation]:
        return {agent: step.obs[0, k].copy() for k, agent in enumerate(self.possible_agents)}
