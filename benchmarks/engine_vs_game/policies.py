"""Policies that were trained in the real game, played on the embedded engine.

Weights are those of starry-sky6688/MARL-Algorithms (commit e9e32e1; no licence, so none are kept here): clone it and
name the folder. A policy is ``model/<algorithm>/<map>/``, its win rates in the real game are the last five
evaluations of each run in ``result/<algorithm>/<map>/win_rates_*.npy``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.engine_vs_game.rounds import BATCH, rounds, table
from macpf.envs.smac.maps import FIRST_ATTACK, MOVES, SmacMap
from macpf.envs.smac.scripted import Policy
from macpf.envs.smac.skirmish.battles import Skirmish

#: What trained the recurrent policies with one network for all agents.
ALGORITHMS = ("qmix", "vdn", "qtran_base", "qtran_alt", "coma")
#: Names of the weights' file in that repository.
FILES = ("rnn_net_params.pkl", "rnn_params.pkl")
LAST_EVALUATIONS = 5
#: In which order enemies fill the slots of observations and attacks; the game's is unknown to us. ``made``: as the map
#: makes them; ``reversed``: the last first; ``types``: the types the other way round; ``south``: by type and y.
SLOTS: dict[str, Callable[[SmacMap], list[int]]] = {
    "made": lambda m: list(range(m.n_enemies)),
    "reversed": lambda m: list(range(m.n_enemies))[::-1],
    "types": lambda m: sorted(range(m.n_enemies), key=lambda k: -_rank(m, k)),
    "south": lambda m: sorted(range(m.n_enemies), key=lambda k: (-_rank(m, k), m.enemies[k][2], m.enemies[k][1])),
}


def _rank(smac_map: SmacMap, k: int) -> int:
    """The index of the k-th enemy's type among the enemies' types, in the order in which they are made."""
    return list(dict.fromkeys(name for name, _, _ in smac_map.enemies)).index(smac_map.enemies[k][0])


@dataclass(frozen=True)
class Trained:
    """One policy and its win rates.

    Attributes:
        algorithm, map_name: the algorithm that trained it, and the map.
        real: mean win rate in the real game, over runs of which one has these weights.
        engine: win rate on the engine.
    """

    algorithm: str
    map_name: str
    real: float
    engine: float


def weights(folder: Path, algorithm: str, map_name: str) -> dict[str, torch.Tensor] | None:
    """A policy's parameters, or None where there is no such policy."""
    for name in FILES:
        path = folder / "model" / algorithm / map_name / name
        if path.exists():
            loaded: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
            return loaded
    return None


def real_win_rate(folder: Path, algorithm: str, map_name: str) -> float:
    """Mean of the last evaluations of all its runs."""
    files = sorted((folder / "result" / algorithm / map_name).glob("win_rates_*.npy"))
    return float(np.mean([np.load(path)[-LAST_EVALUATIONS:] for path in files]))


class Recurrent:
    """That repository's network: a linear layer, a GRU cell and a linear layer, shared by all agents.

    Args:
        parameters: as saved.
        env: defines the inputs: the observation, the agent's last action and its number.
        slots: rule by which enemies fill their slots, see `SLOTS`.
    """

    def __init__(self, parameters: Mapping[str, torch.Tensor], env: Skirmish, slots: str = "made") -> None:
        B, N, A = env.batch_size, env.spec.n_agents, env.spec.n_actions
        self.first = parameters["fc1.weight"], parameters["fc1.bias"]
        self.last = parameters["fc2.weight"], parameters["fc2.bias"]
        size, inputs = self.first[0].shape
        if (inputs, len(self.last[1])) != (env.spec.obs_dim + A + N, A):
            raise ValueError(f"the policy has {inputs} inputs and {len(self.last[1])} actions, not those of the map")
        self.cell = torch.nn.GRUCell(size, size)
        self.cell.load_state_dict({name[4:]: value for name, value in parameters.items() if name.startswith("rnn.")})
        order = np.array(SLOTS[slots](env.map))
        self.actions = np.concatenate([np.arange(FIRST_ATTACK), FIRST_ATTACK + order])
        rows = MOVES + np.arange(len(order) * env.map.enemy_row).reshape(len(order), -1)[order].ravel()
        self.seen = np.arange(env.spec.obs_dim)
        self.seen[MOVES : MOVES + len(rows)] = rows
        self.agents = torch.eye(N).expand(B, N, N)
        self.memory, self.taken = torch.zeros(B * N, size), torch.zeros(B, N, A)

    @torch.no_grad()
    def __call__(self, obs: np.ndarray, available: np.ndarray) -> np.ndarray:
        """Greedy actions [B, N]."""
        B, N, A = self.taken.shape
        inputs = torch.cat([torch.as_tensor(obs[..., self.seen]), self.taken, self.agents], dim=-1).reshape(B * N, -1)
        hidden = torch.relu(torch.nn.functional.linear(inputs, *self.first))
        self.memory = self.cell(hidden, self.memory)
        values = torch.nn.functional.linear(self.memory, *self.last).reshape(B, N, A)
        actions = values.masked_fill(~torch.as_tensor(available[..., self.actions]), -torch.inf).argmax(dim=-1)
        self.taken = torch.nn.functional.one_hot(actions, A).float()
        return self.actions[actions.numpy()]


def win_rate(
    parameters: Mapping[str, torch.Tensor],
    map_name: str,
    episodes: int,
    seed: int,
    settings: Mapping[str, Any],
    slots: str,
) -> float:
    """Share of greedy battles won."""
    env = Skirmish(map_name, BATCH, seed, settings)

    def new_policy() -> Policy:
        policy = Recurrent(parameters, env, slots)
        return lambda _, step: policy(step.obs, step.available)

    return float(np.mean([played.won for played in rounds(env, episodes, new_policy)]))


def play_all(
    folder: Path, maps: tuple[str, ...], episodes: int, seed: int, settings: Mapping[str, Any], slots: str = "made"
) -> list[Trained]:
    """Every policy of the folder on its map."""
    found = []
    for map_name in maps:
        for algorithm in ALGORITHMS:
            parameters = weights(folder, algorithm, map_name)
            if parameters is not None:
                ours = win_rate(parameters, map_name, episodes, seed, settings, slots)
                found.append(Trained(algorithm, map_name, real_win_rate(folder, algorithm, map_name), ours))
    return found


def report(policies: list[Trained]) -> str:
    """The table, and the mean absolute difference of win rates."""
    rows = [[p.map_name, p.algorithm, f"{p.real:.2f}", f"{p.engine:.2f}"] for p in policies]
    apart = np.mean([abs(p.real - p.engine) for p in policies])
    summary = f"mean absolute difference of {len(policies)} win rates: {apart:.2f}"
    return f"{table(['map', 'algorithm', 'real game', 'engine'], rows)}\n\n{summary}"
