"""Trains an algorithm on a small game and compares it with what every algorithm promises, for ``macpf check``."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor

from macpf.configuration import compose
from macpf.envs.check_game import SCORE, CheckGame
from macpf.experience.batch import EpisodeBatch, Observation
from macpf.experience.recording import as_batch
from macpf.learning.algorithm import Memory
from macpf.learning.schedules import Clock
from macpf.records.ledger import Ledger
from macpf.runs.attempt import Attempt
from macpf.runs.build import Parts, build, choose_backend
from macpf.runs.command_line import typed
from macpf.runs.console import RunConsole
from macpf.runs.errors import ConfigError
from macpf.runs.folder import RunFolder
from macpf.runs.health import no_metric
from macpf.runs.identity import Identity
from macpf.runs.preemption import StopRequests
from macpf.runs.promises import Fault, difference, report, saved_and_loaded

#: Settings that replace the matrix game by the check game, with a budget of some hundred episodes.
GAME = ["env=matrix_game", "task=none", "budget=smoke", "tracking=disabled", "device=cpu", "env.backend=check"]
GAME += ["env.make._target_=macpf.envs.check_game.CheckGame", "~env.make.payoff", "env.parallel=4"]
GAME += ["env.eval_parallel=3", "budget.env_steps=600", "budget.eval_interval=200", "budget.eval_episodes=9"]
#: Settings with many updates before and after every stop, by the section of the algorithm that they need.
LEARNING = {
    "replay": ["algo.replay.capacity=64", "algo.replay.batch=8", "algo.replay.burn_in=8"],
    "rollout": ["algo.rollout.env_steps=30"],
}
#: What to do if two runs of a process differ.
REMEDY = "draw random numbers from self.generator only, and keep nothing on the class or in its module"
#: For each kill: safe points until the run is saved, and from then until it is killed (on-policy: one per update).
KILLS = ((3, 5), (3, 4))


class Killed(BaseException):
    """Ends a run like SIGKILL: nothing is saved."""


class Kill(StopRequests):
    """Makes a run save at a safe point, continue, and be killed at a later one.

    Args:
        saves: number of safe points before it saves.
        dies: number of safe points from then until it is killed.
    """

    def __init__(self, saves: int, dies: int) -> None:
        super().__init__()
        self.passed, self.saves, self.dies = -1, saves, saves + dies

    def pending(self) -> bool:
        """Count a safe point.

        Raises:
            Killed: this is the safe point at which the run is killed.
        """
        self.passed += 1
        if self.passed == self.dies:
            raise Killed
        return self.passed == self.saves

    def stop(self) -> None:
        """Continue, although a stop was requested."""


def configured(algo: str, overrides: Sequence[str] = ()) -> DictConfig:
    """The settings of a run that plays the small game.

    Raises:
        ConfigError, hydra.errors.HydraException: there is no such algorithm, or a setting is invalid.
    """
    if "=" in algo:
        key, _, name = algo.partition("=")
        if key == "algo":
            raise ConfigError(f"macpf check takes the name of an algorithm; type macpf check {name}")
        raise ConfigError(f"say what to check before {algo}: an algorithm (macpf check qmix), or env=mpe")
    if choice := next((o for o in overrides if o.partition("=")[0] in ("algo", "env", "map", "mode")), None):
        raise ConfigError(f"macpf check plays a small game of its own with {algo}; leave {choice} out")
    mine = typed([f"algo={algo}", *overrides])
    kinds = [kind for kind in LEARNING if kind in compose(*mine, *GAME).algo]
    cfg = compose(*GAME, *(override for kind in kinds for override in LEARNING[kind]), *mine)
    choose_backend(cfg)
    return cfg


def check(cfg: DictConfig) -> int:
    """Print a line for each check; returns 0 if all succeed, else 1."""
    with tempfile.TemporaryDirectory() as folder:
        trained = Trained(cfg, Path(folder))
        checks = {"shapes": lambda: shapes(cfg), "masks": trained.masks}
        return report(checks | {"determinism": trained.determinism, "resume": trained.resume})


# --- shapes ------------------------------------------------------------------------------------------------------


def shapes(cfg: DictConfig) -> str:
    """Check actions, memory and metrics, that greedy actions draw no random number, and that updates change weights.

    Raises:
        Fault: one of these does not hold.
    """
    parts = build(cfg)
    algorithm, env, clock = parts.algorithm, parts.rollout.env, Clock()
    B, N, A = env.batch_size, env.spec.n_agents, env.spec.n_actions
    observation = parts.rollout.observe(env.reset(), algorithm.reads_visibility)
    memory = algorithm.start(B)
    shown = _tensors(observation)
    for policy in algorithm.policies:
        before = algorithm.generator.get_state()
        _check_acting(f"act_greedily ({policy})", algorithm.act_greedily(observation, memory, policy), (B, N), A)
        if not torch.equal(before, algorithm.generator.get_state()):
            raise Fault(f"act_greedily ({policy}) draws random numbers; greedy actions follow from what is observed")
    _check_acting("act", algorithm.act(observation, memory, clock), (B, N), A)
    if differs := difference(_tensors(observation), shown):
        raise Fault(f"acting changes {differs} of the observation it was given; work on a copy")
    before_learning = {name: value.clone() for name, value in algorithm.named_parameters()}
    metrics = []
    for _ in range(3):
        batch = _batch(parts, clock)
        given = _tensors(batch)
        metrics.append(_check_metrics(algorithm.learn(batch, clock)))
        if differs := difference(_tensors(batch), given):
            raise Fault(f"learn changes {differs} of the batch it was given; work on a copy")
    saved_and_loaded(algorithm.state_dict())
    if not metrics[0]:
        raise Fault("an update measures nothing; return one number at least, e.g. its loss")
    if metrics[0] != metrics[-1]:
        raise Fault(
            f"an update measures {', '.join(metrics[0])}, a later one {', '.join(metrics[-1])}; name all in each"
        )
    if all(torch.equal(before_learning[name], value) for name, value in algorithm.named_parameters()):
        raise Fault("three updates moved no parameter")
    return f"actions [{B}, {N}] of {', '.join(('act', *algorithm.policies))}; {len(metrics[0])} metrics of an update"


def _check_acting(what: str, returned: Any, shape: tuple[int, int], n_actions: int) -> None:
    if not (isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[1], Memory)):
        raise Fault(f"{what} returns no pair of actions and Memory")
    actions, memory = returned
    kind = f"{list(actions.shape)} of {actions.dtype}" if isinstance(actions, Tensor) else type(actions).__name__
    if not isinstance(actions, Tensor) or actions.shape != shape or actions.is_floating_point():
        raise Fault(f"{what} returns {kind}; return whole numbers {list(shape)}, an action for each agent")
    if not bool(((actions >= 0) & (actions < n_actions)).all()):
        raise Fault(f"{what} returns action {int(actions.max())}; the last one is {n_actions - 1}")
    if memory.last_actions.shape != shape:
        raise Fault(f"{what} remembers last actions {list(memory.last_actions.shape)}; remember {list(shape)}")
    if not bool((memory.last_actions == actions).all()):
        raise Fault(f"{what} remembers other last actions than it takes; return Memory(actions, ...)")


def _tensors(given: Observation | EpisodeBatch) -> dict[str, Tensor]:
    """Copies of the tensors of an observation or a batch."""
    return {name: value.clone() for name, value in given.tensors()}


def _check_metrics(metrics: Any) -> list[str]:
    if not isinstance(metrics, Mapping):
        raise Fault(f"an update returns {type(metrics).__name__}; return its metrics, a dict of scalar tensors")
    if wrong := no_metric(metrics, SCORE):
        raise Fault(f"an update measures {wrong}")
    for name, value in metrics.items():
        if not isinstance(value, Tensor) or value.ndim or not bool(torch.isfinite(value)):
            shown = f"a tensor {list(value.shape)}" if isinstance(value, Tensor) and value.ndim else str(value)
            raise Fault(f"an update measures {name} as {shown}; return a finite scalar tensor")
    return list(metrics)


def _batch(parts: Parts, clock: Clock) -> Any:
    """A batch for one update."""
    algorithm, rollout = parts.algorithm, parts.rollout
    episodes = [episode for _ in range(4) for episode in rollout.play(algorithm, clock).episodes]
    if algorithm.on_policy:
        return as_batch(episodes, rollout.env, algorithm.reads_visibility)
    parts.replay.add(episodes)
    return parts.replay.sample(8, algorithm.reads_visibility, algorithm.reads_after_end)


# --- training ----------------------------------------------------------------------------------------------------


class Trained:
    """Trains the same run several times, each in its own folder, and compares the results.

    The global random generators of torch, numpy and Python have another seed each time, so an algorithm that uses them
    gets different results.
    """

    def __init__(self, cfg: DictConfig, folder: Path) -> None:
        self.cfg, self.folder, self._times = cfg, folder, 0
        self._whole: tuple[Parts, dict[str, Any]] | None = None

    def masks(self) -> str:
        """Check that no unavailable action was taken.

        Raises:
            Fault: one was.
        """
        parts, _ = self.whole
        n_chosen = 0
        for where, rollout in (("training", parts.rollout), ("evaluation", parts.evaluator.rollout)):
            game = rollout.env
            assert isinstance(game, CheckGame)
            if game.refused:
                raise Fault(f"in {where} {game.refused}; see mask_unavailable in macpf/learning/networks.py")
            n_chosen += game.n_chosen
        return f"{n_chosen:,} actions in training and evaluation, all of them available"

    def determinism(self) -> str:
        """Check that the same seed gives the same result.

        Raises:
            Fault: it does not.
        """
        if differs := difference(self.whole[1], self.train("again")[1]):
            raise Fault(f"the same seed gives another {differs}; {REMEDY}")
        other = self.cfg.copy()
        other.seed = int(self.cfg.seed) + 1
        streams = [build(cfg).algorithm.generator.get_state() for cfg in (self.cfg, other)]
        if torch.equal(*streams):
            raise Fault("another seed begins with the same random numbers; pass the seed on to super().__init__")
        return "the same seed trained twice gives the same parameters and scores, and another seed is another stream"

    def resume(self) -> str:
        """Check that a run that is killed and resumed gives the same result as one without interruption.

        Raises:
            Fault: it does not.
        """
        for kill in KILLS:
            try:
                self.train("killed", Kill(*kill))
            except Killed:
                continue
            raise Fault("a run could not be killed before it ended; give it a longer budget.env_steps")
        if differs := difference(self.whole[1], self.train("killed")[1]):
            raise Fault(
                f"a run that was killed and went on has another {differs}; state_dict has to hold all that changes "
                f"(get_extra_state: what is no parameter){self.forgotten()}"
            )
        return "killed twice, it went on to the same parameters and scores, bit for bit"

    def forgotten(self) -> str:
        """Names attributes that a new copy of the trained algorithm does not get back from its state."""
        trained, fresh = self.whole[0].algorithm, build(self.cfg).algorithm
        fresh.load_state_dict(trained.state_dict())
        has = attributes(fresh)
        lost = [name for name, value in attributes(trained).items() if difference(value, has.get(name))]
        return f"; it does not bring back {', '.join(lost[:3])}" if lost else ""

    @property
    def whole(self) -> tuple[Parts, dict[str, Any]]:
        """A run without interruption; trained at the first access."""
        if self._whole is None:
            self._whole = self.train("whole")
        return self._whole

    def train(self, name: str, stop: StopRequests | None = None) -> tuple[Parts, dict[str, Any]]:
        """Start or resume the run in the folder of this name; returns its parts, and its final state and log rows."""
        parts = build(self.cfg)
        self._times += 1
        for seed in (torch.manual_seed, np.random.seed, random.seed):
            seed(self._times)
        identity, folder = Identity.of(self.cfg), RunFolder(self.folder / name)
        with RunConsole(str(identity), quiet=True) as console, folder.lock():
            Attempt(self.cfg, identity, folder, parts, stop or StopRequests(), console).train()
        rows = [_without_times(row.values) for row in Ledger.read(folder.ledger).rows]
        learnt = {name: _copy(value) for name, value in parts.algorithm.state_dict().items()}
        return parts, {"parameter or state": learnt, "row of the log": dict(enumerate(rows))}


def _copy(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value


def _without_times(row: Any) -> dict[str, Any]:
    return {key: value for key, value in row.items() if not key.startswith("time/")}


def attributes(value: Any, name: str = "self", depth: int = 4) -> dict[str, Any]:
    """By its path, each thing that an object holds and that can be compared.

    Args:
        value: any object. Of modules, parameters are not included, which every state has; nor are gradients.
        name: what it is called.
        depth: how many objects deep to look.
    """
    if isinstance(value, torch.nn.Module):
        internal = vars(torch.nn.Module())
        inside = {key: held for key, held in vars(value).items() if key not in internal} | dict(value.named_children())
    elif hasattr(value, "state_dict"):
        return {name: value.state_dict()}
    elif isinstance(value, torch.Generator):
        return {name: value.get_state()}
    elif isinstance(value, np.random.Generator):
        return {name: value.bit_generator.state}
    elif isinstance(value, dict | list | tuple):
        inside = {str(k): held for k, held in (value.items() if isinstance(value, dict) else enumerate(value))}
    elif value is None or isinstance(value, bool | int | float | str | Tensor | np.ndarray):
        return {name: value}
    else:
        inside = dict(vars(value)) if depth and hasattr(value, "__dict__") and not callable(value) else {}
    held = (attributes(v, f"{name}.{key}", depth - 1) for key, v in inside.items() if not key.startswith("gradient"))
    return {path: found for part in held for path, found in part.items()} if depth else {}
