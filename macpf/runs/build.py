"""Makes the objects of a run from its composed configuration, with a one-line message for each problem."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import hydra
import torch
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf
from pydantic import ValidationError

from macpf.envs.base import Env
from macpf.envs.interface import check_made
from macpf.experience.replay import Replay
from macpf.experience.rollout import Rollout
from macpf.extensions import find
from macpf.learning.algorithm import Algorithm
from macpf.records.owner import Text
from macpf.runs.command_line import NAME
from macpf.runs.errors import ConfigError, described
from macpf.runs.evaluation import Evaluator
from macpf.runs.identity import Seeds
from macpf.runs.placement import PLACES, Acceleration, Placement
from macpf.runs.settings import (
    Budget,
    CheckpointSettings,
    Name,
    Parallel,
    ReplaySettings,
    RolloutSettings,
    check,
    check_kept,
    check_numbers,
    check_profile,
    check_run_settings,
    check_that_it_learns,
    choose_device,
    one_line,
)
from macpf.runs.weights import Unusable, to_begin_with
from macpf.yaml_files import OPENED, load


@dataclass
class Parts:
    """All objects of a run; the replay of an on-policy algorithm stays empty.

    `algorithm` is the copy that learns; `placement` knows which copy plays.
    """

    algorithm: Algorithm
    placement: Placement
    rollout: Rollout
    evaluator: Evaluator
    replay: Replay
    settings: ReplaySettings | RolloutSettings
    budget: Budget


def choose_backend(cfg: DictConfig) -> str | None:
    """Replace `env.backend=auto` by the backend available here; if there was a choice, returns a line that explains it.

    Raises:
        ConfigError: the map belongs to another environment.
    """
    if cfg.map.env != cfg.env.name:
        name = dict(cfg.map.items_ex(resolve=False))["name"]  # unresolved: may refer to settings of its own environment
        raise ConfigError(
            f"map={name} belongs to env={cfg.map.env}; type env={cfg.map.env}, or a map of {cfg.env.name}"
        )
    if "auto" not in cfg.env:
        _refuse_other_backend(cfg)
        return None
    if cfg.env.backend != "auto":
        return None
    backend, why = hydra.utils.call(cfg.env.auto)
    cfg.env.backend = backend
    return f"env.backend=auto: {backend} ({why})"


def _refuse_other_backend(cfg: DictConfig) -> None:
    """Require the backend in an environment's file if it has only one: its runs would else pass for another's."""
    path = find("env", str(cfg.env.name), OPENED)
    said: Any = OmegaConf.to_container(load(path)) if path else {}
    make = cfg.env.make if isinstance(cfg.env.make, DictConfig) else {}
    theirs = said["make"] if isinstance(said.get("make"), dict) else {}
    same = theirs.get("_target_") == make.get("_target_")
    if same and "backend" in said and "backend" not in make and cfg.env.backend != said["backend"]:
        raise ConfigError(
            f"env.backend={cfg.env.backend}, but env={cfg.env.name} has only {said['backend']}; leave env.backend out"
        )


def build(cfg: DictConfig, trains: bool = True) -> Parts:
    """Make the parts of a run from its configuration; cheap, and without effects outside this process.

    Args:
        cfg: configuration of the run.
        trains: whether the run will train, so that its settings must allow at least one update.

    Raises:
        ConfigError: names the key, its value and what would be accepted.
    """
    check_numbers(cfg)
    for key in ("algo.name", "env.name", "env.backend", "map.name"):
        check(key, Name, OmegaConf.select(cfg, key))
    check("algo.labels", dict[Name, Text], cfg.algo.get("labels", {}))
    check("algo.family", Name, cfg.algo.get("family", cfg.algo.name))
    for group in ("task", "experiment", "toggle"):
        if group in cfg:
            raise ConfigError(
                f"a file of conf/{group} changes nothing, as it lacks its first line `# @package _global_`; add it, "
                "and write whole keys below it (algo: {learner: {lr: 0.01}})"
            )
    check_run_settings(cfg)
    check_profile(cfg)
    seeds = Seeds.of(cfg.seed)
    budget = check("budget", Budget, cfg.budget)
    check_kept(check("checkpoint", CheckpointSettings, cfg.checkpoint), budget)
    env = make_env(cfg, "env.parallel", cfg.env.parallel, seeds.env)
    eval_env = make_env(cfg, "env.eval_parallel", cfg.env.eval_parallel, seeds.eval_env)

    def make(device: str) -> Algorithm:
        torch.manual_seed(seeds.networks)
        made: Algorithm = _instantiate(
            "algo.learner", cfg.algo.learner, sizes=env.spec, device=device, seed=seeds.algorithm
        )
        _check_learner(made, str(cfg.algo.learner._target_))
        if cfg.init_from is not None:
            _begin_with(made, cfg.init_from)
        return made

    placement = Placement(choose_device(cfg.device), make, cfg.accelerate)
    algorithm, plays_on = placement.learner, placement.place.plays_on
    env.zeros = placement.zeros
    settings = _experience_settings(cfg, algorithm.on_policy)
    if trains:
        check_that_it_learns(settings, budget, env.batch_size, env.spec.episode_limit)
    capacity = settings.capacity if isinstance(settings, ReplaySettings) else 1
    bootstrap = check("env.bootstrap_at_limit", bool, cfg.env.bootstrap_at_limit)
    try:
        evaluator = Evaluator(Rollout(eval_env, bootstrap, plays_on), budget.eval_episodes)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return Parts(
        algorithm=algorithm,
        placement=placement,
        rollout=Rollout(env, bootstrap, plays_on),
        evaluator=evaluator,
        replay=Replay(capacity, seeds.replay, env),
        settings=settings,
        budget=budget,
    )


def _check_learner(made: Any, target: str) -> None:
    why = ""
    if not isinstance(made, Algorithm):
        why = f"{type(made).__name__} is no algorithm; derive it from macpf.learning.algorithm.Algorithm"
    elif not isinstance(getattr(made, "on_policy", None), bool):
        why = "it does not say on_policy; set on_policy = False if it learns from a replay, else True"
    else:
        policies = getattr(made, "policies", ())
        if not policies or not isinstance(policies, tuple | list) or not all(isinstance(p, str) for p in policies):
            why = f"policies is {policies!r}; name the greedy policies that are evaluated, e.g. ('independent',)"
        elif wrong := [p for p in policies if not re.fullmatch(NAME, p) or policies.count(p) > 1]:
            why = f"policies has {wrong[0]!r}; give each policy a name of its own, which begins with a letter or digit"
    if why:
        raise ConfigError(f"algo.learner._target_={target} cannot be used: {why}")


def _begin_with(algorithm: Algorithm, place: str) -> None:
    try:
        to_begin_with(place).put_into(algorithm)
    except Unusable as error:
        raise ConfigError(f"init_from: {error}") from error


def check_planned(cfg: DictConfig, thoroughly: bool, elsewhere: bool) -> None:
    """Check a configuration before any run is started.

    Args:
        cfg: configuration of the run.
        thoroughly: build its parts, which is slow for many runs. Otherwise only settings that may differ between runs
            of one configuration are checked.
        elsewhere: whether it will run on another machine, whose devices are not known here.

    Raises:
        ConfigError: names the key, its value and what would be accepted.
    """
    if cfg.mode == "render":
        raise ConfigError("mode=render draws one episode and sweeps nothing; leave -m out")
    if elsewhere and str(cfg.device).partition(":")[0] in PLACES:
        cfg = cfg.copy()
        cfg.device, cfg.accelerate = "cpu", check("accelerate", Acceleration, cfg.accelerate) and "auto"
    if thoroughly:
        build(cfg)
    else:
        check_run_settings(cfg)


def make_env(cfg: DictConfig, key: str, parallel: Any, seed: int) -> Env:
    """The parallel environments of a configuration.

    Args:
        cfg: configuration of the run.
        key: name of the setting with the number of environments, for messages.
        parallel: value of this setting.
        seed: seed of all episodes.

    Raises:
        ConfigError: names the key, its value and what would be accepted.
    """
    batch_size = check(key, Parallel, parallel)
    env: Env = _instantiate("env.make", cfg.env.make, batch_size=batch_size, seed=seed)
    try:
        check_made(env, batch_size)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"env.make._target_={cfg.env.make._target_} cannot be used: {error}") from error
    return env


def _experience_settings(cfg: DictConfig, on_policy: bool) -> ReplaySettings | RolloutSettings:
    """`algo.rollout` of an on-policy algorithm, `algo.replay` of an off-policy one."""
    kind, key, other = ("on-policy", "rollout", "replay") if on_policy else ("off-policy", "replay", "rollout")
    if other in cfg.algo:
        raise ConfigError(f"algo.{other} is not a setting of the {kind} algo={cfg.algo.name}, which has algo.{key}")
    if key not in cfg.algo:
        raise ConfigError(f"algo.{key} is missing, and algo={cfg.algo.name} is {kind}")
    settings: ReplaySettings | RolloutSettings = check(
        f"algo.{key}", RolloutSettings if on_policy else ReplaySettings, cfg.algo[key]
    )
    return settings


#: Classes that may be made, by the section that names them.
_LIKE = {"algo.learner": "baselines.qmix.QMIX", "env.make": "macpf.envs.matrix_game.MatrixGame"}


def _instantiate(key: str, node: DictConfig, **arguments: Any) -> Any:
    """Call the target of a configuration node with the node's values and these arguments, which bypass Hydra."""
    if not isinstance(node, DictConfig) or "_target_" not in node:
        raise ConfigError(f"{key} has no _target_, which names the class to make, e.g. _target_: {_LIKE[key]}")
    try:
        return hydra.utils.instantiate(node, _partial_=True, _convert_="all")(**arguments)
    except ValidationError as error:
        raise ConfigError(one_line(key, error)) from error
    except InstantiationException as error:
        cause: BaseException = error
        while cause.__cause__ is not None:  # Hydra's own message hides why a class cannot be imported
            cause = cause.__cause__
        if cause is error:
            said = " ".join(str(error).split())
            if said.startswith("Expected a callable target"):
                said = f"_target_={node._target_} is no class; name one, e.g. {_LIKE[key]}"
            raise ConfigError(f"{key}: {said}") from error
        module, _, name = str(node._target_).rpartition(".")
        missing = isinstance(cause, ModuleNotFoundError) and cause.name == node._target_
        why = f"{module} has no {name}" if missing else described(cause)
        raise ConfigError(f"{key}._target_={node._target_} cannot be used: {why}") from error
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{key}: {' '.join(str(error).split())}") from error
    except ConfigError:
        raise
    except Exception as error:  # any kind of error; the cause is what was typed: too large a network, a user's class
        raise ConfigError(f"{key}: {described(error)}") from error
