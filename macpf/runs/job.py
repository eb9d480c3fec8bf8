"""One run: find its folder, then skip, start or resume it."""

from __future__ import annotations

from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from macpf.experience import journal
from macpf.records.ledger import Ledger
from macpf.records.run_state import OVER, run_state
from macpf.runs.allocation import keep_freed_memory
from macpf.runs.attempt import Attempt, finish_log, say_how_it_ended
from macpf.runs.build import build, check_run_settings, choose_backend
from macpf.runs.console import RunConsole
from macpf.runs.folder import RunFolder
from macpf.runs.identity import Identity, commit
from macpf.runs.memory import free_memory, replay_estimate
from macpf.runs.preemption import StopRequests
from macpf.runs.settings import TrackingSettings, check


def run(cfg: DictConfig) -> float | None:
    """Train one run to its budget, or skip it if it is finished; returns its final greedy score.

    Raises:
        ConfigError: a value is invalid; nothing was changed.
        Diverged, Untrained: the run is over without a result.
        RunRefused: another process is training this run, or files in its folder cannot be used.
        Interrupted: a signal stopped the run; it is saved, and the same command resumes it.
    """
    check_run_settings(cfg)
    choice = choose_backend(cfg)
    in_sweep = HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
    identity = Identity.of(cfg)
    folder = RunFolder(identity.folder)
    with RunConsole(str(identity), quiet=in_sweep) as console:
        if not _is_over(folder):
            torch.set_num_threads(cfg.threads)
            keep_freed_memory()
            parts = build(cfg)
            if choice:
                console.say(choice)
            if estimate := replay_estimate(parts, free_memory()):
                console.say(f"{identity}: {estimate}")
            with folder.lock(), StopRequests() as stop:
                if not _is_over(folder):  # another process may have finished it in the meantime
                    return _score(Attempt(cfg, identity, folder, parts, stop, console).train())
        return _leave_alone(cfg, identity, folder, console)


def _is_over(folder: RunFolder) -> bool:
    return run_state(folder.path).state in OVER


def _leave_alone(cfg: DictConfig, identity: Identity, folder: RunFolder, console: RunConsole) -> float | None:
    """Say that a run is over and how it ended; complete its log if necessary."""
    if not folder.continuable.exists():
        journal.delete(folder.episodes)  # left over if the process ended after it wrote the status
    now = run_state(folder.path)
    ledger = Ledger.read(folder.ledger)
    logged = now.is_logged and ledger.end is not None and ledger.end.log
    if cfg.tracking.mode != "disabled" and not logged:
        with folder.lock():
            finish_log(check("tracking", TrackingSettings, cfg.tracking), ledger)
        console.say(f"{identity}: its W&B log was incomplete and was written again from the ledger")
    say_how_it_ended(now.state, f"{identity}: {now.status.get('error')}; delete {folder.path} to run it again")
    made = ledger.attempts[-1].commit if ledger.attempts else "unknown"
    older = f", by the code of commit {made}; this is {commit()}" if made != commit() else ""
    console.say(f"{identity}: finished already, nothing to do ({folder.path}{older})")
    return _score(now.status)


def _score(status: dict[str, Any]) -> float | None:
    return next(iter((status.get("score") or {}).values()), None)
