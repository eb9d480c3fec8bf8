"""Plays an environment at random and compares it with what every environment promises, for ``macpf check env=...``."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig

from macpf.configuration import compose
from macpf.envs.base import Env, Step
from macpf.envs.fault import EnvironmentFault
from macpf.envs.interface import check_length, check_step
from macpf.runs.build import choose_backend, make_env
from macpf.runs.command_line import typed
from macpf.runs.promises import Fault, difference, report, saved_and_loaded

#: Games side by side, and the rounds of episodes that they play.
GAMES, ROUNDS = 4, 3
SEED = 1
#: What is compared of a step; `info` and the record follow from the same game.
SHOWN = ("obs", "state", "available", "reward", "terminated", "truncated")


def configured(overrides: Sequence[str]) -> DictConfig:
    """The settings of a run in the environment.

    Args:
        overrides: with ``env=...``, as on the command line.

    Raises:
        ConfigError, hydra.errors.HydraException: there is no such environment, or a setting is invalid.
    """
    cfg = compose(*typed([*overrides, "tracking=disabled", "device=cpu"]))
    choose_backend(cfg)
    return cfg


def check(cfg: DictConfig) -> int:
    """Print a line for each check; returns 0 if all succeed, else 1."""
    games = Games(cfg)
    return report(
        {
            "steps": games.steps,
            "record": games.record,
            "determinism": games.determinism,
            "batch size": games.batch_size,
            "resume": games.resume,
            "picture": games.picture,
        }
    )


@dataclass
class Played:
    """Rounds of episodes with random available actions.

    Attributes:
        shown: by game, by episode and by step, what the step showed; no step after an episode's end.
        steps: all steps as they were returned, each with a copy of its arrays and the games that were running.
        env_steps: number of env steps of all episodes.
    """

    shown: dict[str, Any] = field(default_factory=dict)
    steps: list[tuple[Step, dict[str, np.ndarray], np.ndarray]] = field(default_factory=list)
    env_steps: int = 0


class Games:
    """Plays the environment of a configuration several times.

    The global random generators of numpy, torch and Python have another seed each time, so an environment that uses
    them gets different results.
    """

    def __init__(self, cfg: DictConfig) -> None:
        self.cfg, self._times = cfg, 0
        self._whole: tuple[Env, Played] | None = None

    @property
    def whole(self) -> tuple[Env, Played]:
        """All rounds without interruption; played at the first access."""
        if self._whole is None:
            env = self.make(GAMES)
            self._whole = env, play(env, range(ROUNDS))
        return self._whole

    def make(self, games: int, env_seed: int = SEED) -> Env:
        """A new environment of so many games."""
        self._times += 1
        for seed in (torch.manual_seed, np.random.seed, random.seed):
            seed(self._times)
        return make_env(self.cfg, "env.parallel", games, env_seed)

    def steps(self) -> str:
        """Check types, shapes, available actions, lengths and endings of episodes, and that steps stay as they were.

        Raises:
            Fault: one of these does not hold.
        """
        env, played = self.whole
        for step, copies, _ in played.steps:
            if differs := difference(_arrays(step), copies):
                raise Fault(f"{differs} of a step was changed later; return new arrays, or copies, in each step")
        spec = env.spec
        return (
            f"{GAMES * ROUNDS} episodes of {played.env_steps} env steps: {spec.n_agents} agents, {spec.n_actions} "
            f"actions, observations of {spec.obs_dim} numbers, a state of {spec.state_dim}"
        )

    def record(self) -> str:
        """Check that what a replay stores gives back what agents saw, and who sees whom.

        Raises:
            Fault: it does not.
        """
        env, played = self.whole
        N = env.spec.n_agents
        for step, copies, running in played.steps:
            stored = {name: np.ascontiguousarray(values[running]) for name, values in step.recorded.items()}
            expanded = dict(zip(SHOWN, env.expand(stored), strict=False))
            if differs := difference(expanded, {name: copies[name][running] for name in expanded}):
                raise Fault(f"expand gives another {differs} than the step had; a learner would see something else")
            visible, shape = env.visible(stored), (int(running.sum()), N, N)
            if visible.shape != shape or visible.dtype != np.bool_:
                raise Fault(f"visible is {list(visible.shape)} of {visible.dtype}; return {list(shape)} of bool")
            if visible[:, np.arange(N), np.arange(N)].any():
                raise Fault("visible says that an agent sees itself; leave that False")
        return f"{env.record_type.itemsize} bytes for an env step give back what was seen"

    def determinism(self) -> str:
        """Check that the same seed gives the same episodes.

        Raises:
            Fault: it does not.
        """
        if differs := difference(self.whole[1].shown, play(self.make(GAMES), range(ROUNDS)).shown):
            raise Fault(f"the same seed gives another {differs}; draw random numbers from streams of the seed only")
        begins = _begins(self.whole[1])
        if len(set().union(*begins)) == 1:
            return "the same seed and actions give the same episodes; all begin alike, whatever the seed"
        if begins == _begins(play(self.make(GAMES, SEED + 1), range(ROUNDS))):
            raise Fault("another seed gives the same beginnings of episodes; derive every random stream from the seed")
        if len(set(begins[0])) > 1 and all(game == begins[0] for game in begins):
            raise Fault("all games begin alike; give each its own stream, np.random.SeedSequence(seed, spawn_key=(b,))")
        return "the same seed and actions give the same episodes, and another seed gives others"

    def batch_size(self) -> str:
        """Say whether a game depends on how many are played beside it, which is allowed, but better not so."""
        alone = play(self.make(1), range(ROUNDS)).shown
        if differs := difference({"game 0": self.whole[1].shown["game 0"]}, alone):
            return f"with one game instead of {GAMES}, {differs} is another, so results depend on env.parallel"
        return f"game 0 is the same alone and beside {GAMES - 1} others"

    def resume(self) -> str:
        """Check that a saved and restored environment goes on with the same episodes.

        Raises:
            Fault: it does not, or what it saves cannot be restored.
        """
        first = self.make(GAMES)
        play(first, range(1))
        state = saved_and_loaded(first.state_dict())
        second = self.make(GAMES)
        second.load_state_dict(state)
        rest = {game: dict(list(rounds.items())[1:]) for game, rounds in self.whole[1].shown.items()}
        for env, what in ((second, "after load_state_dict"), (first, "after a call of state_dict")):
            if differs := difference(rest, play(env, range(1, ROUNDS)).shown):
                raise Fault(f"{what}, {differs} is another; state_dict has to hold all that lasts beyond an episode")
        return "saved and restored between two episodes, it went on to the same ones"

    def picture(self) -> str:
        """Check the picture of a game, if the environment draws.

        Raises:
            Fault: it is no picture.
        """
        env = self.make(1)
        env.reset()
        try:
            drawn = env.draw(0)
        except NotImplementedError:
            return "none, so mode=render does not draw this environment"
        if not isinstance(drawn, np.ndarray) or drawn.dtype != np.uint8 or drawn.ndim != 3 or drawn.shape[2] != 3:
            kind = f"{list(drawn.shape)} of {drawn.dtype}" if isinstance(drawn, np.ndarray) else type(drawn).__name__
            raise Fault(f"draw returns {kind}; return [height, width, 3] of uint8")
        return f"{drawn.shape[1]} x {drawn.shape[0]} points"


def _begins(played: Played) -> list[list[bytes]]:
    """By game, what the first step of each of its episodes showed."""
    return [
        [b"".join(episode["env step 0"][name].tobytes() for name in ("obs", "state", "available")) for episode in game]
        for game in (episodes.values() for episodes in played.shown.values())
    ]


def play(env: Env, rounds: range) -> Played:
    """Play rounds of episodes; the actions of an episode follow from its round and its game.

    Raises:
        Fault: a step, an episode's length or a score is not as `Env` describes it.
    """
    try:
        return _play(env, rounds)
    except EnvironmentFault as error:
        raise Fault(str(error)) from error


def _play(env: Env, rounds: range) -> Played:
    B, N, A = env.batch_size, env.spec.n_agents, env.spec.n_actions
    played = Played({f"game {b}": {f"episode {k}": {} for k in rounds} for b in range(B)})
    for k in rounds:
        draws = [np.random.default_rng((k, b)) for b in range(B)]
        step, t, returns = env.reset(), 0, np.zeros(B, dtype=np.float32)
        running = np.ones(B, dtype=bool)
        while True:
            check_step(env, step, t)
            copies = {name: array.copy() for name, array in _arrays(step).items()}
            played.steps.append((step, copies, running))
            for b in np.flatnonzero(running).tolist():
                _check_finite(step, b, t)
                played.shown[f"game {b}"][f"episode {k}"][f"env step {t}"] = {name: copies[name][b] for name in SHOWN}
            over = step.terminated | step.truncated
            _check_finished(step, running, over, t)
            returns += step.reward * running
            running = running & ~over
            if not running.any():
                break
            check_length(env, t)
            keys = np.stack([draw.random((N, A)) for draw in draws])
            step, t = env.step(np.where(step.available, keys, -1.0).argmax(axis=2)), t + 1
            played.env_steps += int(running.sum())
        score = np.asarray(env.score(returns, step))
        if score.shape != (B,) or not np.isfinite(score).all():
            raise Fault(f"score returns {score.tolist()} for {B} games; return a finite number for each")
    return played


def _arrays(step: Step) -> dict[str, np.ndarray]:
    return {name: getattr(step, name) for name in SHOWN} | step.record


def _check_finite(step: Step, b: int, t: int) -> None:
    for name in ("obs", "state", "reward"):
        with np.errstate(over="ignore"):  # a reward of 1e300 is infinite where it is stored
            stored = getattr(step, name)[b].astype(np.float32)
        if not np.isfinite(stored).all():
            raise Fault(f"{name} of game {b} has a number that is not finite, at env step {t}")


def _check_finished(step: Step, running: np.ndarray, over: np.ndarray, t: int) -> None:
    """Check what games return whose episode was over before this step."""
    if (back := np.flatnonzero(~running & ~over)).size:
        raise Fault(f"at env step {t}, game {back[0]} goes on after its end; it waits for the next reset")
    if (paid := np.flatnonzero(~running & (step.reward != 0))).size:
        raise Fault(f"at env step {t}, game {paid[0]} pays {step.reward[paid[0]]} after its end; pay 0")
