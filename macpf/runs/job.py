"""One run: find its folder, skip it or go on with it, train it, and leave it in a state that says what happened."""

from __future__ import annotations

import functools
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from macpf import names
from macpf.runs import checkpoint
from macpf.runs.build import Parts, build
from macpf.runs.console import RunConsole
from macpf.runs.errors import Interrupted, RunRefused
from macpf.runs.folder import FAILED, FINISHED, INTERRUPTED, RUNNING, RunFolder, write_atomically
from macpf.runs.identity import Identity
from macpf.runs.preemption import StopRequests
from macpf.runs.tracking import Tracker
from macpf.runs.trainer import Trainer, train_off_policy


def run(cfg: DictConfig) -> float | None:
    """Train one run to its budget, or skip it if that is done; returns its final greedy score.

    Raises:
        ConfigError: a value cannot be used; nothing was touched.
        RunRefused: somebody else is at this run, or its folder cannot be written.
        Interrupted: a signal stopped it; it is saved and the same command goes on with it.
    """
    in_sweep = HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
    identity = Identity.of(cfg)
    folder = RunFolder(identity.folder)
    with RunConsole(str(identity), quiet=in_sweep) as console:
        if not folder.is_finished:
            torch.set_num_threads(cfg.threads)
            parts = build(cfg)
            with folder.lock(), StopRequests(follow_parent=in_sweep and _in_joblib_worker()) as stop:
                if not folder.is_finished:  # somebody may have finished it while we got ready
                    return _train(cfg, identity, folder, parts, stop, console)
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
    if stop.pending():
        stop.stop()
    attempt = folder.status().get("attempt", 0) + 1
    started = time.time()
    state = checkpoint.load(folder.checkpoint, parts.rollout.device)
    write_atomically(folder.path / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True).encode())
    tracker = Tracker(
        mode=cfg.tracking.mode,
        project=cfg.tracking.project,
        entity=cfg.tracking.entity,
        folder=folder.path,
        run_id=identity.key,
        group=identity.group,
        config=_tracked_config(cfg, identity, attempt),
    )

    standing: dict[str, Any] = {}

    def report(status: dict[str, Any], state: str = RUNNING) -> None:
        standing.update(status)
        folder.write_status(state, attempt=attempt, started=started, **standing)
        console.update(standing)

    trainer = Trainer(parts, tracker, stop, folder.checkpoint, cfg.checkpoint.every_seconds, report)
    if state is not None:
        trainer.resume(state)
    verb = "starts" if state is None else f"goes on at env step {trainer.clock.env_steps:,}"
    console.say(f"{identity}: {verb} on {parts.rollout.device}, in {folder.path}")
    trainer.tell()
    try:
        train_off_policy(trainer)
        trainer.save()
    except Interrupted as error:
        tracker.finish(128 + error.signum, done=False)
        report({}, INTERRUPTED)
        console.say(f"{identity}: stopped by signal {error.signum} and saved; the same command goes on with it")
        raise
    except BaseException as error:
        tracker.finish(1, done=False)
        report({"error": f"{type(error).__name__}: {error}"}, FAILED)
        raise
    if not tracker.finish(0, done=True):
        lost = "trained to its end, but W&B could not write the log; the same command writes it from the checkpoint"
        report({"error": lost}, FAILED)
        raise RunRefused(f"{identity}: {lost}")
    report({}, FINISHED)
    return _score(standing)


def _score(status: dict[str, Any]) -> float | None:
    return (status.get("score") or {}).get(names.INDEPENDENT)


def _in_joblib_worker() -> bool:
    return "joblib" in str(HydraConfig.get().launcher.get("_target_", "")).lower()


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


@functools.cache
def commit() -> str:
    """The code's git commit, with ``-dirty`` if files differ from it; ``unknown`` outside a checkout."""
    here = Path(__file__).parent
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--match=", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=10, env={**os.environ})
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() or "unknown"
