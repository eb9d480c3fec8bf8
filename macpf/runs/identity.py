"""What a run is: its key, its folder and its seeds follow from the configuration alone."""

from __future__ import annotations

import functools
import hashlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from omegaconf import DictConfig, OmegaConf

#: Top-level keys of the configuration that do not change results.
NOT_HASHED = ("mode", "run", "policy", "seed", "device", "threads", "outputs", "tracking", "checkpoint")


@dataclass(frozen=True)
class Identity:
    """Names of one run.

    Attributes:
        algo, env, map, backend, budget: names of the configuration's choices.
        config_hash: eight hex digits over all that changes results.
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
        plain = OmegaConf.to_container(cfg, resolve=True)
        assert isinstance(plain, dict)
        hashed = {str(key): value for key, value in plain.items() if key not in NOT_HASHED}
        del hashed["env"]["budgets"]  # what could be chosen; `budget` has what was
        digest = hashlib.sha256(json.dumps(hashed, sort_keys=True).encode()).hexdigest()[:8]
        return cls(
            algo=cfg.algo.name,
            env=cfg.env.name,
            map=cfg.map.name,
            backend=cfg.env.backend,
            budget=cfg.budget.name,
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
        """Unique among runs, and valid as a W&B run id."""
        return f"{self.algo}-{self.env}-{self.map}-{self.config_hash}-s{self.seed}"

    @property
    def group(self) -> str:
        """Same for all seeds of a configuration."""
        return f"{self.algo}-{self.env}-{self.map}"

    def __str__(self) -> str:
        return f"{self.algo} on {self.env}/{self.map} seed={self.seed}"


@dataclass(frozen=True)
class Seeds:
    """One seed for each random stream, all from the run's seed; no two streams share one."""

    networks: int
    algorithm: int
    env: int
    eval_env: int
    replay: int

    @classmethod
    def of(cls, seed: int) -> Seeds:
        """The seed tree of a run."""
        children = np.random.SeedSequence(seed).spawn(5)
        return cls(*(int(child.generate_state(1, np.uint64)[0] >> 1) for child in children))


@functools.cache
def commit() -> str:
    """The code's git commit, with ``-dirty`` if files differ from it; ``unknown`` outside a checkout."""
    here = Path(__file__).parent
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--match=", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() or "unknown"
