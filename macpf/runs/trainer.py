"""The training loops, with evaluation, logging, saving and stopping."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from macpf import names
from macpf.experience.journal import Journal
from macpf.experience.recording import Episode, as_batch
from macpf.experience.rollout import Played
from macpf.learning.schedules import Clock
from macpf.records.ledger import Evaluation, Ledger
from macpf.runs import checkpoint
from macpf.runs.build import Parts, ReplaySettings, RolloutSettings
from macpf.runs.errors import RunRefused
from macpf.runs.folder import RunFolder
from macpf.runs.health import Health, check_parameters, no_metric
from macpf.runs.identity import commit
from macpf.runs.preemption import StopRequests
from macpf.runs.settings import CheckpointSettings
from macpf.runs.tracking import Tracker
from macpf.runs.weights import FOLDER, SUFFIX, Weights, name_of

log = logging.getLogger(__name__)


def train(run: Trainer) -> None:
    """Train a run to the end of its budget, on-policy or off-policy."""
    if isinstance(run.parts.settings, ReplaySettings):
        train_off_policy(run, run.parts.settings)
    else:
        train_on_policy(run, run.parts.settings)
    run.keep_weights()


def train_off_policy(run: Trainer, settings: ReplaySettings) -> None:
    """Play episodes, store them, and make one update (or the configured number) for each of them."""
    parts, clock = run.parts, run.clock
    run.journal.cut(parts.replay.added)
    run.evaluate_if_due()
    while not run.reached_budget:
        run.safe_point()
        played = parts.rollout.play(parts.placement.player, clock)
        run.count(played)
        parts.replay.add(played.episodes)
        run.journal.append(played.episodes)
        if len(parts.replay) >= max(settings.burn_in, settings.batch):
            for _ in range(len(played.episodes) * settings.updates_per_episode):
                reads = parts.algorithm.reads_visibility, parts.algorithm.reads_after_end
                run.learned(parts.placement.learn(parts.replay.sample(settings.batch, *reads), clock))
        if run.reached_budget:
            run.save_to_be_continued()
        run.evaluate_if_due()


def train_on_policy(run: Trainer, settings: RolloutSettings) -> None:
    """Collect a rollout, learn from all of it, and discard it; a run stops and resumes only between two rollouts.

    Evaluations take place between two rounds of episodes, also during a rollout; they do not affect training.
    """
    parts, clock = run.parts, run.clock
    env = parts.rollout.env
    longest = settings.env_steps + env.batch_size * env.spec.episode_limit
    while not run.reached_budget:
        run.safe_point()
        if clock.env_steps + longest >= parts.budget.env_steps:
            run.save_to_be_continued()  # the budget may end before the next update
        episodes: list[Episode] = []
        enough = clock.env_steps + settings.env_steps
        while clock.env_steps < enough and not run.reached_budget:
            run.evaluate_if_due()
            played = parts.rollout.play(parts.placement.player, clock)
            run.count(played)
            episodes += played.episodes
        if clock.env_steps < enough:
            break  # the budget ends within a rollout, and an update from too few episodes would do harm
        batch = as_batch(episodes, env, parts.algorithm.reads_visibility)
        run.learned(parts.placement.learn(batch, clock))
    run.evaluate_if_due()


def made_with(device: str) -> dict[str, Any]:
    """What affects a result's last bits besides the configuration."""
    return {"device": device, "threads": torch.get_num_threads(), "commit": commit()}


@dataclass
class Meter:
    """Averages metrics between two rows of the log."""

    names: list[str] = field(default_factory=list)
    total: Tensor | None = None
    count: int = 0
    scores: float = 0.0
    episodes: int = 0
    resumed: bool = False  # and nothing was added since

    def add(self, metrics: Mapping[str, Tensor], score: str = "") -> Tensor:
        """Add the metrics of one update; returns their values [M], in the order of `names`.

        Args:
            metrics: by name, scalars.
            score: name of the environment's score.

        Raises:
            RunRefused: a name is that of a column of the run's own, or the names are others than before in this row.
        """
        if self.names != (now := list(metrics)):
            if wrong := no_metric(now, score):
                raise RunRefused(f"an update measures {wrong}")
            if self.resumed and self.count and set(now) != set(self.names):  # by the code of another commit
                log.warning("updates now measure %s; the means of the row that was begun are lost", ", ".join(now))
                self.total, self.count = None, 0
            if not self.count:
                self.names = now
            elif set(now) != set(self.names):
                raise RunRefused(
                    f"an update measures {', '.join(now) or 'nothing'}, and earlier ones measured "
                    f"{', '.join(self.names) or 'nothing'}; name all of them in every update"
                )
        self.resumed = False
        found = [metrics[name] for name in self.names]
        values = torch.stack(found).double() if found else torch.zeros(0)
        self.total = values if self.total is None else self.total.to(values.device) + values
        self.count += 1
        return values

    def add_scores(self, scores: np.ndarray) -> None:
        """Add the scores of training episodes."""
        self.scores += float(scores.sum())
        self.episodes += len(scores)

    def take(self, score: str) -> dict[str, float]:
        """The means since the last call; resets them."""
        means = {}
        if self.total is not None:
            means = dict(zip(self.names, (self.total / self.count).tolist(), strict=True))
        if self.episodes:
            means[f"train/{score}"] = self.scores / self.episodes
        self.total, self.count, self.scores, self.episodes = None, 0, 0.0, 0
        return means


class Trainer:
    """One run in progress.

    Args:
        parts: the objects of the run.
        ledger: receives the rows of the log.
        tracker: copies the rows to W&B.
        stop: tells whether a stop was requested.
        path: path of the run's checkpoint.
        journal: stores the run's episodes as they are played.
        checkpoints: how often the state is saved, which weights are kept, whether the finished run can be continued.
        report: called with the progress (env steps, score, speed, time left) at least at every evaluation.
    """

    def __init__(
        self,
        parts: Parts,
        ledger: Ledger,
        tracker: Tracker,
        stop: StopRequests,
        path: Path,
        journal: Journal,
        checkpoints: CheckpointSettings,
        report: Callable[[dict[str, Any]], None],
    ) -> None:
        self.parts, self.ledger, self.tracker, self.stop = parts, ledger, tracker, stop
        self.path, self.journal, self.checkpoints, self.report = path, journal, checkpoints, report
        self.clock, self.meter = Clock(), Meter()
        self.health = Health(deferred=parts.placement.place.learns_on != "cpu")
        self.evaluated = -1  # number of the newest evaluation
        self.kept = -1  # env steps up to which weights have been kept
        self.score: dict[str, float] = {}
        self.seconds_before = 0.0
        self.started = self.saved = self.reported = time.monotonic()
        self.first_step = 0

    @property
    def reached_budget(self) -> bool:
        """Whether the last env step has been played."""
        return self.clock.env_steps >= self.parts.budget.env_steps

    def count(self, played: Played) -> None:
        """Advance the clock by the episodes that were just played."""
        self.clock.env_steps += played.env_steps
        self.clock.episodes += len(played.episodes)
        self.meter.add_scores(played.scores)

    def learned(self, metrics: Mapping[str, Tensor]) -> None:
        """Count an update and its metrics.

        Raises:
            Diverged: one of them is not finite.
            RunRefused: see `Meter.add`.
        """
        self.clock.updates += 1
        values = self.meter.add(metrics, self.parts.rollout.env.spec.score)
        self.health.watch(self.meter.names, values, self.clock.updates)

    def check_health(self) -> None:
        """Check that all updates so far had finite results.

        Raises:
            Diverged: a metric or a parameter is not finite.
        """
        self.health.check()
        check_parameters(self.parts.algorithm, self.clock.updates)

    def evaluate_if_due(self) -> None:
        """Evaluate and log at every multiple of the interval, at the start and at the end."""
        number, before = self.parts.budget.evaluation_due(self.clock.env_steps), self.evaluated
        if number == before:
            return
        self.check_health()
        results = self.parts.evaluator(self.parts.placement.player)
        if self.reached_budget:
            results |= self.parts.evaluator.sample(self.parts.placement.player, self.clock)
        score = self.parts.rollout.env.spec.score
        self.score = {policy: results[names.score(policy, score)] for policy in self.parts.algorithm.policies}
        self.evaluated = number
        counts = {
            names.ENV_STEP: self.clock.env_steps,
            names.EVALUATION: number,
            names.EVALUATION_AFTER: before,
            names.EPISODES: self.clock.episodes,
            names.UPDATES: self.clock.updates,
        }
        pace = {names.WALL_SECONDS: self.seconds, names.STEPS_PER_SECOND: self.steps_per_second}
        row = Evaluation(number=number, after=before, values=self.meter.take(score) | counts | results | pace)
        self.ledger.append(row)
        self.tracker.log([row.values])
        self.tell()

    def safe_point(self) -> None:
        """Between two rounds of episodes: save if it is due, stop if requested, report progress."""
        self.keep_weights()
        now = time.monotonic()
        if self.stop.pending():
            self.save()
            self.stop.stop()
        if now - self.saved >= self.checkpoints.every_seconds:
            self.save()
        if now - self.reported >= 1.0:
            self.tell()

    def keep_weights(self) -> None:
        """Save the weights that are due since the last call."""
        now = self.clock.env_steps
        for step in self.checkpoints.due(self.kept, now):
            manifest, spec = self.ledger.manifest, self.parts.rollout.env.spec
            kept = Weights.of(self.parts.algorithm.state_dict(), manifest, spec, now)
            kept.save(self.path.parent / FOLDER / f"{name_of(step)}{SUFFIX}")
        self.kept = now

    @property
    def seconds(self) -> float:
        """Total wall time of all attempts."""
        return self.seconds_before + time.monotonic() - self.started

    @property
    def steps_per_second(self) -> float:
        """Env steps per second of this attempt, with everything included."""
        return (self.clock.env_steps - self.first_step) / max(time.monotonic() - self.started, 1e-9)

    def tell(self) -> None:
        """Report the progress of the run."""
        self.health.check()
        self.reported = time.monotonic()
        speed = self.steps_per_second
        left = max(self.parts.budget.env_steps - self.clock.env_steps, 0)
        self.report(
            {
                "env_step": self.clock.env_steps,
                "total_env_steps": self.parts.budget.env_steps,
                "score": self.score,
                "score_name": self.parts.rollout.env.spec.score,
                "steps_per_second": round(speed, 1),
                "seconds_left": round(left / speed, 1) if speed else None,
            }
        )

    def save(self) -> None:
        """Write a checkpoint from which the run resumes bit for bit; never with non-finite parameters."""
        state = self._state()
        if self.reached_budget and not self.checkpoints.keep_replay:
            state["replay"]["first"] = state["replay"]["added"]  # the replay will not be sampled any more
        checkpoint.save(self.path, self.ledger.manifest.owner, state, self.journal)
        self.saved = time.monotonic()

    def save_to_be_continued(self) -> None:
        """Save the state before the last evaluation, if the run may be continued to a larger budget."""
        if self.checkpoints.keep_replay:
            path = RunFolder(self.path.parent).continuable
            checkpoint.save(path, self.ledger.manifest.owner, self._state(), self.journal, keep_previous=False)

    def _state(self) -> dict[str, Any]:
        self.check_health()
        meter = self.meter
        return {
            "made_with": made_with(self.parts.placement.device),
            "spec": dataclasses.asdict(self.parts.rollout.env.spec),
            "clock": self.clock.state_dict(),
            **self.parts.placement.state_dict(),
            "replay": self.parts.replay.state_dict(),
            "env": self.parts.rollout.env.state_dict(),
            "eval_env": self.parts.evaluator.rollout.env.state_dict(),
            "meter": [meter.names, meter.total, meter.count, meter.scores, meter.episodes],
            "score": self.score,
            "seconds": self.seconds,
            "rows": [row.model_dump() for row in self.ledger.rows],
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Resume from what `save` wrote and `checkpoint.load` read, including the replay's episodes.

        Raises:
            RunRefused: it was written on another kind of device or by incompatible code.
        """
        try:
            self._warn_of_changes(state["made_with"])
            self._restore(state)
        except (KeyError, RuntimeError, TypeError) as error:
            raise RunRefused(
                f"{self.path} does not fit this code ({type(error).__name__}); delete it to start over"
            ) from error

    def _warn_of_changes(self, before: dict[str, Any]) -> None:
        now = made_with(self.parts.placement.device)
        if before["device"] != now["device"]:
            raise RunRefused(f"{self.path} was made on {before['device']}; resume with device={before['device']}")
        for what in ("threads", "commit"):
            if before[what] != now[what]:
                log.warning("going on with %s %s instead of %s: no longer bit by bit", what, now[what], before[what])

    def _restore(self, state: dict[str, Any]) -> None:
        self.clock.load_state_dict(state["clock"])
        self.parts.placement.load_state_dict(state)
        self.parts.replay.load_state_dict(state["replay"])
        self.parts.rollout.env.load_state_dict(state["env"])
        self.parts.evaluator.rollout.env.load_state_dict(state["eval_env"])
        self.meter = Meter(*state["meter"])
        self.meter.resumed = True
        self.kept = self.clock.env_steps
        self.evaluated = state["rows"][-1]["number"] if state["rows"] else -1
        self.score = state["score"]
        self.seconds_before, self.first_step = state["seconds"], self.clock.env_steps
