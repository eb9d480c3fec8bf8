"""The embedded engine as an environment: B battles of one SMAC map."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from macpf.envs.base import Env, EnvSpec, Step, refuse_others
from macpf.envs.smac.maps import SmacMap
from macpf.envs.smac.scenarios import find_map
from macpf.envs.smac.skirmish import layout as L
from macpf.envs.smac.skirmish.engine import reset_battles, step_battles
from macpf.envs.smac.skirmish.features import record_width, show_all, visibility
from macpf.envs.smac.skirmish.muster import levy_of, muster
from macpf.envs.smac.skirmish.parameters import Parameters
from macpf.envs.smac.skirmish.random import new_streams
from macpf.extras import require

#: Behaviours of the enemies, in the order of the engine's constants.
OPPONENTS = ("default", "focus", "kite")


class Skirmish(Env):
    """B battles of one SMAC map on the embedded engine.

    Sizes, features, rewards and rules are those of SMAC (oxwhirl/smac, smac/env/starcraft2/starcraft2.py) with its
    defaults; the engine simulates the fight itself. A battle depends on the seed and its index in the batch, not on the
    size of the batch.

    Args:
        map_name: name of a map, path of a scenario's YAML file (see `macpf.envs.smac.scenarios`), or the map itself.
        batch_size: number of parallel battles B.
        seed: seed of all random streams.
        parameters: the engine's assumptions about the game, by name; missing ones keep their defaults.
        reward_sparse: reward only the outcome: 1 for a victory and -1 for a defeat, before SMAC's scaling.
        reward_only_positive: own losses do not reduce the reward, which is SMAC's default.
        reward_scale: scale rewards so that a victory yields `reward_scale_rate`, or a bit more if enemies regenerate.
        zero_ally_block: on myopic maps, keep the features of other agents in observations, filled with zeros.
        reward_death_value, reward_win, reward_defeat, reward_negative_scale, reward_scale_rate: as in SMAC.
        step_mul: game loops of an env step.
        move_amount: distance of a move, in cells.
        opponent: ``default``, SMAC's attack-move; ``focus``, which attacks the weakest; ``kite``, which also retreats.

    Raises:
        ValueError: a map or parameter is unknown, or a value is out of range.
    """

    def __init__(
        self,
        map_name: str | SmacMap,
        batch_size: int,
        seed: int,
        parameters: Mapping[str, Any] | None = None,
        reward_sparse: bool = False,
        reward_only_positive: bool = True,
        reward_scale: bool = True,
        zero_ally_block: bool = False,
        reward_death_value: float = 10.0,
        reward_win: float = 200.0,
        reward_defeat: float = 0.0,
        reward_negative_scale: float = 0.5,
        reward_scale_rate: float = 20.0,
        step_mul: int = 8,
        move_amount: float = 2.0,
        opponent: str = "default",
    ) -> None:
        refuse_others(
            bool,
            reward_sparse=reward_sparse,
            reward_only_positive=reward_only_positive,
            reward_scale=reward_scale,
            zero_ally_block=zero_ally_block,
        )
        refuse_others(
            float,
            reward_death_value=reward_death_value,
            reward_win=reward_win,
            reward_defeat=reward_defeat,
            reward_negative_scale=reward_negative_scale,
            reward_scale_rate=reward_scale_rate,
            move_amount=move_amount,
        )
        refuse_others(int, step_mul=step_mul)
        for name, value in (
            ("reward_scale_rate", reward_scale_rate),
            ("step_mul", step_mul),
            ("move_amount", move_amount),
        ):
            if not 0 < value < 1e6:
                raise ValueError(f"{name}={value} cannot be used; give a number above 0")
        if opponent not in OPPONENTS:
            raise ValueError(f"env.opponent={opponent} is not known; use {', '.join(OPPONENTS)}")
        self.map = map_name if isinstance(map_name, SmacMap) else find_map(map_name)
        if not isinstance(parameters, Mapping | None):
            raise ValueError(f"parameters={parameters} cannot be used; give numbers by their names")
        self.parameters = Parameters(**(parameters or {}))
        self.provenance = {"engine_version": str(self.parameters.version)}
        self.batch_size = batch_size
        N, U = self.map.n_agents, self.map.n_agents + self.map.n_enemies
        zeros = not self.map.ally_block and zero_ally_block
        block = L.BLOCK_SHOWN if self.map.ally_block else L.BLOCK_ZERO if zeros else L.BLOCK_NONE
        base = reward_win + self.map.n_enemies * reward_death_value
        rules = [base, base + self.map.enemy_points, reward_sparse, reward_only_positive]
        rules += [reward_death_value, reward_win, reward_defeat, reward_negative_scale]
        rules += [reward_scale_rate if reward_scale else 0, int(step_mul), move_amount]
        numbers = np.array(rules, dtype=np.float64)
        self.field = L.battlefield(self.map, self.parameters, numbers, block, OPPONENTS.index(opponent))
        self.levy = levy_of(self.map, self.parameters)
        drawn = self.map.teams is not None
        self.kinds = np.zeros((batch_size, U if drawn else 0), dtype=np.int32)
        self.spec = EnvSpec(
            n_agents=N,
            n_actions=self.map.n_actions,
            obs_dim=self.map.obs_dim(zeros),
            state_dim=self.map.state_dim,
            episode_limit=self.map.episode_limit,
            score="win_rate",
            agent_feature_dim=self.map.ally_state_row,
        )
        self.record_width = record_width(N, U - N, drawn)
        self.floats = np.zeros((batch_size, L.N_FLOATS, U), dtype=np.float32)
        self.ints = np.zeros((batch_size, L.N_INTS, U), dtype=np.int32)
        self.counts = np.zeros((batch_size, L.N_COUNTS), dtype=np.int32)
        self.counts[:, L.OVER] = 1
        self.streams = new_streams(seed, batch_size)
        self._around = L.Neighbours.of(U)
        self.units = np.zeros((batch_size, self.record_width), dtype=np.float32)

    def reset(self, which: Bool[np.ndarray, " B"] | None = None) -> Step:
        """Start a new battle in each environment, or where `which` is true; the other battles continue."""
        which = np.ones(self.batch_size, dtype=np.bool_) if which is None else which
        self.units, obs, state, available = self._buffers()
        reset_battles(
            self.floats, self.ints, self.counts, self.streams, self.field, self.levy, self.kinds, self._around,
            which, self.units, obs, state, available,
        )  # fmt: skip
        return self._step(obs, state, available, np.zeros(self.batch_size, dtype=np.float32))

    def step(self, actions: Int[np.ndarray, "B N"]) -> Step:
        """Play one env step in each battle. Actions must be available; the compiled step does not check this."""
        self.units, obs, state, available = self._buffers()
        reward = np.zeros(self.batch_size, dtype=np.float32)
        step_battles(
            self.floats, self.ints, self.counts, self.streams, self.field, self.levy, self.kinds, self._around,
            actions, self.units, obs, state, available, reward,
        )  # fmt: skip
        return self._step(obs, state, available, reward)

    @property
    def record_type(self) -> np.dtype[np.void]:
        """A row of units; see `features`."""
        return np.dtype([("units", np.float32, (self.record_width,))])

    def expand(self, record: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Observations, state and available actions from rows of units, bit for bit as they were played."""
        rows = record["units"]
        lead = rows.shape[:-1]
        flat = np.ascontiguousarray(rows.reshape(-1, self.record_width))
        obs, state, available = self._views(len(flat), self.zeros)
        show_all(flat, self.field, self.levy, obs, state, available)
        spec = self.spec
        return (
            obs.reshape(*lead, spec.n_agents, spec.obs_dim),
            state.reshape(*lead, spec.state_dim),
            available.reshape(*lead, spec.n_agents, spec.n_actions),
        )

    def score(self, returns: Float[np.ndarray, " B"], last: Step) -> Float[np.ndarray, " B"]:
        """1 for each battle won, else 0."""
        return self.counts[:, L.WON].astype(np.float32)

    def visible(self, record: dict[str, np.ndarray]) -> Bool[np.ndarray, "*axes N N"]:
        """Which agent sees which other agent: both alive and within sight range."""
        rows, N = record["units"], self.spec.n_agents
        visible = np.zeros((rows[..., 0].size, N, N), dtype=np.bool_)
        visibility(np.ascontiguousarray(rows.reshape(-1, self.record_width)), self.field, self.levy, visible)
        return visible.reshape(*rows.shape[:-1], N, N)

    def visibility_matrix(self) -> Bool[np.ndarray, "B N U"]:
        """Which agent sees which agent and enemy now (SMAC's `get_visibility_matrix`)."""
        visible = np.zeros((self.batch_size, self.spec.n_agents, self.floats.shape[2]), dtype=np.bool_)
        visibility(self.units, self.field, self.levy, visible)
        return visible

    @property
    def max_reward(self) -> float:
        """Total reward of a won battle before scaling; with random teams, of the battle whose constants are set."""
        return float(self.field.rules[L.MAX_REWARD])

    def roster(self, b: int = 0) -> SmacMap:
        """The map with the teams of battle b."""
        if self.map.teams is None:
            return self.map
        names = [self.map.teams.units[kind] for kind in self.kinds[b]]
        units = [(name, 0.0, 0.0) for name in names]
        return replace(self.map, allies=tuple(units[: self.map.n_agents]), enemies=tuple(units[self.map.n_agents :]))

    def constants(self, b: int = 0) -> L.Battlefield:
        """The constants of battle b. With random teams they are valid until those of another battle are set."""
        if self.map.teams is not None:
            muster(self.field, self.levy, self.kinds[b])
        return self.field

    def draw(self, b: int) -> UInt8[np.ndarray, "H W 3"]:
        """A picture of battle b; see `battle_pictures`."""
        require("render", "a picture of a battle")
        from macpf.envs.smac.skirmish.battle_pictures import draw  # loads matplotlib, which training does not need

        return draw(self, b)

    def state_dict(self) -> dict[str, Any]:
        """The current state of all battles, running or over, and the random streams."""
        import torch  # only needed for checkpoints, and slow to load

        arrays = {"floats": self.floats, "ints": self.ints, "counts": self.counts, "units": self.units}
        if self.kinds.size:
            arrays["kinds"] = self.kinds
        state = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
        return state | {"streams": torch.from_numpy(self.streams.view(np.int64).copy())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: it is from another number of battles or units.
        """
        if state["floats"].shape != self.floats.shape:
            saved, here = tuple(state["floats"].shape), self.floats.shape
            raise ValueError(
                f"the saved battles [B, field, U] are of shape {saved}, those of {self.map.name} here of {here}; "
                "load them with the map and the batch_size they were saved with"
            )
        for name in ("floats", "ints", "counts", *(["kinds"] if self.kinds.size else [])):
            getattr(self, name)[...] = state[name].numpy()
        self.units = state["units"].numpy().copy()  # a new array, because the last step's record is the old one
        self.streams[...] = state["streams"].numpy().view(np.uint64)

    def _views(
        self, count: int, zeros: Callable[..., np.ndarray] = np.zeros
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        spec = self.spec
        return (
            zeros((count, spec.n_agents, spec.obs_dim), dtype=np.float32),
            zeros((count, spec.state_dim), dtype=np.float32),
            zeros((count, spec.n_agents, spec.n_actions), dtype=np.bool_),
        )

    def _buffers(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        return (np.zeros_like(self.units), *self._views(self.batch_size))

    def _step(self, obs: np.ndarray, state: np.ndarray, available: np.ndarray, reward: np.ndarray) -> Step:
        over, decided = self.counts[:, L.OVER] == 1, self.counts[:, L.DECIDED] == 1
        dead = self.ints[:, L.ALIVE] == 0
        N = self.spec.n_agents
        return Step(
            obs=obs,
            state=state,
            available=available,
            reward=reward,
            terminated=over & decided,
            truncated=over & ~decided,
            info={
                "battle_won": self.counts[:, L.WON] == 1,
                "dead_allies": dead[:, :N].sum(axis=1),
                "dead_enemies": dead[:, N:].sum(axis=1),
            },
            record={"units": self.units},
        )
