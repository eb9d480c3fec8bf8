"""From a composed configuration to the objects of a run, with one clear line for whatever does not fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import hydra
import torch
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf
from pydantic import ConfigDict, Field, PositiveInt, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from macpf.envs.base import Env
from macpf.experience.replay import Replay
from macpf.experience.rollout import Rollout
from macpf.learning.algorithm import Algorithm
from macpf.runs.errors import ConfigError
from macpf.runs.evaluation import Evaluator
from macpf.runs.identity import Seeds

STRICT = ConfigDict(extra="forbid")


#: Names become parts of paths and of W&B ids.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]


@checked(frozen=True, config=STRICT)
class ReplaySettings:
    """How an off-policy algorithm replays."""

    capacity: PositiveInt
    batch: PositiveInt
    burn_in: PositiveInt
    updates_per_episode: PositiveInt

    def __post_init__(self) -> None:
        if self.batch > self.capacity:
            raise ValueError(f"batch={self.batch} is larger than capacity={self.capacity}")


@checked(frozen=True, config=STRICT)
class RolloutSettings:
    """How much an on-policy algorithm plays before it learns, in env steps."""

    env_steps: PositiveInt


@checked(frozen=True, config=STRICT)
class Budget:
    """How long a run trains and how often it is evaluated, in env steps."""

    name: Name
    env_steps: PositiveInt
    eval_interval: PositiveInt
    eval_episodes: PositiveInt


@checked(frozen=True, config=STRICT)
class CheckpointSettings:
    """How often a run saves by itself."""

    every_seconds: Annotated[float, Field(ge=0)]


@checked(frozen=True, config=STRICT)
class TrackingSettings:
    """Where the W&B log goes."""

    mode: Literal["offline", "online", "disabled"]
    project: str
    entity: str | None


@dataclass
class Parts:
    """Everything a run trains with; the replay of an on-policy algorithm stays empty."""

    algorithm: Algorithm
    rollout: Rollout
    evaluator: Evaluator
    replay: Replay
    settings: ReplaySettings | RolloutSettings
    budget: Budget


def settle(cfg: DictConfig) -> str | None:
    """Put the backend that plays here in the place of `env.backend=auto`; says which and why if there was a choice.

    Raises:
        ConfigError: the map is of another environment, and the rest makes no sense.
    """
    if cfg.map.env != cfg.env.name:
        name = dict(cfg.map.items_ex(resolve=False))["name"]  # which may rest on settings of its own environment
        raise ConfigError(
            f"map={name} belongs to env={cfg.map.env}; type env={cfg.map.env}, or a map of {cfg.env.name}"
        )
    if cfg.env.backend != "auto" or "auto" not in cfg.env:
        return None
    backend, why = hydra.utils.call(cfg.env.auto)
    cfg.env.backend = backend
    return f"env.backend=auto: {backend} ({why})"


def build(cfg: DictConfig) -> Parts:
    """Make the parts of a run from its settled configuration; cheap, and without a trace outside this process.

    Raises:
        ConfigError: names the key, its value and what would be accepted.
    """
    for key in ("algo.name", "env.name", "env.backend", "map.name"):
        _check(key, Name, OmegaConf.select(cfg, key))
    check_run_settings(cfg)
    check_profile(cfg)
    seeds = Seeds.of(cfg.seed)
    budget = _check("budget", Budget, cfg.budget)
    device = choose_device(cfg.device)
    env = _make_env(cfg, "env.parallel", cfg.env.parallel, seeds.env)
    eval_env = _make_env(cfg, "env.eval_parallel", cfg.env.eval_parallel, seeds.eval_env)
    torch.manual_seed(seeds.networks)
    algorithm = _instantiate("algo.learner", cfg.algo.learner, sizes=env.spec, device=device, seed=seeds.algorithm)
    settings = _experience_settings(cfg, algorithm.on_policy)
    capacity = settings.capacity if isinstance(settings, ReplaySettings) else 1
    bootstrap = _check("env.bootstrap_at_limit", bool, cfg.env.bootstrap_at_limit)
    try:
        evaluator = Evaluator(Rollout(eval_env, bootstrap, device), budget.eval_episodes)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return Parts(
        algorithm=algorithm,
        rollout=Rollout(env, bootstrap, device),
        evaluator=evaluator,
        replay=Replay(capacity, seeds.replay, env),
        settings=settings,
        budget=budget,
    )


def check_planned(cfg: DictConfig, thoroughly: bool, elsewhere: bool) -> None:
    """Check a settled configuration before any run is started.

    Args:
        cfg: of the run.
        thoroughly: build its parts, which is slow for many; else only what may differ between runs of one
            configuration is looked at.
        elsewhere: another machine will play it, whose devices nobody knows here.

    Raises:
        ConfigError: names the key, its value and what would be accepted.
    """
    if cfg.mode == "render":
        raise ConfigError("mode=render draws one episode and sweeps nothing; leave -m out")
    if elsewhere and cfg.device == "cuda":
        cfg = cfg.copy()
        cfg.device = "cpu"
    if thoroughly:
        build(cfg)
    else:
        check_run_settings(cfg)


def check_run_settings(cfg: DictConfig) -> None:
    """Check what may differ between runs of one configuration.

    Raises:
        ConfigError: names the key, its value and what would be accepted.
    """
    _check("mode", Literal["train", "render"], cfg.mode)
    _check("seed", Annotated[int, Field(ge=0, strict=True)], cfg.seed)
    _check("threads", Annotated[int, Field(gt=0, strict=True)], cfg.threads)
    _check("checkpoint", CheckpointSettings, cfg.checkpoint)
    _check("tracking", TrackingSettings, cfg.tracking)
    choose_device(cfg.device)


def check_profile(cfg: DictConfig) -> None:
    """Check that the profile has settings for this run.

    Raises:
        ConfigError: it has none for the algorithm or the environment.
    """
    for group, known in cfg.profile.only.items():
        if cfg[group].name not in known:
            name = cfg.profile.name
            raise ConfigError(
                f"profile={name} has no settings for {group}={cfg[group].name}, only for {', '.join(known)}; "
                f"type profile=paper, or one of these"
            )


def choose_device(device: str) -> str:
    """`auto` takes CUDA where there is one.

    Raises:
        ConfigError: for a device that is not known or not there.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device={device} is not known; use auto, cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device=cuda, but this machine shows no CUDA device; use device=auto or device=cpu")
    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"


def _make_env(cfg: DictConfig, key: str, parallel: Any, seed: int) -> Env:
    batch_size = _check(key, PositiveInt, parallel)
    env: Env = _instantiate("env.make", cfg.env.make, batch_size=batch_size, seed=seed)
    return env


def _experience_settings(cfg: DictConfig, on_policy: bool) -> ReplaySettings | RolloutSettings:
    """`algo.rollout` of an on-policy algorithm, `algo.replay` of an off-policy one."""
    kind, key, other = ("on-policy", "rollout", "replay") if on_policy else ("off-policy", "replay", "rollout")
    if other in cfg.algo:
        raise ConfigError(f"algo.{other} is not a setting of the {kind} algo={cfg.algo.name}, which has algo.{key}")
    if key not in cfg.algo:
        raise ConfigError(f"algo.{key} is missing, and algo={cfg.algo.name} is {kind}")
    settings: ReplaySettings | RolloutSettings = _check(
        f"algo.{key}", RolloutSettings if on_policy else ReplaySettings, cfg.algo[key]
    )
    return settings


def _check(key: str, type_: Any, value: Any) -> Any:
    """The value as `type_`, or one line that says why it is not."""
    if OmegaConf.is_config(value):
        value = OmegaConf.to_container(value, resolve=True)
    try:
        return TypeAdapter(type_).validate_python(value)
    except ValidationError as error:
        raise ConfigError(_one_line(key, error)) from error


def _instantiate(key: str, node: DictConfig, **arguments: Any) -> Any:
    """Call a node's target with its values and these arguments, which are ours and never pass through Hydra."""
    try:
        return hydra.utils.instantiate(node, _partial_=True, _convert_="all")(**arguments)
    except ValidationError as error:
        raise ConfigError(_one_line(key, error)) from error
    except (InstantiationException, TypeError, ValueError) as error:
        raise ConfigError(f"{key}: {' '.join(str(error).split())}") from error


def _one_line(key: str, error: ValidationError) -> str:
    """All of pydantic's complaints as `key=value: rule`, joined by semicolons."""
    lines = []
    for detail in error.errors():
        where = ".".join(str(part) for part in detail["loc"])
        full = f"{key}.{where}" if where else key
        message = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "missing":
            lines.append(f"{full} is missing")
        elif detail["type"] in ("unexpected_keyword_argument", "unexpected_keyword"):
            lines.append(f"{full} is not a setting of it")
        elif detail["type"] == "value_error":
            lines.append(f"{full}: {message}")
        else:
            lines.append(f"{full}={detail['input']!r}: {message[0].lower()}{message[1:]}")
    return "; ".join(lines)
