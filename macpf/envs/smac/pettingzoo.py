"""The embedded engine as a PettingZoo parallel environment, for use without the rest of this suite."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar, TypeAlias

import numpy as np
from gymnasium import spaces
from jaxtyping import Float, UInt8
from pettingzoo import ParallelEnv
from pydantic import ValidationError

from macpf.envs.base import Step, checked_seed, whole_action
from macpf.envs.smac.skirmish.battles import Skirmish
from macpf.envs.smac.skirmish.random import new_streams
from macpf.extras import require

#: ``observation``: float32 [O]; ``action_mask``: int8 [A], 1 for available actions. Flat: ``observation`` alone.
Observation: TypeAlias = dict[str, np.ndarray] | np.ndarray
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


class ParallelSkirmish(ParallelEnv[str, Observation, int]):
    """One battle of a SMAC map.

    Agents are ``agent_0`` ... in SMAC's order. As in SMAC, the team shares one reward. Dead agents stay in `agents`
    until the battle is over, with no-op as their only action and zeros as their observation, so they still receive the
    reward of a later victory. All agents terminate together, or are truncated at the map's time limit.
    Infos hold ``battle_won``, ``dead_allies``, ``dead_enemies`` and the agent's ``action_mask``.

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

    def __init__(
        self, map_name: str, render_mode: str | None = None, flat_observations: bool = False, **settings: Any
    ) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode={render_mode} is not known; use None or rgb_array")
        self.battle = battles(map_name, 1, settings)
        self.render_mode, self.flat = render_mode, flat_observations
        spec = self.battle.spec
        self.possible_agents = [f"agent_{k}" for k in range(spec.n_agents)]
        self.agents: list[str] = []
        self.state_space = spaces.Box(-np.inf, np.inf, (spec.state_dim,), np.float32)
        self.action_spaces = {agent: AvailableActions(spec.n_actions) for agent in self.possible_agents}
        seen = spaces.Box(-1.0, 1.0, (spec.obs_dim,), np.float32)
        mask = spaces.Box(0, 1, (spec.n_actions,), np.int8)
        self.observation_spaces: dict[str, spaces.Space[Any]] = {
            agent: seen if flat_observations else spaces.Dict({"observation": seen, "action_mask": mask})
            for agent in self.possible_agents
        }
        self._last: Step | None = None

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """The space of ``observation`` and ``action_mask``, or of the observation alone if flat."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> AvailableActions:
        """No-op, stop, move north, south, east, west, then one action per enemy to attack (medivacs: agent to heal)."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Observation], dict[str, dict[str, Any]]]:
        """Start a battle. The same seed and actions give the same bytes; without a seed the random stream continues.

        Args:
            seed: seed of the battles from now on.
            options: not used.

        Raises:
            ValueError: the seed is negative or not a whole number.
        """
        if seed is not None:
            self.battle.streams[...] = new_streams(checked_seed(seed), 1)
        self._last = self.battle.reset()
        self.agents = list(self.possible_agents)
        return self._observations(self._last), self._infos(self._last)

    def step(
        self, actions: dict[str, int]
    ) -> tuple[dict[str, Observation], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Play one action of every agent, including the dead. After the end, an empty `actions` does nothing.

        Raises:
            ValueError: an agent has no action or an unavailable one; nothing was played.
        """
        if not self.agents and not actions and self._last is not None:  # how SuperSuit's black_death finds the end
            return {}, {}, {}, {}, {}
        step = self._last = self.battle.step(self._checked(actions))
        agents = self.agents
        over = bool((step.terminated | step.truncated)[0])
        self.agents = [] if over else agents
        return (
            self._observations(step),
            dict.fromkeys(agents, float(step.reward[0])),
            dict.fromkeys(agents, bool(step.terminated[0])),
            dict.fromkeys(agents, bool(step.truncated[0])),
            self._infos(step),
        )

    def state(self) -> Float[np.ndarray, " S"]:
        """SMAC's global state: health, cooldown, position, shield and type of all units, and the last actions."""
        return self._now.state[0].copy()

    def render(self) -> UInt8[np.ndarray, "H W 3"]:
        """A picture of the battle; see `macpf.envs.smac.skirmish.battle_pictures`.

        Raises:
            ValueError: the environment has no render mode.
        """
        if self.render_mode is None:
            raise ValueError('render_mode=None draws nothing; make the environment with render_mode="rgb_array"')
        require("render", "a picture of a battle")
        from macpf.envs.smac.skirmish.battle_pictures import draw

        return draw(self.battle)

    def close(self) -> None:
        """Does nothing: there is no game to close."""

    @property
    def _now(self) -> Step:
        if self._last is None:
            raise ValueError("no battle has begun; call reset() first")
        return self._last

    def _checked(self, actions: dict[str, int]) -> np.ndarray:
        available = self._now.available[0]
        if not self.agents:
            raise ValueError("the battle is over; call reset() first")
        joint = np.zeros((1, len(self.agents)), dtype=np.int64)
        for k, agent in enumerate(self.agents):
            if agent not in actions:
                raise ValueError(f"{agent} has no action; give one for every agent (the dead take 0, no-op)")
            action = whole_action(agent, actions[agent])
            if not (0 <= action < available.shape[1] and available[k, action]):
                choices = ", ".join(map(str, np.flatnonzero(available[k])))
                raise ValueError(f"{agent}: action {action} is not available; choose one of: {choices}")
            joint[0, k] = action
        return joint

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
