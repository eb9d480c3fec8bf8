"""The identity of a run: its key, folder and random seeds follow from the configuration alone."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from macpf import names, suite
from macpf.choices import canonical_budget
from macpf.configuration import neutral_values
from macpf.runs.errors import ConfigError

#: Keys inside the other groups that do not change results either: names, labels, and lists of possible choices.
LABELS = {
    "algo": ("name", "labels", "family"),
    "env": ("name", "auto", "budgets"),
    "map": ("name", "env"),
    "budget": ("name",),
}


@dataclass(frozen=True)
class Identity:
    """The names of one run.

    Attributes:
        algo, env, map, backend, budget: names of the configuration's choices.
        config_hash: eight hex digits, a hash of all settings that change results.
        seed: the run's seed.
        outputs: the root of all run folders.
    """

    algo: str
    env: str
    map: str
    backend: str
    budget: str
    config_hash: str
    seed: int
    outputs: Path

    @classmethod
    def of(cls, cfg: DictConfig) -> Identity:
        """The identity of a composed configuration."""
        settings = result_settings(cfg)
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
        return cls(
            algo=cfg.algo.name,
            env=cfg.env.name,
            map=cfg.map.name,
            backend=cfg.env.backend,
            budget=canonical_budget(cfg.env.budgets, cfg.budget),
            config_hash=digest,
            seed=cfg.seed,
            outputs=Path(cfg.outputs),
        )

    @property
    def folder(self) -> Path:
        """``outputs/<env>/<map>/<algo>/<config hash>/seed=<k>``."""
        return self.outputs / self.env / self.map / self.algo / self.config_hash / f"seed={self.seed}"

    @property
    def key(self) -> str:
        """The run key: the same for the same settings on any machine, and different for any others."""
        return f"{self.group}-s{self.seed}"

    @property
    def group(self) -> str:
        """The run key without the seed, shared by all seeds of a configuration."""
        return f"{self.algo}-{self.env}-{self.map}-{self.config_hash}"

    def __str__(self) -> str:
        return f"{self.algo} on {self.env}/{self.map} seed={self.seed}"


def result_settings(cfg: DictConfig) -> dict[str, Any]:
    """The settings of a composed configuration that change results, as plain values; the run key follows from them.

    Left out are `names.NOT_RESULTS`, `LABELS`, and every setting with the neutral value that conf/neutral.yaml declares
    for it. These settings were added later, so earlier runs keep their keys. `init_from` is replaced by a checksum of
    the weights, so their path does not matter.
    """
    plain = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(plain, dict)
    settings = {str(key): value for key, value in plain.items() if key not in names.NOT_RESULTS}
    for group, labels in LABELS.items():
        settings[group] = {key: value for key, value in settings[group].items() if key not in labels}
    if settings.get("init_from") is not None:
        settings["init_from"] = _digest_of_weights(settings["init_from"])
    for path, neutral in neutral_values().items():
        *parents, last = path.split(".")
        inner: Any = settings
        for parent in parents:
            inner = inner.get(parent) if isinstance(inner, dict) else None
        if isinstance(inner, dict) and last in inner and inner[last] == neutral:
            del inner[last]
    return settings


def _digest_of_weights(place: str) -> str:
    """The checksum of the weights in a run folder or file.

    Raises:
        ConfigError: there are no usable weights there.
    """
    from macpf.runs.weights import Unusable, to_begin_with  # imports torch, which is slow and rarely needed here

    try:
        return to_begin_with(place).about.digest
    except Unusable as error:
        raise ConfigError(f"init_from: {error}") from error


@dataclass(frozen=True)
class Seeds:
    """A separate seed for each random stream, all derived from the run's seed."""

    networks: int
    algorithm: int
    env: int
    eval_env: int
    replay: int

    @classmethod
    def of(cls, seed: int) -> Seeds:
        """Spawn the seeds from the run's seed with `numpy.random.SeedSequence`."""
        children = np.random.SeedSequence(seed).spawn(5)
        return cls(*(int(child.generate_state(1, np.uint64)[0] >> 1) for child in children))


@functools.cache
def commit() -> str:
    """The code's git commit, with ``-dirty`` if files differ; if installed, ``v<version>``; otherwise ``unknown``."""
    if suite.INSTALLED:  # git would describe a repository around the installation
        return f"v{importlib.metadata.version('macpf')}"
    here = Path(__file__).parent
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--match=", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() or "unknown"
