"""``mode=evaluate``: play episodes with a trained run; writes a Parquet row for each, and confidence intervals."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from omegaconf import DictConfig, OmegaConf
from pydantic import Field
from pydantic.dataclasses import dataclass as checked
from scipy import stats

from macpf import names
from macpf.experience.rollout import NotFinite, Played, Rollout
from macpf.learning.algorithm import Algorithm
from macpf.records.files import write_atomically
from macpf.runs.build import choose_backend, make_env
from macpf.runs.errors import ConfigError, RunRefused
from macpf.runs.identity import Seeds, commit
from macpf.runs.placement import PLACES
from macpf.runs.settings import STRICT, Parallel, check, check_run_settings, choose_device
from macpf.runs.team import known_policy, refuse_other_sizes, team_of
from macpf.runs.trained import reopened
from macpf.runs.weights import About

log = logging.getLogger(__name__)

#: The folder of evaluations below a run folder.
FOLDER = "evaluations"
#: Confidence level of all intervals, and the number of resamples of a bootstrap.
CONFIDENCE, RESAMPLES = 0.95, 10_000
#: Columns that every evaluation has; a number of the environment with one of these names gets the prefix ``info_``.
COLUMNS = ("policy", "episode", "seed", "score", "return", "length")


@checked(frozen=True, config=STRICT)
class EvaluateSettings:
    """The number of episodes of each policy."""

    episodes: Annotated[int, Field(gt=0, le=10_000_000)]


@dataclass(frozen=True)
class Evaluation:
    """A trained run that is ready to play.

    Attributes:
        cfg: the run's configuration, with the overrides for this evaluation.
        about: the description of the weights that play.
        algorithm: the algorithm with these weights.
        rollout: plays the episodes; has the environments.
        policies: the policies that play. Each starts from the same state of the environments' random streams.
        episodes: episodes of each policy.
        folder: where the results go. It follows from the weights and settings.
    """

    cfg: DictConfig
    about: About
    algorithm: Algorithm
    rollout: Rollout
    policies: tuple[str, ...]
    episodes: int
    folder: Path

    @classmethod
    def of(cls, cfg: DictConfig, typed: Iterable[str] = ()) -> Evaluation:
        """Load the weights and build the environments; no results are written.

        Raises:
            ConfigError: there is no such run, checkpoint or policy, or the weights do not fit the environment.
            RunRefused: the run is damaged.
        """
        check_run_settings(cfg)
        settings = check("evaluate", EvaluateSettings, cfg.evaluate)
        if cfg.run is None:
            raise ConfigError("mode=evaluate needs a trained run; type run=outputs/<env>/<map>/<algo>/<hash>/seed=<k>")
        run = reopened(cfg, typed)
        if chosen := choose_backend(run):
            print(chosen)
        device = PLACES[choose_device(cfg.device)].plays_on
        about, algorithm = team_of(run, device)
        policies = algorithm.policies if cfg.policy is None else (known_policy(algorithm, cfg.policy),)
        check("env.parallel", Parallel, run.env.parallel)
        env = make_env(run, "env.eval_parallel", run.env.eval_parallel, Seeds.of(cfg.seed).eval_env)
        refuse_other_sizes(about, env.spec)
        bootstrap = check("env.bootstrap_at_limit", bool, run.env.bootstrap_at_limit)
        said = OmegaConf.to_container(run, resolve=True)
        assert isinstance(said, dict)
        what = [about.digest, said["env"], said["map"], cfg.seed, settings.episodes, policies]
        digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:8]
        folder = Path(cfg.run) / FOLDER / f"after={about.env_steps}_seed={cfg.seed}_{digest}"
        rollout = Rollout(env, bootstrap, device)
        return cls(run, about, algorithm, rollout, policies, settings.episodes, folder)

    def play(self) -> pd.DataFrame:
        """Play; returns a row for each episode of each policy: `COLUMNS` and every number that the environment reports.

        Parallel environments play in rounds of one episode each. Of the last round, the first environments count, so
        no episode is favoured for its length.

        Raises:
            RunRefused: the environment returned a NaN or infinite number.
        """
        env, parts = self.rollout.env, []
        start = copy.deepcopy(env.state_dict())
        for policy in self.policies:
            env.load_state_dict(copy.deepcopy(start))
            rounds = -(-self.episodes // env.batch_size)
            try:
                played = [_lines(self.rollout.play(self.algorithm, policy=policy)) for _ in range(rounds)]
            except NotFinite as error:
                raise RunRefused(f"{self.about}: {error}") from error
            lines = pd.concat(played, ignore_index=True)[: self.episodes]
            lines.insert(0, "policy", policy)
            lines.insert(1, "episode", range(len(lines)))
            lines.insert(2, "seed", self.cfg.seed)
            parts.append(lines)
        return pd.concat(parts, ignore_index=True)

    @property
    def facts(self) -> dict[str, Any]:
        """What was evaluated, as plain values for JSON."""
        said = OmegaConf.to_container(self.cfg, resolve=True)
        assert isinstance(said, dict)
        return {
            "run": self.about.key,
            "origin": self.about.origin,
            "env_steps": self.about.env_steps,
            "weights": self.about.digest,
            "seed": self.cfg.seed,
            "episodes": self.episodes,
            "side_by_side": self.rollout.env.batch_size,
            "score": self.rollout.env.spec.score,
            "env": said["env"],
            "map": said["map"],
            "provenance": dict(self.rollout.env.provenance),
            "commit": commit(),
        }


def evaluate(cfg: DictConfig, typed: Iterable[str] = ()) -> float:
    """Evaluate the run `cfg.run`: write episodes and summary below its folder, log them to W&B and print the summary.

    Args:
        cfg: the configuration as Hydra composed it.
        typed: the command line's overrides.

    Returns:
        The mean score of the first policy.

    Raises:
        ConfigError: there is no such run, checkpoint or policy, or the weights do not fit the environment.
        RunRefused: the run is damaged, or the environment returned a NaN or infinite number.
    """
    torch.set_num_threads(cfg.threads)
    evaluation = Evaluation.of(cfg, typed)
    episodes = evaluation.play()
    score = evaluation.rollout.env.spec.score
    summary = {policy: summarised(episodes[episodes["policy"] == policy], score) for policy in evaluation.policies}
    folder, facts = evaluation.folder, evaluation.facts
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "episodes.parquet", _parquet(episodes, facts))
    write_atomically(folder / "summary.json", json.dumps(facts | {"policies": summary}, indent=1).encode())
    _log(evaluation, episodes, summary, facts)
    print(f"{evaluation.about}, {evaluation.episodes:,} episodes with seed {cfg.seed}: {folder / 'episodes.parquet'}")
    for policy, told in summary.items():
        print(f"  {policy}: {_described(told, score)}")
    return float(next(iter(summary.values()))[score])


def summarised(episodes: pd.DataFrame, score: str) -> dict[str, Any]:
    """The mean of every column over some episodes, and the confidence interval of the score with its kind."""
    scores = episodes["score"].to_numpy(dtype=float)
    low, high, kind = interval(scores, score)
    numbers = episodes.drop(columns=["policy", "episode", "seed", "score"]).mean(numeric_only=True)
    means = {str(name): float(value) for name, value in numbers.items()}
    return means | {score: float(scores.mean()), "low": low, "high": high, "interval": kind}


def interval(scores: np.ndarray, score: str) -> tuple[float, float, str]:
    """The 95 % confidence interval of the mean score, and its kind.

    It is Wilson's interval for win rates, where every score is 0 or 1, else a percentile bootstrap over episodes with a
    fixed seed. The bootstrap needs at least two episodes; with fewer the bounds are NaN and the kind is ``none``.
    """
    if score == "win_rate" and np.isin(scores, (0.0, 1.0)).all():
        found = stats.binomtest(int(scores.sum()), len(scores)).proportion_ci(CONFIDENCE, method="wilson")
        return float(found.low), float(found.high), "Wilson"
    if len(scores) < 2:
        return float("nan"), float("nan"), "none"
    if np.ptp(scores) == 0.0:
        return float(scores[0]), float(scores[0]), "bootstrap"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = stats.bootstrap(
            (scores,),
            np.mean,
            confidence_level=CONFIDENCE,
            n_resamples=RESAMPLES,
            batch=max(1, 10_000_000 // len(scores)),
            method="percentile",
            rng=np.random.default_rng(0),
        ).confidence_interval
    return float(found.low), float(found.high), "bootstrap"


def _described(told: dict[str, Any], score: str) -> str:
    text = f"{score} {told[score]:.3f}"
    if told["interval"] != "none":
        text += f" [{told['low']:.3f}, {told['high']:.3f}] ({CONFIDENCE:.0%}, {told['interval']})"
    others = {name: value for name, value in told.items() if name not in (score, "low", "high", "interval")}
    return ", ".join([text, *(f"{name} {value:.3f}" for name, value in others.items())])


def _lines(played: Played) -> pd.DataFrame:
    returns = torch.from_numpy(played.rows["reward"].copy()).sum(dim=1).numpy()
    columns = {"score": played.scores, "return": returns, "length": played.lengths}
    told = {f"info_{name}" if name in COLUMNS else name: values for name, values in played.info.items()}
    return pd.DataFrame(columns | told)


def _parquet(episodes: pd.DataFrame, facts: dict[str, Any]) -> bytes:
    table = pa.Table.from_pandas(episodes, preserve_index=False)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), "evaluation": json.dumps(facts)})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _log(evaluation: Evaluation, episodes: pd.DataFrame, summary: dict[str, Any], facts: dict[str, Any]) -> None:
    """Log to a W&B run of job type ``evaluate``, without a run key. If W&B fails, this only warns."""
    tracking = evaluation.cfg.tracking
    if tracking.mode == "disabled":
        return
    import wandb

    os.environ["WANDB_ERROR_REPORTING"] = "false"
    run_id = f"{names.EVALUATE}{evaluation.about.origin[:8]}-{evaluation.folder.name.rpartition('_')[2]}"
    try:
        run = wandb.init(
            mode=tracking.mode,
            dir=evaluation.folder,
            project=tracking.project,
            entity=tracking.entity,
            id=run_id,
            name=f"{evaluation.about.key}-{evaluation.folder.name}",
            group=names.configuration(evaluation.about.key),
            job_type="evaluate",
            config={names.EVALUATED: facts},
            settings=wandb.Settings(console="off", silent=True, x_disable_stats=True, x_save_requirements=False),
        )
        run.log({"episodes": wandb.Table(dataframe=episodes)})
        run.summary.update(
            {f"{policy}/{name}": value for policy, told in summary.items() for name, value in told.items()}
        )
        run.finish()
        wandb.teardown()
    except Exception as error:  # the evaluation is on the disk, so no error of W&B may stop it
        log.warning(
            "W&B did not take the evaluation (%s); it is in %s", " ".join(str(error).split()), evaluation.folder
        )
