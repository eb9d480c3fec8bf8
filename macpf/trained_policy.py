"""A trained policy for use outside this suite: observations in, greedy actions out.

    policy = macpf.load_policy("outputs/mpe/simple_spread/macpf/1a2b3c4d/seed=0")
    policy.reset(env)
    actions = policy.act(observations, infos)

Nothing here imports Hydra or W&B.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from macpf import names
from macpf.envs.contract import FIRST, SHOWN, Contract, told_mask
from macpf.envs.eyes import Eyes
from macpf.experience.batch import Observation
from macpf.learning.algorithm import Memory
from macpf.runs import weights
from macpf.runs.weights import Weights


def load_policy(
    folder: str | Path, policy: str = names.INDEPENDENT, *, checkpoint: str | int | None = None, device: str = "cpu"
) -> Policy:
    """The greedy policy of a trained run.

    Args:
        folder: a run's folder, or a file of weights that `Policy.save` or a run wrote.
        policy: ``independent``, or ``dependent`` for MACPF's agents who choose one after the other.
        checkpoint: name or env step of weights that the run saved; None for its newest.
        device: the device it computes on.

    Raises:
        ValueError: there is no such run, checkpoint, policy or device, or this code cannot use it; one line says why.
        macpf.runs.checkpoint.Unreadable, macpf.records.files.Damaged: the files are there, but damaged.
    """
    return Policy(weights.load(Path(folder).expanduser(), checkpoint), policy, device)


class Policy:
    """A greedy policy that remembers what it needs from one step of an episode to the next.

    Args:
        trained: the weights.
        policy: one of `policies`.
        device: the device it computes on.

    Attributes:
        about: which run this is and what it was trained for; `about.sizes` has the sizes.
        policies: the names of all policies that the algorithm has.
        algorithm: the networks.

    Raises:
        ValueError: there is no such policy or device, or this code cannot use the weights.
    """

    def __init__(self, trained: Weights, policy: str, device: str = "cpu") -> None:
        self.about, self.policy, self.device = trained.about, policy, device
        _refuse_absent(device)
        self.algorithm = trained.make(device)
        self.policies = self.algorithm.policies
        if policy not in self.policies:
            raise ValueError(f"policy={policy} is none of this algorithm; choose one of: {', '.join(self.policies)}")
        self._env: Any = None
        self._contract: Contract | None = None
        self._eyes: Eyes | None = None
        self._names: list[str] = []
        self._memory: Memory | None = None

    def __repr__(self) -> str:
        sizes = self.about.sizes
        shape = f"{sizes.n_agents} agents, {sizes.obs_dim} numbers observed, {sizes.n_actions} actions"
        return f"<{self.policy} policy of {self.about}: {shape}>"

    def reset(self, env: Any = None) -> None:
        """Forget the previous episode; call it at the beginning of each.

        Args:
            env: the PettingZoo parallel environment that will be played, if it is one. Its spaces say how observations
                are flattened and which actions there are, and its lists of agents who is active. Without it, the agents
                are those of the first observations, in their order.

        Raises:
            ValueError: the environment has other sizes than the policy was trained for.
        """
        self._memory, self._env, self._contract, self._eyes, self._names = None, env, None, None, []
        if env is not None:
            self._contract = Contract(type(env).__name__, env)
            self._named(self._contract.names)
            sizes, shown = self.about.sizes, self._contract.shown
            longest, most = max(self._contract.dims.values()), max(int(env.action_space(n).n) for n in self._names)
            if sizes.picture is not None:
                side = (next(iter(shown.values())).shape or (0,))[0]
                self._eyes = Eyes.of(type(env).__name__, shown, side // sizes.picture[0])
                longest = self._eyes.dim
            if (longest, most) != (sizes.obs_dim, sizes.n_actions):
                raise ValueError(
                    f"{type(env).__name__} shows {longest} numbers and takes {most} actions, but this policy was "
                    f"trained for {sizes.obs_dim} and {sizes.n_actions}; use an environment like the one of the run"
                )

    def act(self, observations: Any, available: Any = None, visible: Any = None) -> Any:
        """The greedy actions at one step; the next call continues from it.

        Args:
            observations: [N, O] or [B, N, O] numbers, or PettingZoo's observations of the active agents, by name.
            available: actions that may be taken, booleans [N, A] or [B, N, A]; or PettingZoo's infos, of which only
                an ``action_mask`` is read; None: all of them, or those of masks in the observations.
            visible: who sees whom, booleans [N, N] or [B, N, N]; only some ``dependent`` policies need it.

        Returns:
            Actions [N] or [B, N], or by the names of the agents that were observed and are still playing.

        Raises:
            ValueError: shapes or agents are not those that the policy was trained for.
        """
        if isinstance(observations, Mapping):
            obs, mask = self._of_pettingzoo(observations, available if isinstance(available, Mapping) else {})
            chosen = self._act(obs[None], mask[None], None if visible is None else np.asarray(visible)[None])[0]
            present = [name for name in self._names if name in self._there(observations)]
            return {name: int(chosen[self._names.index(name)]) for name in present}
        obs = np.asarray(observations, dtype=np.float32)
        sizes = self.about.sizes
        if obs.ndim not in (2, 3) or obs.shape[-2:] != (sizes.n_agents, sizes.obs_dim):
            raise ValueError(
                f"observations have the shape {list(obs.shape)}, but this policy was trained with {sizes.n_agents} "
                f"agents who observe {sizes.obs_dim} numbers each; give [N, O] or [B, N, O]"
            )
        may = np.ones((*obs.shape[:-1], sizes.n_actions), dtype=bool) if available is None else available
        mask = np.asarray(may, dtype=bool)
        if mask.shape != (*obs.shape[:-1], sizes.n_actions):
            raise ValueError(
                f"available actions have the shape {list(mask.shape)}, but it should be "
                f"{[*obs.shape[:-1], sizes.n_actions]}"
            )
        if not mask.any(axis=-1).all():
            raise ValueError("an agent has no available action; let it have one (doing nothing)")
        if obs.ndim == 2:
            return self._act(obs[None], mask[None], None if visible is None else np.asarray(visible)[None])[0]
        return self._act(obs, mask, visible)

    def save(self, path: str | Path) -> None:
        """Write the weights to a safetensors file, from which `load_policy` makes this policy again.

        The file's metadata says as JSON which run the weights are from, and for which sizes.
        """
        tensors = self.algorithm.state_dict()
        kept = {name: value.detach().cpu().clone() for name, value in tensors.items() if isinstance(value, Tensor)}
        Weights(self.about, kept).save(Path(path).expanduser())

    @torch.no_grad()
    def _act(self, obs: np.ndarray, mask: np.ndarray, visible: Any) -> Int[np.ndarray, "B N"]:
        B, N, _ = obs.shape
        if self._memory is None:
            self._memory = self.algorithm.start(B)
        if len(self._memory.last_actions) != B:
            raise ValueError(
                f"there are {B} episodes now and were {len(self._memory.last_actions)} at the step before; call "
                "reset() where new ones begin"
            )
        asks = self.algorithm.reads_visibility and self.policy == names.DEPENDENT
        if asks and visible is None and self.about.env != "pettingzoo":
            raise ValueError("this policy depends on who sees whom; give visible=, booleans [N, N] or [B, N, N]")
        if asks and visible is None:
            visible = np.broadcast_to(~np.eye(N, dtype=bool), (B, N, N))

        def on_device(array: Any, kind: Any) -> Tensor:
            return torch.as_tensor(np.array(array, dtype=kind), device=self.device)

        observation = Observation(
            obs=on_device(obs, np.float32),
            state=torch.zeros(B, self.about.sizes.state_dim, device=self.device),
            available=on_device(mask, bool),
            visible=on_device(visible, bool) if asks else None,
        )
        actions, self._memory = self.algorithm.act_greedily(observation, self._memory, self.policy)
        chosen: np.ndarray = actions.cpu().numpy()
        return chosen

    # --- PettingZoo -----------------------------------------------------------------------------------------------

    def _named(self, agents: list[str]) -> None:
        if len(agents) != self.about.sizes.n_agents:
            raise ValueError(
                f"there are {len(agents)} agents ({', '.join(map(str, agents))}), but this policy was trained for "
                f"{self.about.sizes.n_agents}"
            )
        self._names = agents

    def _there(self, observations: Mapping[str, Any]) -> set[str]:
        """The agents that act; an environment may still show the last observation of those that have left."""
        return set(observations) if self._env is None else set(observations) & set(self._env.agents)

    def _of_pettingzoo(
        self, observations: Mapping[str, Any], infos: Mapping[str, Any]
    ) -> tuple[Float[np.ndarray, "N O"], Bool[np.ndarray, "N A"]]:
        """What all agents observe and may do; absent ones see zeros and can take action 0, as in training."""
        if not self._names:
            self._named(list(observations))
        if unknown := sorted(set(observations) - set(self._names)):
            raise ValueError(f"{unknown[0]} is none of the agents: {', '.join(self._names)}")
        sizes, there = self.about.sizes, self._there(observations)
        obs = np.zeros((sizes.n_agents, sizes.obs_dim), dtype=np.float32)
        mask = np.zeros((sizes.n_agents, sizes.n_actions), dtype=bool)
        for i, name in enumerate(self._names):
            if name not in there:
                mask[i, 0] = True
                continue
            seen = self._flat(name, observations)
            if len(seen) > sizes.obs_dim:
                raise ValueError(
                    f"{name} observes {len(seen)} numbers, but this policy was trained with {sizes.obs_dim}"
                )
            obs[i, : len(seen)] = seen
            told = told_mask(observations[name], infos.get(name))
            own = sizes.n_actions if self._env is None else int(self._env.action_space(name).n)
            mask[i, :own] = True if told is None else np.asarray(told, dtype=bool)
        return obs, mask

    def _flat(self, name: str, observations: Mapping[str, Any]) -> Float[np.ndarray, " O"]:
        if self._contract is not None:
            flat = self._contract.observation(name, FIRST, observations)
            return flat if self._eyes is None else self._eyes.as_numbers(self._eyes.look(flat))
        seen = observations[name]
        if isinstance(seen, Mapping):
            seen = next((seen[key] for key in SHOWN if key in seen), None)
        try:
            return np.asarray(seen, dtype=np.float32).ravel()
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} observes no numbers; call reset(env), which knows the environment") from error


def _refuse_absent(device: str) -> None:
    """Refuse a device that this machine lacks; PyTorch's own message has many lines."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        if str(device).startswith("cuda") and not torch.cuda.is_available():
            raise ValueError(f"device={device}, but this machine shows no CUDA device; use device=cpu") from error
        raise ValueError(f"device={device} is not known or not in this machine; use cpu or cuda") from error
