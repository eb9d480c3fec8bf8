"""``mode=render``: one episode of a trained or a random team as a GIF."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from omegaconf import DictConfig

from macpf.envs.animation import Frame, as_gif
from macpf.envs.base import Env, Step
from macpf.experience.rollout import Rollout
from macpf.learning.algorithm import Algorithm
from macpf.records.files import write_atomically
from macpf.runs.build import choose_backend, make_env
from macpf.runs.errors import ConfigError
from macpf.runs.identity import Seeds
from macpf.runs.placement import PLACES
from macpf.runs.settings import check_run_settings, choose_device
from macpf.runs.team import known_policy, refuse_other_sizes, team_of
from macpf.runs.trained import reopened

#: Chooses joint actions [1, N] for the observation of one environment.
Team: TypeAlias = Callable[[Step], np.ndarray]


def render(cfg: DictConfig, typed: Iterable[str] = ()) -> None:
    """Play one episode, write it as a GIF and print its result.

    The team is that of the run folder `cfg.run`, acting greedily with `cfg.policy`; or a random one if no run is given.
    The file is ``battle.gif`` in the run's folder, or ``random_<map>.gif`` in `cfg.outputs`. Another policy, map,
    checkpoint or seed than the usual becomes part of its name, as in ``battle_dependent_8m_200000_seed3.gif``.

    Args:
        cfg: as Hydra composed it.
        typed: the command line's overrides.

    Raises:
        ConfigError: there is no such run or policy, or the environment has no pictures.
        RunRefused: the run's checkpoint cannot be used.
    """
    check_run_settings(cfg)
    folder = None if cfg.run is None else Path(cfg.run)
    one = copy.deepcopy(cfg) if folder is None else reopened(cfg, typed)
    if chosen := choose_backend(one):
        print(chosen)
    env = make_env(one, "env.eval_parallel", 1, Seeds.of(cfg.seed).eval_env)
    changed = [] if cfg.seed == 0 else [f"seed{cfg.seed}"]
    if folder is None:
        team = random_team(cfg.seed)
    else:
        about, algorithm = team_of(one, PLACES[choose_device(cfg.device)].plays_on)
        refuse_other_sizes(about, env.spec)
        policy = algorithm.policies[0] if cfg.policy is None else known_policy(algorithm, cfg.policy)
        team = _greedy_team(algorithm, Rollout(env, True, algorithm.device), policy)
        pairs = ((policy, algorithm.policies[0]), (one.map.name, about.map), (cfg.checkpoint.name, None))
        changed = [str(name) for name, usual in pairs if name != usual] + changed
    place, name = (Path(cfg.outputs), f"random_{cfg.map.name}") if folder is None else (folder, "battle")
    path = place / f"{'_'.join([name, *changed])}.gif"
    episode = Episode(env, team)
    try:
        gif = as_gif(episode)
    except NotImplementedError as error:
        raise ConfigError(f"no picture: {error}; choose what does, e.g. env=smac env.backend=embedded") from error
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, gif)
    score = "" if env.spec.score == "return" else f"{env.spec.score} {episode.score:.2f}, "
    print(f"{path}: {score}return {episode.total:.2f}, {episode.length} env steps")


@dataclass
class Episode:
    """One episode of one environment; iterating plays it and yields a picture of every step."""

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
    """One greedy episode of a trained algorithm as a GIF, played in a separate environment.

    Raises:
        NotImplementedError: the environment has no pictures.
    """
    env = make_env(cfg, "env.eval_parallel", 1, Seeds.of(cfg.seed).eval_env)
    return as_gif(Episode(env, _greedy_team(algorithm, Rollout(env, True, algorithm.device), policy)))


def _greedy_team(algorithm: Algorithm, rollout: Rollout, policy: str) -> Team:
    memory = algorithm.start(1)

    @torch.no_grad()
    def choose(step: Step) -> np.ndarray:
        nonlocal memory
        actions, memory = algorithm.act_greedily(rollout.observe(step, algorithm.reads_visibility), memory, policy)
        chosen: np.ndarray = actions.cpu().numpy()
        return chosen

    return choose
