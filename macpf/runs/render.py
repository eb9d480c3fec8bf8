"""``mode=render``: one battle of a trained or a random team as an animated picture."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from omegaconf import DictConfig

from macpf import yaml_files
from macpf.envs.animation import Frame, as_gif
from macpf.envs.base import Env, Step
from macpf.experience.rollout import Rollout
from macpf.learning.algorithm import Algorithm
from macpf.records.files import write_atomically
from macpf.runs import checkpoint
from macpf.runs.build import Parts, build, settle
from macpf.runs.errors import ConfigError, RunRefused

#: Joint actions [1, N] for what one environment shows.
Team: TypeAlias = Callable[[Step], np.ndarray]


def render(cfg: DictConfig) -> None:
    """Play one episode, write it as a GIF and say how it went.

    The team is that of the run folder `cfg.run`, acting greedily by `cfg.policy`, or a random one if no run is given.

    Raises:
        ConfigError: there is no such run or policy, or the environment has no pictures.
        RunRefused: the run's checkpoint cannot be used.
    """
    folder = None if cfg.run is None else Path(cfg.run)
    parts = build(_one_env(cfg if folder is None else _trained_on(folder, cfg)), trains=False)
    env, policies = parts.evaluator.rollout.env, parts.algorithm.policies
    if cfg.policy not in policies:
        raise ConfigError(f"policy={cfg.policy} is none of this algorithm; choose one of: {', '.join(policies)}")
    team = random_team(cfg.seed) if folder is None else _trained_team(parts, folder, cfg.policy)
    path = Path(cfg.outputs) / f"random_{cfg.map.name}.gif" if folder is None else folder / "battle.gif"
    episode = Episode(env, team)
    try:
        gif = as_gif(episode)
    except NotImplementedError as error:
        raise ConfigError(f"no picture: {error}; choose what does, e.g. env=smac env.backend=embedded") from error
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, gif)
    print(f"{path}: {env.spec.score} {episode.score:.2f}, return {episode.total:.2f}, {episode.length} env steps")


@dataclass
class Episode:
    """One episode of one environment; iterating plays it and gives a picture of every moment."""

    env: Env
    team: Team
    length: int = 0
    total: float = 0.0
    score: float = 0.0

    def __iter__(self) -> Iterator[Frame]:
        step = self.env.reset()
        yield self.env.draw(0)
        over = False
        while not over:
            step = self.env.step(self.team(step))
            self.length += 1
            self.total += float(step.reward[0])
            over = bool((step.terminated | step.truncated)[0])
            yield self.env.draw(0)
        self.score = float(self.env.score(np.array([self.total], dtype=np.float32), step)[0])


def random_team(seed: int) -> Team:
    """A team that chooses uniformly among the available actions."""
    generator = np.random.default_rng(seed)

    def choose(step: Step) -> np.ndarray:
        scores: np.ndarray = generator.random(step.available.shape)
        return np.where(step.available, scores, -1.0).argmax(axis=-1)

    return choose


def film(cfg: DictConfig, algorithm: Algorithm, policy: str) -> bytes:
    """One greedy episode of a trained algorithm as a GIF, played in an environment of its own.

    Raises:
        NotImplementedError: the environment has no pictures.
    """
    rollout = build(_one_env(cfg), trains=False).evaluator.rollout
    return as_gif(Episode(rollout.env, _greedy_team(algorithm, rollout, policy)))


def _trained_team(parts: Parts, folder: Path, policy: str) -> Team:
    try:
        state = checkpoint.load(folder / "checkpoint.pt", None)
        if state is None:
            raise ConfigError(f"{folder} has no checkpoint yet; wait for the run to save one")
        parts.algorithm.load_state_dict(state["algorithm"])
    except checkpoint.Unreadable as error:
        raise RunRefused(str(error)) from error
    except (KeyError, RuntimeError, TypeError) as error:
        raise RunRefused(f"the checkpoint in {folder} does not fit this code ({type(error).__name__})") from error
    return _greedy_team(parts.algorithm, parts.evaluator.rollout, policy)


def _greedy_team(algorithm: Algorithm, rollout: Rollout, policy: str) -> Team:
    memory = algorithm.start(1)

    @torch.no_grad()
    def choose(step: Step) -> np.ndarray:
        nonlocal memory
        actions, memory = algorithm.act_greedily(rollout.observe(step, algorithm.reads_visibility), memory, policy)
        chosen: np.ndarray = actions.cpu().numpy()
        return chosen

    return choose


def _trained_on(folder: Path, cfg: DictConfig) -> DictConfig:
    """The configuration of a run, with the seed and device of this command."""
    path = folder / "config.yaml"
    if not path.exists():
        raise ConfigError(f"run={folder} is no run folder; type run=outputs/<env>/<map>/<algo>/<hash>/seed=<k>")
    trained = yaml_files.load(path)
    trained.seed, trained.device = cfg.seed, cfg.device
    return trained


def _one_env(cfg: DictConfig) -> DictConfig:
    one = copy.deepcopy(cfg)
    if chosen := settle(one):
        print(chosen)
    one.env.parallel = one.env.eval_parallel = one.budget.eval_episodes = 1
    return one
