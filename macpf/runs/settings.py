"""Validation of a run's settings, single and combined, with a one-line message for each problem."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import torch
from omegaconf import DictConfig, OmegaConf
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, PositiveInt, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from macpf.learning.schedules import Schedule
from macpf.runs.command_line import NAME
from macpf.runs.errors import ConfigError
from macpf.runs.placement import PLACES, Acceleration

STRICT = ConfigDict(extra="forbid")

#: Bound of whole numbers: -BEYOND <= number < BEYOND, because logs and the tables made from them hold 64 bits.
BEYOND = 2**63

#: Names become parts of paths and of W&B ids.
Name = Annotated[str, Field(pattern=NAME, max_length=100)]
#: The seed of all random streams. Whatever writes or reads seeds uses this range.
Seed = Annotated[int, Field(ge=0, lt=BEYOND, strict=True)]
Threads = Annotated[int, Field(gt=0, le=1024, strict=True)]
#: Number of parallel environments.
Parallel = Annotated[int, Field(gt=0, le=10_000, strict=True)]


#: W&B does not accept longer tags.
Tag = Annotated[str, Field(min_length=1, max_length=64)]


def _list_of(what: str, key: str) -> BeforeValidator:
    """Refuse a single number or word where a list of them is wanted."""

    def checked(value: Any) -> Any:
        if isinstance(value, int | str):
            raise ValueError(f"{what} are a list; type {key}=[{value}]")
        return value

    return BeforeValidator(checked)


def _accepted_by_wandb(project: str) -> str:
    found = sorted(set(project) & set("/\\#?%:"))
    if found or not project.strip() or len(project) > 128:
        why = f"has {' '.join(found)}" if found else "has no name or more than 128 letters"
        raise ValueError(f"W&B takes no project that {why}; type e.g. tracking.project=macpf")
    return project


@checked(frozen=True, config=STRICT)
class ReplaySettings:
    """The replay of an off-policy algorithm."""

    capacity: PositiveInt
    batch: PositiveInt
    burn_in: PositiveInt
    updates_per_episode: PositiveInt

    def __post_init__(self) -> None:
        for name in ("batch", "burn_in"):
            if getattr(self, name) > self.capacity:
                raise ValueError(
                    f"{name}={getattr(self, name)} is larger than capacity={self.capacity}, so no update would ever "
                    f"be made; use a capacity of at least {max(self.batch, self.burn_in)}"
                )


@checked(frozen=True, config=STRICT)
class RolloutSettings:
    """The rollout of an on-policy algorithm, in env steps."""

    env_steps: PositiveInt


@checked(frozen=True, config=STRICT)
class Budget:
    """How long a run trains and how often it is evaluated, in env steps."""

    name: Name
    env_steps: PositiveInt
    eval_interval: PositiveInt
    eval_episodes: Annotated[int, Field(gt=0, le=1_000_000)]

    @property
    def evaluations(self) -> int:
        """How often a complete run is evaluated: at the start, at every multiple of the interval, and at the end."""
        return 1 + -(-self.env_steps // self.eval_interval)

    def evaluation_due(self, env_steps: int) -> int:
        """The number of the latest evaluation that is due after this many env steps, counted from 0."""
        return self.evaluations - 1 if env_steps >= self.env_steps else env_steps // self.eval_interval


@checked(frozen=True, config=STRICT)
class CheckpointSettings:
    """What a run saves.

    Attributes:
        every_seconds: seconds between two checkpoints.
        keep: env steps at which its weights are saved.
        keep_every: interval in env steps at which weights are also saved; None: never.
        keep_replay: whether a finished run can be continued to a larger budget.
        name: which weights of a trained run are used (``mode=evaluate``, ``mode=render``); None: the newest.
    """

    every_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    keep: Annotated[tuple[Annotated[int, Field(ge=0, lt=BEYOND)], ...], _list_of("env steps", "checkpoint.keep")]
    keep_every: PositiveInt | None
    keep_replay: bool
    name: str | int | None

    def due(self, before: int, now: int) -> list[int]:
        """The env steps at which weights are saved, after `before` and up to `now`, in order."""
        steps = {step for step in self.keep if before < step <= now}
        if self.keep_every is not None:
            steps |= {*range((max(before, 0) // self.keep_every + 1) * self.keep_every, now + 1, self.keep_every)}
        return sorted(steps)


@checked(frozen=True, config=STRICT)
class TrackingSettings:
    """Where the W&B log goes and what W&B shows. Not part of a run's identity; older runs lack what W&B shows.

    Attributes:
        mode, project, entity: the destination.
        name, group, notes: replace those derived from the run (`macpf.runs.wandb_page`).
        tags: in addition to the run's own.
        media: log a GIF of one episode of each policy at the end.
        model: log the final checkpoint as an artefact of the type ``model``.
        system: log CPU, memory and GPU usage during the run.
    """

    mode: Literal["offline", "online", "disabled"]
    project: Annotated[str, AfterValidator(_accepted_by_wandb)] = "macpf"
    entity: str | None = None
    name: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    group: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    tags: Annotated[tuple[Tag, ...], _list_of("tags", "tracking.tags")] = ()
    notes: str | None = None
    media: bool = False
    model: bool = False
    system: bool = False


def check_run_settings(cfg: DictConfig) -> None:
    """Check the settings that may differ between runs of one configuration.

    Raises:
        ConfigError: names the key, its value and what would be accepted.
    """
    check("mode", Literal["train", "evaluate", "render"], cfg.mode)
    check("seed", Seed, cfg.seed)
    check("threads", Threads, cfg.threads)
    checkpoints = check("checkpoint", CheckpointSettings, cfg.checkpoint)
    check("tracking", TrackingSettings, cfg.tracking)
    check("init_from", Annotated[str, AfterValidator(_folder)] | None, cfg.init_from)
    check("outputs", Annotated[str, AfterValidator(_folder)], cfg.outputs)
    choose_device(cfg.device)
    check("accelerate", Acceleration, cfg.accelerate)
    for key, value in (("policy", cfg.policy), ("checkpoint", checkpoints.name)):
        if value is not None and cfg.run is None:
            raise ConfigError(f"{key}={value} needs a trained run; type run=<its folder> as well, or leave {key} out")
    if cfg.run is not None and cfg.mode == "train":
        raise ConfigError(
            f"run={cfg.run} is for mode=evaluate and mode=render; type one of them, or init_from={cfg.run} to begin "
            "with its weights"
        )


def _folder(path: str) -> str:
    if not path.strip() or path.startswith("~") or "\0" in path:
        raise ValueError(f"{path!r} names no folder; type e.g. outputs, or the whole path")
    return path


def check_numbers(cfg: DictConfig) -> None:
    """Reject numbers that are NaN or infinite or need more than 64 bits, in any setting.

    Raises:
        ConfigError: names the key and its value.
    """
    for key, value in _leaves(OmegaConf.to_container(cfg, resolve=True), ""):
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{key}={value} is not a finite number; type one")
        if isinstance(value, int) and not -BEYOND <= value < BEYOND:
            raise ConfigError(f"{key}={value} needs more than 64 bits; type a smaller number")


def _leaves(node: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict | list):
        for name, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _leaves(value, f"{key}.{name}" if key else str(name))
    else:
        yield key, node


def check_kept(checkpoints: CheckpointSettings, budget: Budget) -> None:
    """Reject env steps at which weights would never be saved.

    Raises:
        ConfigError: names an env step beyond the budget.
    """
    wanted = [*checkpoints.keep, *([checkpoints.keep_every] if checkpoints.keep_every else [])]
    if beyond := [step for step in wanted if step > budget.env_steps]:
        raise ConfigError(
            f"checkpoint.keep: env step {beyond[0]} lies beyond budget.env_steps={budget.env_steps}, so its weights "
            "would never be kept; type a smaller one"
        )


def check_profile(cfg: DictConfig) -> None:
    """Check that the profile has settings for this run.

    Raises:
        ConfigError: it has none for the algorithm or the environment.
    """
    only = check("profile.only", dict[Literal["algo", "env", "map"], list[Name]], cfg.profile.only)
    for group, known in only.items():
        if cfg[group].name not in known:
            name = cfg.profile.name
            raise ConfigError(
                f"profile={name} has no settings for {group}={cfg[group].name}, only for {', '.join(known)}; "
                f"type profile=paper, or one of these"
            )


def choose_device(device: str) -> str:
    """`auto` selects CUDA if available; ``cuda:1`` becomes ``cuda``, which `macpf.runs.devices` handles.

    Raises:
        ConfigError: the device is unknown or not available.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, colon, number = str(device).partition(":")
    if kind not in PLACES or (colon and (kind == "cpu" or not re.fullmatch(r"\d{1,3}", number))):
        raise ConfigError(f"device={device} is not known; use auto, cpu or cuda (or cuda:<number>, cuda-only)")
    if kind != "cpu" and not torch.cuda.is_available():
        raise ConfigError(f"device={device}, but this machine shows no CUDA device; use device=auto or device=cpu")
    if number and int(number) >= (devices := torch.cuda.device_count()):
        shown = "only cuda:0" if devices == 1 else f"cuda:0 to cuda:{devices - 1}"
        raise ConfigError(f"device={device}, but this machine shows {shown}; use one of these, or device=auto")
    return kind


def check_that_it_learns(
    settings: ReplaySettings | RolloutSettings, budget: Budget, parallel: int, episode_limit: int
) -> None:
    """Reject a run that could never make an update, however its episodes end.

    Args:
        settings: settings of the replay or the rollout.
        budget: budget of the run.
        parallel: number of parallel environments, and so of episodes in each round.
        episode_limit: largest number of env steps of an episode.

    Raises:
        ConfigError: names the two settings that contradict each other.
    """
    length = f"budget.env_steps={budget.env_steps}"
    if isinstance(settings, RolloutSettings):
        most = budget.env_steps - 1 + parallel * episode_limit  # the last round may go beyond the budget
        if settings.env_steps > most:
            raise ConfigError(
                f"algo.rollout.env_steps={settings.env_steps}, but {length} ends before that many are played, so no "
                f"update would ever be made; type algo.rollout.env_steps={budget.env_steps} or less, or a longer budget"
            )
        return
    most = -(-budget.env_steps // parallel) * parallel  # rounds of one env step each
    for name in ("burn_in", "batch"):
        wanted = getattr(settings, name)
        if wanted > most:
            raise ConfigError(
                f"algo.replay.{name}={wanted} episodes, but {length} gives {most} at most, so no update would ever be "
                f"made; type a smaller algo.replay.{name}, or a longer budget"
            )


def check(key: str, type_: Any, value: Any) -> Any:
    """The value, converted to `type_`.

    Raises:
        ConfigError: the value is invalid; one line names the key, the value and the rule.
    """
    if OmegaConf.is_config(value):
        value = OmegaConf.to_container(value, resolve=True)
    try:
        return TypeAdapter(type_).validate_python(value)
    except ValidationError as error:
        raise ConfigError(one_line(key, error)) from error


def one_line(key: str, error: ValidationError) -> str:
    """All of pydantic's errors as `key=value: rule`, joined by semicolons."""
    lines = []
    for detail in error.errors():
        where = ".".join(str(part) for part in detail["loc"])
        full = f"{key}.{where}" if where else key
        message = detail["msg"].removeprefix("Value error, ")
        if detail["type"].startswith("missing"):
            lines.append(f"{full} is missing")
        elif detail["type"] in ("unexpected_keyword_argument", "unexpected_keyword"):
            lines.append(f"{full} is not a setting of {error.title.removesuffix('.__init__')}; leave it out")
        elif detail["type"] == "value_error":
            lines.append(f"{full}: {message}")
        elif detail.get("ctx", {}).get("class_name") == Schedule.__name__:
            number = detail["input"] if isinstance(detail["input"], int | float) else 0.1
            both = f"{full}.start={number} {full}.end={number}"
            lines.append(f"{full}={detail['input']!r}: it goes from a start to an end; type {both}")
        else:
            lines.append(f"{full}={detail['input']!r}: {message[0].lower()}{message[1:]}")
    return "; ".join(lines)
