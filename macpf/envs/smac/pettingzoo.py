"""The embedded engine as a PettingZoo parallel environment, for use without the rest of this suite."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from jaxtyping import Bool
from pydantic import ValidationError

from macpf.envs.base import Step, checked_seed, whole_action
from macpf.envs.parallel import Observation, ParallelTeam, refuse_mode
from macpf.envs.smac.skirmish.battles import Skirmish
from macpf.envs.smac.skirmish.random import new_streams

#: The settings that `battles` passes to the engine.
SETTINGS = tuple(inspect.signature(Skirmish).parameters)[3:]


def battles(map_name: str, batch_size: int, settings: dict[str, Any]) -> Skirmish:
    """The engine with the given settings. Without a ``seed`` among them the battles differ each time.

    Raises:
        ValueError: a map or setting is unknown, or a value is invalid.
    """
    unknown = sorted(set(settings) - {*SETTINGS, "seed"})
    if unknown:
        choices = ", ".join(("seed", *SETTINGS))
        raise ValueError(f"{unknown[0]}={settings[unknown[0]]} is no setting of the engine; choose from: {choices}")
    given = {name: value for name, value in settings.items() if name != "seed"}
    seed = settings.get("seed")
    entropy = int(np.random.SeedSequence().generate_state(1)[0])
    try:
        return Skirmish(map_name, batch_size, entropy if seed is None else checked_seed(seed), **given)
    except ValidationError as error:  # of the engine's parameters; pydantic's own message has many lines
        (wrong, *_) = error.errors()
        raise ValueError(
            f"parameters: {'.'.join(map(str, wrong['loc']))}={wrong['input']} cannot be used: {wrong['msg']}"
        ) from error


class AvailableActions(spaces.Discrete):
    """The action space of one agent; samples without a mask are available actions."""

    def __init__(self, n: int) -> None:
        super().__init__(n)
        self.now = np.ones(n, dtype=np.int8)

    def sample(self, mask: np.ndarray | None = None, probability: np.ndarray | None = None) -> np.int64:
        """Draw an action uniformly over the mask (default: what is available now), or by the probabilities."""
        if mask is None and probability is None:
            mask = self.now
        return super().sample(mask, probability)


class ParallelSkirmish(ParallelTeam):
    """One battle of a SMAC map.

    Agents are ``agent_0`` ... in SMAC's order. As in SMAC, the team shares one reward. Dead agents stay in `agents`
    until the battle is over, with no-op as their only action and zeros as their observation, so they still receive the
    reward of a later victory. All agents terminate together, or are truncated at the map's time limit.
    Observations are float32 [O] with an int8 ``action_mask`` [A], 1 for available actions. Infos hold ``battle_won``,
    ``dead_allies``, ``dead_enemies`` and the agent's ``action_mask``. The state is SMAC's: health, cooldown, position,
    shield and type of all units, and the last actions.

    Args:
        map_name: one of the 25 maps, one of SMACv2's scenarios, or a battle of one's own (`scenarios.find_map`).
        render_mode: None, or ``rgb_array`` for `render`.
        flat_observations: observations are vectors [O] without masks, as SuperSuit's wrappers need them (frame
            stacking, agent indicators). The infos and action spaces have the masks in any case.
        settings: further arguments of `Skirmish`. Without a ``seed`` here or in `reset`, battles differ each time.

    Raises:
        ValueError: a map, render mode or setting is unknown, or a value is invalid.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "smac_skirmish_v0",
        "render_modes": ["rgb_array"],
        "render_fps": 8,
        "is_parallelizable": True,
    }
    action_spaces: dict[str, AvailableActions]
    episode = "battle"

    def __init__(
        self, map_name: str, render_mode: str | None = None, flat_observations: bool = False, **settings: Any
    ) -> None:
        refuse_mode(render_mode)
        self.battle, self.flat = battles(map_name, 1, settings), flat_observations
        super().__init__(self.battle, render_mode)
        spec = self.battle.spec
        self.action_spaces = {agent: AvailableActions(spec.n_actions) for agent in self.possible_agents}
        seen = spaces.Box(-1.0, 1.0, (spec.obs_dim,), np.float32)
        mask = spaces.Box(0, 1, (spec.n_actions,), np.int8)
        self.observation_spaces = {
            agent: seen if flat_observations else spaces.Dict({"observation": seen, "action_mask": mask})
            for agent in self.possible_agents
        }

    def action_space(self, agent: str) -> AvailableActions:
        """No-op, stop, move north, south, east, west, then one action per enemy to attack (medivacs: agent to heal)."""
        return self.action_spaces[agent]

    @property
    def _idle(self) -> str:
        return "no battle has begun" if self._last is None else "the battle is over"

    def _plant(self, seed: int) -> None:
        self.battle.streams[...] = new_streams(seed, 1)

    def _action(self, agent: str, actions: dict[str, int], available: Bool[np.ndarray, " A"]) -> int:
        if agent not in actions:
            raise ValueError(f"{agent} has no action; give one for every agent (the dead take 0, no-op)")
        action = whole_action(agent, actions[agent])
        if not (0 <= action < len(available) and available[action]):
            choices = ", ".join(map(str, np.flatnonzero(available)))
            raise ValueError(f"{agent}: action {action} is not available; choose one of: {choices}")
        return action

    def _observations(self, step: Step) -> dict[str, Observation]:
        masks = step.available[0].astype(np.int8)
        for agent, mask in zip(self.possible_agents, masks, strict=True):
            self.action_spaces[agent].now = mask
        return {
            agent: step.obs[0, k].copy()
            if self.flat
            else {"observation": step.obs[0, k].copy(), "action_mask": masks[k].copy()}
            for k, agent in enumerate(self.possible_agents)
        }

    def _infos(self, step: Step) -> dict[str, dict[str, Any]]:
        facts = {
            "battle_won": bool(step.info["battle_won"][0]),
            "dead_allies": int(step.info["dead_allies"][0]),
            "dead_enemies": int(step.info["dead_enemies"][0]),
        }
        masks = step.available[0].astype(np.int8)
        return {agent: facts | {"action_mask": masks[k]} for k, agent in enumerate(self.possible_agents)}
