"""A trained team: the algorithm of a run with its weights, and whether it fits an environment."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from macpf.envs.base import EnvSpec
from macpf.learning.algorithm import Algorithm
from macpf.records.files import Damaged
from macpf.runs import checkpoint, weights
from macpf.runs.errors import ConfigError, RunRefused
from macpf.runs.weights import About, Unusable


def team_of(cfg: DictConfig, device: str) -> tuple[About, Algorithm]:
    """The algorithm of the run `cfg.run` with the weights of its newest checkpoint, or of `cfg.checkpoint.name`.

    Raises:
        ConfigError: the weights do not exist, or this code cannot use them.
        RunRefused: they are damaged.
    """
    try:
        loaded = weights.load(Path(cfg.run), cfg.checkpoint.name)
        return loaded.about, loaded.make(device)
    except Unusable as error:
        raise ConfigError(str(error)) from error
    except (checkpoint.Unreadable, Damaged) as error:
        kept = weights.kept(Path(cfg.run))
        names = f"name weights that it kept (checkpoint={kept[-1]}), or " if kept else ""
        raise RunRefused(f"{error}; {names}delete {cfg.run} and train it again") from error


def known_policy(algorithm: Algorithm, policy: str) -> str:
    """Return the policy, after a check that it exists.

    Raises:
        ConfigError: the algorithm has no policy of this name.
    """
    if policy not in algorithm.policies:
        choices = ", ".join(algorithm.policies)
        raise ConfigError(f"policy={policy} is none of this algorithm; choose one of: {choices}")
    return policy


def refuse_other_sizes(about: About, found: EnvSpec) -> None:
    """Reject an environment that a policy cannot play; the length of the state does not matter.

    Raises:
        ConfigError: the sizes differ; the message states both.
    """
    trained = about.sizes
    for what in ("n_agents", "n_actions", "obs_dim"):
        if (here := getattr(found, what)) != (there := getattr(trained, what)):
            raise ConfigError(
                f"{about.algo} was trained on {about.map} with {what}={there}, but here it is {here}; "
                "choose a map and settings of the same sizes"
            )
