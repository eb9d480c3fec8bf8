"""One attempt at a run: start or resume it, train it, and leave a state that says what happened."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import time
import traceback
from typing import Any, Literal

import torch
from omegaconf import DictConfig, OmegaConf

from macpf.experience import journal
from macpf.experience.journal import Journal
from macpf.experience.rollout import NotFinite
from macpf.records import ledger as records
from macpf.records.files import Damaged, previous, write_atomically
from macpf.records.ledger import End, Ledger, Manifest
from macpf.records.owner import Foreign, Owner, refuse_foreign
from macpf.records.run_state import DIVERGED, FAILED, FINISHED, INTERRUPTED, RUNNING, STATUS, UNTRAINED, run_state
from macpf.records.wandb_log import Logs
from macpf.runs import checkpoint
from macpf.runs.build import Parts
from macpf.runs.console import RunConsole
from macpf.runs.continuation import adopt, shorter_run
from macpf.runs.errors import NO_ROOM, Diverged, ForeignFiles, Interrupted, RunRefused, Untrained
from macpf.runs.folder import RunFolder
from macpf.runs.identity import Identity, commit
from macpf.runs.preemption import StopRequests
from macpf.runs.render import film
from macpf.runs.settings import CheckpointSettings, TrackingSettings, check
from macpf.runs.tracking import Tracker, newest_attempt, write_again
from macpf.runs.trainer import Trainer, train
from macpf.runs.wandb_page import described_config, picture_of

log = logging.getLogger(__name__)

LOG_LOST = "trained to its end, but W&B could not write the log; the same command writes it from the ledger"


class Attempt:
    """One attempt at a run, under the folder's lock. However it ends, the run's status says how."""

    def __init__(
        self,
        cfg: DictConfig,
        identity: Identity,
        folder: RunFolder,
        parts: Parts,
        stop: StopRequests,
        console: RunConsole,
    ) -> None:
        self.cfg, self.identity, self.folder, self.parts = cfg, identity, folder, parts
        self.checkpoints: CheckpointSettings = check("checkpoint", CheckpointSettings, cfg.checkpoint)
        self.stop, self.console = stop, console
        self.tracking = check("tracking", TrackingSettings, cfg.tracking)
        self.logs = Logs(folder.path, {})
        self.tracker: Tracker | None = None
        self.trainer: Trainer | None = None
        self.reported: dict[str, Any] = {"started": time.time(), "commit": commit(), "attempt": 1}

    def train(self) -> dict[str, Any]:
        """Start or resume, and train to the end of the budget; returns the last status.

        Raises:
            Diverged, Untrained: the run is over without a result.
            ForeignFiles: something in its folder belongs to another run.
            RunRefused: files in its folder cannot be used, or cannot be written.
            Interrupted: it was asked to stop and has saved its state.
        """
        try:
            ledger, state = self._open()
            try:
                self._play(ledger, state)
            except (Diverged, NotFinite) as error:
                self._end(ledger, DIVERGED, f"{error}, at env step {self._env_steps():,}")
        except (Diverged, Untrained, ForeignFiles):
            raise
        except (Interrupted, SystemExit):  # submitit's handler ends the process once it has requeued the job
            self._stopped()
            raise
        except BaseException as error:
            self._failed(error)
            raise
        return self.reported

    def _open(self) -> tuple[Ledger, dict[str, Any] | None]:
        """The run's ledger, and the state to resume from if there is one; files of another run are rejected."""
        try:
            self._look_at_status()
            ledger, problem = self._read_ledger()
            adopted = ledger is None and not problem and self._adopt_shorter()
            owner = ledger.manifest.owner if ledger else None
            state = checkpoint.load(self.folder.checkpoint, owner, self._journal)
            if state is not None:
                self._refuse_other_key(self.folder.checkpoint, state["owner"])
        except Foreign as error:
            raise ForeignFiles(str(error)) from error
        except checkpoint.Unreadable as error:
            raise RunRefused(f"{error}; delete what is damaged to start over") from error
        if problem and state is None:
            raise RunRefused(f"{problem}; delete {self.folder.path} to start over")
        rows = state["rows"] if state else []
        if ledger is not None:
            ledger.go_on_from(rows)
        else:
            if problem or (state is not None and not adopted):
                log.warning("%s; writing it again from the checkpoint", problem or f"{self.folder.ledger} is gone")
            manifest = self._manifest(state["owner"] if state else Owner.new(self.identity.key))
            ledger = Ledger.begin(self.folder.ledger, manifest, rows)
        self.logs = Logs.read(self.folder.path, ledger.manifest.owner)
        self.reported |= {
            **{"key": ledger.manifest.key, "origin": ledger.manifest.origin},
            "attempt": 1 + max(self.folder.status().get("attempt", 0), newest_attempt(self.logs, ledger)),
        }
        return ledger, state

    def _adopt_shorter(self) -> bool:
        """Continue a finished run that differs only by its smaller budget; if that is impossible, say why."""
        if any(path.exists() for path in (self.folder.checkpoint, previous(self.folder.checkpoint))):
            return False
        shorter = shorter_run(self.cfg, self.identity, self.parts.placement.device)
        if shorter is None:
            return False
        why_not = shorter.why_not
        if not why_not:
            try:
                adopt(shorter, self.folder, Owner.new(self.identity.key), self.parts.rollout.row)
            except (checkpoint.Unreadable, Damaged) as error:
                why_not = str(error)
        verb = f"starts from scratch, not from {shorter}: {why_not}" if why_not else f"continues {shorter}"
        self.console.say(f"{self.identity}: {verb}")
        return not why_not

    def _play(self, ledger: Ledger, state: dict[str, Any] | None) -> None:
        cfg, parts, folder = self.cfg, self.parts, self.folder
        self._report({})
        (folder.path / "error.txt").unlink(missing_ok=True)
        if self.stop.pending():
            self.stop.stop()
        write_atomically(folder.path / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True).encode())
        ledger.append(self._facts())
        self.tracker = tracker = Tracker(self.tracking, ledger, self.reported["attempt"])
        unlogged = self.logs.first_unlogged(ledger.rows)
        tracker.log(row.values for row in ledger.rows if unlogged is not None and row.number >= unlogged)
        episodes = self._journal(ledger.manifest.owner)
        self.trainer = trainer = Trainer(
            parts, ledger, tracker, self.stop, folder.checkpoint, episodes, self.checkpoints, self._report
        )
        if state is not None:
            trainer.resume(state)
        verb = "starts" if state is None else f"resumes at env step {trainer.clock.env_steps:,}"
        self.console.say(f"{self.identity}: {verb} on {parts.placement.device}, in {folder.path}")
        trainer.tell()
        train(trainer)
        trainer.save()
        if trainer.clock.updates:
            self._film()
            self._end(ledger, FINISHED)
        else:
            steps = f"{trainer.clock.env_steps:,} env steps"
            self._end(ledger, UNTRAINED, f"no update was made in {steps}, so its networks are as they were made")

    def _end(self, ledger: Ledger, state: Literal["finished", "untrained", "diverged"], why: str = "") -> None:
        """Close ledger, log and status of a run that is over.

        Raises:
            Diverged, Untrained: the run is over without a result.
        """
        ledger.append(End(state=state, why=why))
        if self.tracker is not None:
            self.tracker.finish(int(state == DIVERGED), end=state, why=why)
        finish_log(self.tracking, ledger)
        self._report({"error": why} if why else {}, state)
        if state != FINISHED or not self.checkpoints.keep_replay:
            journal.delete(self.folder.episodes)
        say_how_it_ended(state, f"{self.identity}: {why}")

    def _film(self) -> None:
        """Write a GIF of one episode of each policy into the folder, if the W&B log should have them."""
        if not self.tracking.media or self.tracking.mode == "disabled":
            return
        player = self.parts.placement.player
        for policy in player.policies:
            try:
                write_atomically(picture_of(self.folder.path, policy), film(self.cfg, player, policy))
            except Exception as error:  # the run has its results, with or without a picture
                log.warning("%s: no picture of an episode (%s)", self.identity, " ".join(str(error).split()))

    def _stopped(self) -> None:
        signum = StopRequests.received or 0
        if self.tracker is not None:
            self.tracker.finish(128 + signum)
        self._report({}, INTERRUPTED)
        self.console.say(f"{self.identity}: stopped by signal {signum} and saved; the same command resumes it")

    def _failed(self, error: BaseException) -> None:
        """Record an error.

        Raises:
            RunRefused: the error is one that a user can fix; this replaces it.
        """
        with contextlib.suppress(OSError):  # a full disk must not hide the error
            (self.folder.path / "error.txt").write_text(traceback.format_exc())
            kind = "" if isinstance(error, RunRefused) else f"{type(error).__name__}: "
            self._report({"error": kind + " ".join(str(error).split())}, FAILED)
        if self.tracker is not None:
            self.tracker.finish(1)
        goes_on = "then the same command resumes from its last checkpoint"
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise RunRefused(f"cannot write in {self.folder.path}: {error.strerror}; make room, {goes_on}") from error
        if isinstance(error, OSError) and str(error.filename).startswith(str(self.folder.path)):
            raise RunRefused(f"{error.filename}: {error.strerror}; fix this, {goes_on}") from error

    def _report(self, status: dict[str, Any], state: str = RUNNING) -> None:
        self.reported.update(status)
        self.folder.write_status(state, **self.reported)
        if "env_step" in self.reported:
            self.console.update(self.reported)

    def _env_steps(self) -> int:
        return self.trainer.clock.env_steps if self.trainer else 0

    def _journal(self, owner: Owner) -> Journal:
        return Journal(self.folder.episodes, self.parts.rollout.row, str(owner))

    def _manifest(self, owner: Owner) -> Manifest:
        cfg, parts = self.cfg, self.parts
        config = OmegaConf.to_container(cfg, resolve=True)
        assert isinstance(config, dict)
        return Manifest(
            key=owner.key,
            origin=owner.origin,
            algo=self.identity.algo,
            env=self.identity.env,
            map=self.identity.map,
            backend=self.identity.backend,
            budget=self.identity.budget,
            seed=self.identity.seed,
            score=parts.rollout.env.spec.score,
            labels=labels(cfg, parts.algorithm.policies),
            family=OmegaConf.select(cfg, "algo.family", default=self.identity.algo),
            evaluations=parts.budget.evaluations,
            env_steps=parts.budget.env_steps,
            config=described_config({str(key): value for key, value in config.items()}),
            parameters=parts.algorithm.parameter_counts(),
            provenance=dict(parts.rollout.env.provenance),
            begun=time.time(),
        )

    def _facts(self) -> records.Attempt:
        return records.Attempt(
            number=self.reported["attempt"],
            commit=commit(),
            torch=torch.__version__,
            python=platform.python_version(),
            device=self.parts.placement.device,
            threads=torch.get_num_threads(),
            host=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
            started=self.reported["started"],
        )

    def _read_ledger(self) -> tuple[Ledger | None, str]:
        """The ledger in the folder, or None and a description of the problem.

        Raises:
            Foreign: it belongs to another run.
        """
        try:
            ledger = Ledger.read(self.folder.ledger)
        except FileNotFoundError:
            return None, ""
        except Damaged as error:
            return None, str(error)
        owner = ledger.manifest.owner
        self._refuse_other_key(self.folder.ledger, owner)
        status = self.folder.status()
        if "origin" in status:
            refuse_foreign(self.folder.path / STATUS, Owner(key=owner.key, origin=status["origin"]), owner)
        return ledger, ""

    def _look_at_status(self) -> None:
        """Reject a folder whose status belongs to another run; a damaged status is written again.

        Raises:
            Foreign: it does; the message names both runs.
        """
        error = run_state(self.folder.path).error
        if isinstance(error, Foreign):
            raise error
        if error is not None:
            log.warning("%s", error)

    def _refuse_other_key(self, what: object, owner: Owner) -> None:
        refuse_foreign(what, owner, Owner(key=self.identity.key, origin=owner.origin))


def say_how_it_ended(state: str, why: str) -> None:
    """Raise an error if a run is over without a result.

    Raises:
        Diverged, Untrained: it is.
    """
    if state == DIVERGED:
        raise Diverged(f"diverged: {why}")
    if state == UNTRAINED:
        raise Untrained(f"untrained: {why}")


def finish_log(tracking: TrackingSettings, ledger: Ledger) -> None:
    """Complete the W&B log and record its digest in the ledger's end.

    Raises:
        RunRefused: W&B cannot write it.
    """
    assert ledger.end is not None
    log_of = {}
    if tracking.mode != "disabled":
        logs = write_again(tracking, ledger)
        if logs is None:
            raise RunRefused(f"{ledger.manifest.owner}: {LOG_LOST}")
        log_of = logs.digests()
    ledger.append(ledger.end.model_copy(update={"log": log_of}))


def labels(cfg: DictConfig, policies: tuple[str, ...]) -> dict[str, str]:
    """The label of each policy in figures: that of `algo.labels`, or the algorithm's name, or ``name (policy)``."""
    given = cfg.algo.labels if "labels" in cfg.algo else {}
    name = cfg.algo.name
    return {p: str(given.get(p) or (name if p == policies[0] else f"{name} ({p})")) for p in policies}
