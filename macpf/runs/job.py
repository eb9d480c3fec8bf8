"""One run: find its folder, skip it or go on with it, train it, and leave it in a state that says what happened."""

from __future__ import annotations

import contextlib
import time
import traceback
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from macpf import names
from macpf.experience import journal
from macpf.experience.journal import Journal
from macpf.runs import checkpoint
from macpf.runs.allocation import keep_freed_memory
from macpf.runs.build import Parts, build, check_run_settings, settle
from macpf.runs.console import RunConsole
from macpf.runs.errors import NO_ROOM, Interrupted, RunRefused
from macpf.runs.folder import RunFolder, write_atomically
from macpf.runs.identity import Identity, commit
from macpf.runs.memory import free_memory, replay_estimate
from macpf.runs.preemption import StopRequests
from macpf.runs.tracking import Tracker
from macpf.runs.trainer import Trainer, train
from macpf.standing import FAILED, FINISHED, INTERRUPTED, RUNNING

LOG_LOST = "trained to its end, but W&B could not write the log; the same command writes it from the checkpoint"


def run(cfg: DictConfig) -> float | None:
    """Train one run to its budget, or skip it if that is done; returns its final greedy score.

    Raises:
        ConfigError: a value cannot be used; nothing was touched.
        RunRefused: somebody else is at this run, or what is in its folder cannot be used.
        Interrupted: a signal stopped it; it is saved and the same command goes on with it.
    """
    check_run_settings(cfg)
    choice = settle(cfg)
    in_sweep = HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
    identity = Identity.of(cfg)
    folder = RunFolder(identity.folder)
    with RunConsole(str(identity), quiet=in_sweep) as console:
        if not folder.is_finished:
            torch.set_num_threads(cfg.threads)
            keep_freed_memory()
            parts = build(cfg)
            if choice:
                console.say(choice)
            if estimate := replay_estimate(parts, free_memory()):
                console.say(f"{identity}: {estimate}")
            with folder.lock(), StopRequests() as stop:
                if not folder.is_finished:  # somebody may have finished it while we got ready
                    return _train(cfg, identity, folder, parts, stop, console)
        journal.delete(folder.episodes)  # in case it ended between saying so and deleting them
        console.say(f"{identity}: finished already, nothing to do ({folder.path})")
        return _score(folder.status())


def _train(
    cfg: DictConfig,
    identity: Identity,
    folder: RunFolder,
    parts: Parts,
    stop: StopRequests,
    console: RunConsole,
) -> float | None:
    """Train under the folder's lock, and say in its status how it ended, however it ends."""
    attempt = 1 + max(folder.status().get("attempt", 0), len(list(folder.path.glob("wandb/*run-*"))))
    standing: dict[str, Any] = {"attempt": attempt, "started": time.time()}

    def report(status: dict[str, Any], state: str = RUNNING) -> None:
        standing.update(status)
        folder.write_status(state, **standing)
        if "env_step" in standing:
            console.update(standing)

    tracker: Tracker | None = None
    try:
        report({})
        (folder.path / "error.txt").unlink(missing_ok=True)
        if stop.pending():
            stop.stop()
        episodes = Journal(folder.episodes, parts.rollout.row)
        state = checkpoint.load(folder.checkpoint, episodes)
        write_atomically(folder.path / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True).encode())
        tracker = Tracker(
            mode=cfg.tracking.mode,
            project=cfg.tracking.project,
            entity=cfg.tracking.entity,
            folder=folder.path,
            run_id=identity.key,
            group=identity.group,
            config=_tracked_config(cfg, identity, attempt)
            | dict(parts.rollout.env.provenance)
            | {names.PARAMETERS: parts.algorithm.parameter_counts()},
        )
        trainer = Trainer(parts, tracker, stop, folder.checkpoint, episodes, cfg.checkpoint.every_seconds, report)
        if state is not None:
            trainer.resume(state)
        verb = "starts" if state is None else f"goes on at env step {trainer.clock.env_steps:,}"
        console.say(f"{identity}: {verb} on {parts.rollout.device}, in {folder.path}")
        trainer.tell()
        train(trainer)
        trainer.save()
        if not tracker.finish(0, done=True):
            raise RunRefused(f"{identity}: {LOG_LOST}")
        report({}, FINISHED)
        journal.delete(episodes.folder)
    except (Interrupted, SystemExit):  # submitit's handler ends the process once it has requeued it
        signum = StopRequests.received or 0
        if tracker is not None:
            tracker.finish(128 + signum, done=False)
        report({}, INTERRUPTED)
        console.say(f"{identity}: stopped by signal {signum} and saved; the same command goes on with it")
        raise
    except BaseException as error:
        with contextlib.suppress(OSError):  # a full disk must not hide what happened
            (folder.path / "error.txt").write_text(traceback.format_exc())
            report({"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}, FAILED)
        if tracker is not None:
            tracker.finish(1, done=False)
        if isinstance(error, checkpoint.Unreadable):
            raise RunRefused(f"{error}; delete what is damaged to start over") from error
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise RunRefused(
                f"cannot write in {folder.path}: {error.strerror}; make room, then the same command goes on from its "
                "last checkpoint"
            ) from error
        raise
    return _score(standing)


def _score(status: dict[str, Any]) -> float | None:
    return (status.get("score") or {}).get(names.INDEPENDENT)


def _tracked_config(cfg: DictConfig, identity: Identity, attempt: int) -> dict[str, Any]:
    return {
        names.ALGO: identity.algo,
        names.ENV: identity.env,
        names.MAP: identity.map,
        names.BACKEND: identity.backend,
        names.BUDGET: identity.budget,
        names.SEED: identity.seed,
        names.RUN_KEY: identity.key,
        names.ATTEMPT: attempt,
        names.TOTAL_ENV_STEPS: cfg.budget.env_steps,
        names.COMMIT: commit(),
        names.CONFIG: OmegaConf.to_container(cfg, resolve=True),
    }
