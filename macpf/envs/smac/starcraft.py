"""The real StarCraft II behind the suite's interface: one game for each environment, in a process of its own."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from macpf.envs.base import Env, EnvSpec, Step
from macpf.envs.smac.game_worker import GRACE, INFO, RESET, Frame, Game, GameLost, Order
from macpf.envs.smac.installation import MYOPIC, provenance, why_not
from macpf.envs.smac.maps import load_map

LOG = logging.getLogger(__name__)
GAME = "smac.env:StarCraft2Env"
#: Arguments of the game that are not options here, and the settings that determine them.
DECIDED = {"map_name": "map", "seed": "seed", "game_version": "SC2PATH"}


class StarCraft(Env):
    """B games of StarCraft II, played in lockstep through SMAC's `StarCraft2Env`.

    A game that crashes or does not answer is replaced by a new one. Its episode ends there, truncated and not won, with
    its last observations and state repeated. Games cannot be saved, so a resumed run starts new battles with new seeds.

    Args:
        map_name: one of the 25 maps.
        batch_size: number of games B, each a process of about 1 GB.
        seed: the seeds of all games derive from it. They do not make two runs of the real game equal bit for bit.
        options: keyword arguments for `StarCraft2Env` that replace SMAC's defaults.
        zero_ally_block: on the myopic maps, fill the features of other agents with zeros instead of dropping them.
        hang_seconds: a game that does not answer within this time counts as lost.
        launch_seconds: the same for a game that is starting.
        max_restarts: an attempt at a run ends if it loses more games than this.
        game: ``module:class`` to play, with the interface of `StarCraft2Env`.

    Attributes:
        restarts: games lost and replaced in this run, earlier attempts included.
        provenance: the game's build, the map's SHA-256 and SMAC's version. Results depend on them, so runs record them.

    Raises:
        ValueError: the real game is not installed, or an option is unknown or cannot be set here.
    """

    def __init__(
        self,
        map_name: str,
        batch_size: int,
        seed: int,
        options: Mapping[str, Any] | None = None,
        zero_ally_block: bool = False,
        hang_seconds: float = 120.0,
        launch_seconds: float = 600.0,
        max_restarts: int = 20,
        game: str = GAME,
    ) -> None:
        self.map = load_map(map_name)
        if game == GAME and (reason := why_not()):
            raise ValueError(f"the real game cannot be played here: {reason}")
        for key in set(options or {}) & set(DECIDED):
            raise ValueError(f"{key} is no option of the real game here: {DECIDED[key]} decides it; leave it out")
        self.batch_size, self.seed, self.max_restarts = batch_size, seed, max_restarts
        self._options, self._game, self._zero_ally_block = dict(options or {}), game, zero_ally_block
        self._patience = (hang_seconds, launch_seconds)
        self.provenance = provenance(map_name)
        self.episodes, self.restarts, self._restarts_here = 0, 0, 0
        self._launches = [0] * batch_size
        self._games: list[Game | None] = [None] * batch_size
        self.close = weakref.finalize(self, _close, self._games)
        self.spec = self._ask_spec()
        self._forget_episode()

    def _ask_spec(self) -> EnvSpec:
        """Sizes as the package `smac` reports them; this starts no game yet."""
        game = self._games[0] = self._launch(0)
        game.ask(INFO)
        try:
            info = game.answer()
        except GameLost as lost:
            raise ValueError(f"the real game cannot be set up: {lost}") from None
        return EnvSpec(
            n_agents=info["n_agents"],
            n_actions=info["n_actions"],
            obs_dim=info["obs_shape"],
            state_dim=info["state_shape"],
            episode_limit=info["episode_limit"],
            score="win_rate",
            agent_feature_dim=0 if self._options.get("obs_instead_of_state") else len(info["agent_features"]),
        )

    def _launch(self, b: int) -> Game:
        """Start a worker for environment b, with a seed that no earlier worker of it had."""
        seed = np.random.SeedSequence([self.seed, b, self._launches[b]]).generate_state(1)[0]
        self._launches[b] += 1
        name = self.map.name.removesuffix(MYOPIC)
        order = Order(self._game, {**self._options, "map_name": name, "seed": int(seed >> 1)})  # SC2 wants an int32
        if not self.map.ally_block:
            block = "zero" if self._zero_ally_block else "drop"
            order = Order(order.game, order.arguments, self.map.sight_range, block)
        return Game(order, *self._patience)

    def _forget_episode(self) -> None:
        B = self.batch_size
        self._last: list[Frame | None] = [None] * B
        self._terminated, self._truncated = np.zeros(B, dtype=bool), np.zeros(B, dtype=bool)
        self._info: dict[str, np.ndarray] = {
            "battle_won": np.zeros(B, dtype=bool),
            "dead_allies": np.zeros(B, dtype=np.int64),
            "dead_enemies": np.zeros(B, dtype=np.int64),
            "game_restarts": np.zeros(B, dtype=np.int64),
        }

    def reset(self) -> Step:
        """Start a new battle in each game, and start the games that are not running.

        Raises:
            RuntimeError: games were lost more often than `max_restarts`.
        """
        self._forget_episode()
        frames: dict[int, Frame] = {}
        while waiting := [b for b in range(self.batch_size) if b not in frames]:
            frames |= self._ask({b: RESET for b in waiting})
        self.episodes += self.batch_size
        return self._show(frames)

    def step(self, actions: Int[np.ndarray, "B N"]) -> Step:
        """Play one joint action in each running battle. The info also counts the episode's ``game_restarts``.

        Raises:
            ValueError: an action is not available.
            RuntimeError: games were lost more often than `max_restarts`, or `reset` was not called.
        """
        running = np.flatnonzero(~(self._terminated | self._truncated))
        for b in running:
            last = self._last[b]
            if last is None:
                raise RuntimeError("step was called before reset")
            allowed = last.available[np.arange(self.spec.n_agents), actions[b]]
            if not allowed.all():
                agent = int(np.argmin(allowed))
                raise ValueError(f"game {b}: agent {agent} chose action {actions[b, agent]}, which is not available")
        frames = self._ask({int(b): [int(action) for action in actions[b]] for b in running})
        return self._show({int(b): frames.get(int(b)) or self._cut_off(int(b)) for b in running})

    def _cut_off(self, b: int) -> Frame:
        """The last frame of a battle whose game was lost: the previous one, truncated and without reward."""
        last = self._last[b]
        assert last is not None
        return last._replace(reward=0.0, terminated=False, truncated=True, info={**last.info, "battle_won": False})

    def _ask(self, requests: dict[int, Any]) -> dict[int, Frame]:
        """Send all requests, then wait for the answers; games that are lost have none."""
        asked, frames = {}, {}
        for b, request in requests.items():
            asked[b] = self._games[b] = self._games[b] or self._launch(b)
            asked[b].ask(request)
        for b, game in asked.items():
            try:
                frames[b] = game.answer()
            except GameLost as lost:
                game.kill()
                self._games[b] = None
                self._count_restart(b, str(lost))
                continue
            while game.own_restarts < frames[b].own_restarts:
                game.own_restarts += 1
                self._count_restart(b, "restarted by SMAC itself")
        return frames

    def _count_restart(self, b: int, reason: str) -> None:
        self.restarts += 1
        self._restarts_here += 1
        self._info["game_restarts"][b] += 1
        if self._restarts_here > self.max_restarts:
            self.close()
            raise RuntimeError(
                f"StarCraft II was lost {self._restarts_here} times on {self.map.name}, more often than "
                f"max_restarts={self.max_restarts}; the last time: {reason}; type: make starcraft-doctor"
            )
        LOG.warning(
            "StarCraft II on %s, game %d: %s; restart %d of at most %d",
            *(self.map.name, b, reason, self._restarts_here, self.max_restarts),
        )

    def _show(self, frames: Mapping[int, Frame]) -> Step:
        B, N = self.batch_size, self.spec.n_agents
        obs = np.zeros((B, N, self.spec.obs_dim), dtype=np.float32)
        state = np.zeros((B, self.spec.state_dim), dtype=np.float32)
        available: Bool[np.ndarray, "B N A"] = np.ones((B, N, self.spec.n_actions), dtype=bool)
        visible: Bool[np.ndarray, "B N N"] = np.zeros((B, N, N), dtype=bool)
        reward = np.zeros(B, dtype=np.float32)
        for b, frame in frames.items():
            self._last[b] = frame
            obs[b], state[b], available[b], reward[b] = frame.obs, frame.state, frame.available, frame.reward
            visible[b] = frame.visible
            self._terminated[b], self._truncated[b] = frame.terminated, frame.truncated
            for name in ("battle_won", "dead_allies", "dead_enemies"):
                self._info[name][b] = frame.info[name]
        info = {name: values.copy() for name, values in self._info.items()}
        record = {"obs": obs, "state": state, "available": available, "visible": visible}
        return Step(obs, state, available, reward, self._terminated.copy(), self._truncated.copy(), info, record)

    @property
    def record_type(self) -> np.dtype[np.void]:
        """The full step, and which agent sees which, as this does not follow from the observations."""
        shown = super().record_type
        fields = [(name, shown[name]) for name in shown.names or ()]
        return np.dtype([*fields, ("visible", np.bool_, (self.spec.n_agents, self.spec.n_agents))])

    def visible(self, record: dict[str, np.ndarray]) -> Bool[np.ndarray, "*axes N N"]:
        """Which agent sees which other agent, from SMAC's `get_visibility_matrix`."""
        return record["visible"]

    def score(self, returns: Float[np.ndarray, " B"], last: Step) -> Float[np.ndarray, " B"]:
        """1 for each battle won, else 0."""
        return last.info["battle_won"].astype(np.float32)

    def state_dict(self) -> dict[str, Any]:
        """Only counters, since battles cannot be saved; those of launches keep a resumed run from repeating seeds."""
        return {"episodes": self.episodes, "restarts": self.restarts, "launches": list(self._launches)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the counters; the next reset starts new games."""
        self.episodes, self.restarts, self._launches = state["episodes"], state["restarts"], list(state["launches"])
        _close(self._games)


def _close(games: list[Game | None]) -> None:
    """End all games, waiting for them together."""
    running = [game for game in games if game is not None]
    games[:] = [None] * len(games)
    for game in running:
        game.hang_up()
    for game in running:
        game.kill(grace=GRACE)
