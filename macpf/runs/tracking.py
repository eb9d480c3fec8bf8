"""The W&B log of a run: a copy of its ledger, offline by default, one row for each evaluation.

W&B is used from its own thread, so that neither its service nor its server can delay or stop training. Lost rows are
written again from the ledger. The settings were tested with wandb 0.31: the same id with ``resume="allow"`` and no
``step=`` is the only way in which several attempts at a run sync without losing rows.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import shutil
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import psutil

from macpf import names
from macpf.records import sampled
from macpf.records.ledger import Ledger
from macpf.records.run_state import FINISHED
from macpf.records.wandb_log import Logs
from macpf.runs.settings import TrackingSettings
from macpf.runs.wandb_page import attach, shown

log = logging.getLogger(__name__)

#: W&B writes its log every FLUSH seconds.
FLUSH = 2.0
#: Seconds that W&B has to open a run, and to write the rest and close it; after that its service is killed.
PATIENCE = 30.0
#: The same if it also uploads pictures or the model.
UPLOADING = 300.0
#: How often a W&B run that failed (e.g. because its service was killed) is opened again.
REOPENINGS = 3


@dataclass(frozen=True)
class _End:
    exit_code: int
    summary: Mapping[str, Any]


class Tracker:
    """Passes rows on to W&B without blocking.

    Args:
        settings: the destination, and what W&B shows.
        ledger: ledger of the run; identifies the log.
        attempt: the number of this attempt.
    """

    newest: ClassVar[Tracker | None] = None

    def __init__(self, settings: TrackingSettings, ledger: Ledger, attempt: int) -> None:
        self.settings, self.ledger, self.attempt = settings, ledger, attempt
        self._waiting: queue.SimpleQueue[Mapping[str, float] | _End] = queue.SimpleQueue()
        self._run: Any = None
        self._abandoned = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        if settings.mode != "disabled":
            Tracker.newest = self
            self._thread.start()

    def log(self, rows: Iterable[Mapping[str, float]]) -> None:
        """Pass rows on; each must include its number and the env step."""
        if self.settings.mode == "disabled":
            return  # no thread would process them
        for row in rows:
            self._waiting.put(dict(row))

    def finish(self, exit_code: int, **summary: Any) -> None:
        """End the log; returns when it is written, or after `PATIENCE` seconds (`UPLOADING` with files)."""
        if self.settings.mode == "disabled":
            return
        self._waiting.put(_End(exit_code, summary))
        self._thread.join(PATIENCE if exit_code or not self._attaches else UPLOADING)
        if self._thread.is_alive():
            self._abandoned = True
            if self.settings.mode == "online":
                log.warning("W&B's server does not answer; 'wandb sync' can upload the log later")
            _kill_service()
            self._thread.join(PATIENCE / 10)

    # --- in the thread -------------------------------------------------------------------------------------------

    def _work(self) -> None:
        logged: list[Mapping[str, float]] = []
        self._open()
        left = REOPENINGS
        while not isinstance(item := self._waiting.get(), _End):
            logged.append(item)
            unwritten: list[Mapping[str, float]] = [item]
            while unwritten and self._run is not None:
                try:
                    for row in unwritten:
                        self._run.log(_as_logged(row))
                    unwritten = []
                except Exception as error:  # whatever is wrong with W&B, the run continues
                    self._run, left = None, left - 1
                    if left < 0 or self._abandoned:
                        log.warning("W&B failed again (%s); its log is written again at the end", error)
                        break
                    log.warning("W&B failed (%s); opening it again", error)
                    _tear_down()
                    self._open()
                    unwritten = list(logged)
        self._close(item)

    def _open(self) -> None:
        """Open the run; if it cannot go online, it is logged offline for a later sync."""
        os.environ["WANDB_ERROR_REPORTING"] = "false"
        modes: list[Literal["online", "offline"]] = ["online", "offline"]
        for mode in modes[self.settings.mode != "online" :]:
            try:
                self._run = self._init(mode)
                return
            except Exception as error:  # see `_work`
                instead = "; the run is logged offline" if mode == "online" else ""
                log.warning("W&B cannot be opened %s (%s)%s", mode, " ".join(str(error).split()), instead)
                _tear_down()

    def _init(self, mode: Literal["online", "offline"]) -> Any:
        import wandb

        folder = self.ledger.path.parent
        os.environ["WANDB_DATA_DIR"] = str(folder / "wandb")  # keep files for a later upload with the run
        run = wandb.init(
            mode=mode,
            dir=folder,
            resume="allow",
            settings=wandb.Settings(
                console="off",
                silent=True,
                init_timeout=PATIENCE,
                x_disable_stats=not self.settings.system,
                x_save_requirements=False,
                x_transaction_log_flush_interval=FLUSH,
            ),
            **shown(self.ledger, self.attempt, self.settings),
        )
        run.define_metric(names.ENV_STEP)
        run.define_metric("*", step_metric=names.ENV_STEP)
        return run

    @property
    def _attaches(self) -> bool:
        return self.settings.media or self.settings.model

    def _attach(self) -> None:
        try:
            attach(self._run, self.ledger, self.settings)
        except Exception as error:  # the rows are logged even if pictures or model fail
            log.warning("W&B did not accept pictures or model (%s)", " ".join(str(error).split()))

    def _close(self, end: _End) -> None:
        if self._run is not None:
            try:
                self._run.summary.update(dict(end.summary))
                if self._attaches and end.summary.get(names.END) == FINISHED:
                    self._attach()
                if end.exit_code > 128:
                    self._run.mark_preempting()
                self._run.finish(exit_code=end.exit_code)
            except Exception as error:  # see `_work`
                log.warning("W&B could not be closed (%s)", error)
        # `finish` may return before the service has written the end of the file; ending the service waits for that.
        if Tracker.newest is self and not self._abandoned:
            _tear_down()


def _as_logged(row: Mapping[str, float]) -> dict[str, Any]:
    """A row as W&B receives it."""
    plain, table = sampled.packed(row)
    if table is None:
        return dict(plain)
    import wandb

    return plain | {sampled.KEY: wandb.Table(**table)}


def write_again(settings: TrackingSettings, ledger: Ledger) -> Logs | None:
    """Complete the log on this disk by writing it again from the ledger; returns it, or None if that is impossible.

    Old logs are deleted once there is a complete new one, which contains everything in them.
    """
    folder, owner = ledger.path.parent, ledger.manifest.owner
    logs = Logs.read(folder, owner)
    if logs.files and logs.first_unlogged(ledger.rows) is None:
        return logs
    log.warning("the W&B log of %s is not whole; writing it again from its ledger", owner)
    old = set(folder.glob("wandb/*run-*"))
    for _ in range(2):  # a service that was just killed may make the next one fail
        again = Tracker(settings, ledger, newest_attempt(logs, ledger) + 1)
        again.log(row.values for row in ledger.rows)
        again.finish(0, **{names.END: ledger.end.state if ledger.end else FINISHED})
        logs = Logs.read(folder, owner)
        written = logs.without(old)
        if written.files and written.first_unlogged(ledger.rows) is None:
            break
    else:
        return None
    for path in old:
        if path.is_dir() and not path.is_symlink() and _is_ours(path, owner.wandb_id):
            shutil.rmtree(path, ignore_errors=True)
    return written


def newest_attempt(logs: Logs, ledger: Ledger) -> int:
    """The highest number of an attempt in the ledger or the logs."""
    return max([logs.attempt, *(attempt.number for attempt in ledger.attempts)])


def _is_ours(folder: Path, run_id: str) -> bool:
    return folder.name.endswith(f"-{run_id}")


def _tear_down() -> None:
    """End W&B's service, which remembers unfinished runs."""
    try:
        import wandb

        wandb.teardown()
    except Exception as error:  # see `Tracker._work`
        log.warning("W&B's service could not be ended (%s)", error)


def _kill_service() -> None:
    """Kill the W&B service of this process, even if it was stopped or hangs."""
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "wandb-core" in child.name():
                child.kill()
