"""The interface of all environments: a batch of B episodes played in lockstep."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8


@dataclass(frozen=True)
class EnvSpec:
    """The sizes of an environment, as far as algorithms need them.

    Attributes:
        n_agents: number of agents N.
        n_actions: actions per agent A.
        obs_dim: size O of one agent's observation.
        state_dim: size S of the global state.
        episode_limit: most env steps in an episode.
        score: name of the environment's score, e.g. ``return`` or ``win_rate``.
        agent_feature_dim: size F. The first N x F entries of the state are the agents' own features, which attention
            mixers read. 0 if the state has none; these mixers then read observations instead.
        picture: height, width and channels if observations are flattened pictures with values from 0 to 1; else None.
    """

    n_agents: int
    n_actions: int
    obs_dim: int
    state_dim: int
    episode_limit: int
    score: str
    agent_feature_dim: int = 0
    picture: tuple[int, int, int] | None = None

    def __post_init__(self) -> None:
        """Require sizes that can be played.

        Raises:
            ValueError: a size is not a whole number, or too small; or the score has no name.
        """
        if not isinstance(self.score, str) or not self.score.strip() or "/" in self.score:
            raise ValueError(f"spec.score={self.score!r} is no name of a score; give one without a slash")
        if self.score == "episode_length":
            raise ValueError("spec.score='episode_length' is logged beside the score; give the score another name")
        for name in ("n_agents", "n_actions", "obs_dim", "state_dim", "episode_limit", "agent_feature_dim"):
            size = getattr(self, name)
            refuse_others(int, **{f"spec.{name}": size})
            least = 0 if name == "agent_feature_dim" else 1
            if size < least:
                raise ValueError(f"spec.{name}={size} is too small; give a whole number of at least {least}")
        if self.n_agents * self.agent_feature_dim > self.state_dim:
            raise ValueError(
                f"spec.agent_feature_dim={self.agent_feature_dim} of {self.n_agents} agents is more than a state of "
                f"spec.state_dim={self.state_dim} has; use 0 if the state has no features of agents"
            )


@dataclass(frozen=True)
class Step:
    """What B environments return after a reset or a step. Environments whose episode is over return padding.

    Attributes:
        obs: [B, N, O] local observations.
        state: [B, S] global states.
        available: [B, N, A] actions that may be taken; at least one for each agent.
        reward: [B] shared reward of the step (0 after a reset).
        terminated: [B] whether the episode ended by the rules of the game.
        truncated: [B] whether the episode was cut by its time limit.
        info: further results of each episode, each [B] (``battle_won`` and the like).
        record: the few numbers, each [B, ...], from which `Env.expand` computes obs, state and available again; empty
            if there is no more compact form than these three.
    """

    obs: Float[np.ndarray, "B N O"]
    state: Float[np.ndarray, "B S"]
    available: Bool[np.ndarray, "B N A"]
    reward: Float[np.ndarray, " B"]
    terminated: Bool[np.ndarray, " B"]
    truncated: Bool[np.ndarray, " B"]
    info: dict[str, np.ndarray] = field(default_factory=dict)
    record: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def recorded(self) -> dict[str, np.ndarray]:
        """What a replay stores of this step: the record or, without one, obs, state and available."""
        return self.record or {"obs": self.obs, "state": self.state, "available": self.available}


class Env(ABC):
    """B copies of one cooperative environment.

    If observations, state and availability follow from fewer numbers, an environment returns these as `Step.record` and
    overrides `record_type` and `expand`. Replays and checkpoints then store only the record.
    """

    spec: EnvSpec
    batch_size: int
    #: Versions of external programs on which results depend; recorded with the run.
    provenance: Mapping[str, str] = MappingProxyType({})
    #: Names of numbers in the record that are logged at each env step of sample episodes at the end of a run.
    tracked: tuple[str, ...] = ()
    #: Makes the large arrays of `expand`, like `np.zeros`; a run replaces it if it learns on a GPU.
    zeros: Callable[..., np.ndarray] = np.zeros

    @abstractmethod
    def reset(self) -> Step:
        """Start a new episode in each of the B environments."""

    @abstractmethod
    def step(self, actions: Int[np.ndarray, "B N"]) -> Step:
        """Take one joint action in each environment; actions of environments whose episode is over are ignored."""

    def score(self, returns: Float[np.ndarray, " B"], last: Step) -> Float[np.ndarray, " B"]:
        """Scores of B finished episodes, given their undiscounted returns and their last steps."""
        return returns

    @property
    def record_type(self) -> np.dtype[np.void]:
        """Names, types and shapes of `Step.recorded` for one environment, as a structured numpy type."""
        spec = self.spec
        return np.dtype(
            [
                ("obs", np.float32, (spec.n_agents, spec.obs_dim)),
                ("state", np.float32, (spec.state_dim,)),
                ("available", np.bool_, (spec.n_agents, spec.n_actions)),
            ]
        )

    def expand(
        self, record: dict[str, np.ndarray]
    ) -> tuple[Float[np.ndarray, "*axes N O"], Float[np.ndarray, "*axes S"], Bool[np.ndarray, "*axes N A"]]:
        """Observations, state and availability of recorded steps, bit for bit as they were during the rollout.

        Args:
            record: the arrays of `Step.recorded`, contiguous, with any leading axes (e.g. episode and time).
        """
        return record["obs"], record["state"], record["available"]

    def visible(self, record: dict[str, np.ndarray]) -> Bool[np.ndarray, "*axes N N"]:
        """Whether agent i sees agent j in recorded steps; no agent sees itself. By default all agents see each other.

        Args:
            record: as for `expand`.
        """
        lead, N = record["obs"].shape[:-2], self.spec.n_agents
        return np.broadcast_to(~np.eye(N, dtype=np.bool_), (*lead, N, N)).copy()

    def draw(self, b: int) -> UInt8[np.ndarray, "H W 3"]:
        """A picture of environment b.

        Raises:
            NotImplementedError: this environment cannot be drawn.
        """
        raise NotImplementedError(f"{type(self).__name__} does not draw")

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """The state of the environment between two episodes, including its random streams."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""


#: Types of a setting's value, and what they are called, by the type that it has to be.
_KINDS: dict[type, tuple[tuple[type, ...], str]] = {
    bool: ((bool, np.bool_), "true or false"),
    int: ((int, np.integer), "a whole number"),
    float: ((int, float, np.integer, np.floating), "a finite number"),
}


def refuse_others(kind: type, **settings: Any) -> None:
    """Require settings that are all of one kind: bool, int or float.

    Python takes the text ``no`` for true, and would silently round a number where a whole one is meant.

    Raises:
        ValueError: one is of another kind; the message names it.
    """
    types, wanted = _KINDS[kind]
    for name, value in settings.items():
        fits = isinstance(value, types) and (kind is bool or not isinstance(value, bool))
        if not fits or (kind is float and not np.isfinite(value)):
            raise ValueError(f"{name}={value} cannot be used; give {wanted}")


def checked_seed(seed: Any) -> int:
    """A seed that a caller gave, as an int.

    Raises:
        ValueError: it is negative or not a whole number.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed={seed} cannot be used; give a whole number from 0 on")
    return int(seed)


def whole_action(agent: str, action: Any) -> int:
    """An action that a caller gave, as an int: a whole number of any numeric type, also in an array of one element.

    Raises:
        ValueError: it is something else; the message names the agent.
    """
    try:
        value = action.item() if hasattr(action, "item") else action
        number = float(np.nan if isinstance(value, str | bytes) else value)
    except (TypeError, ValueError):
        number = np.nan
    if not number.is_integer():
        raise ValueError(f"{agent}: action {action!r} is no whole number; give the number of one of its actions")
    return int(number)
