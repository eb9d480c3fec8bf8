"""The W&B log of a run: offline by default, one row for each env step at which something was measured.

What is set here, and why, was tried with wandb 0.31: the same id with ``resume="allow"`` and no ``step=`` is the one
way in which several attempts at a run sync without losing rows, and a killed process loses what was not flushed yet.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from macpf import names

log = logging.getLogger(__name__)

#: wandb writes its log every FLUSH seconds and the system syncs it within half a minute. Rows younger than KEEP
#: seconds may not have reached the disk, so checkpoints carry them and the next attempt logs them again.
FLUSH, KEEP = 2.0, 60.0
#: Seconds that a server gets to answer when a run is opened, and to take the rest when it is closed.
PATIENCE = 30.0
#: How often a W&B run that broke (its service was killed, say) is opened again.
REOPENINGS = 3


class Tracker:
    """Writes rows to W&B and never lets it stop the training.

    Args:
        mode: ``offline``, ``online`` or ``disabled``.
        project, entity: where online runs go.
        folder: the run folder; W&B makes ``wandb/`` in it.
        run_id: same for all attempts.
        group: same for all seeds.
        config: what the analysis needs to know of the run.
    """

    newest: ClassVar[Tracker | None] = None

    def __init__(
        self,
        mode: str,
        project: str,
        entity: str | None,
        folder: Path,
        run_id: str,
        group: str,
        config: Mapping[str, Any],
    ) -> None:
        self.mode, self.project, self.entity, self.folder = mode, project, entity, folder
        self.run_id, self.group, self.config = run_id, group, dict(config)
        self.recent: list[tuple[float, dict[str, float]]] = []
        self._run: Any = None
        self._left = REOPENINGS
        self.opened = ""
        self._closed_well = False
        self._open()

    def _open(self) -> None:
        """Open the run; one that cannot go online is logged offline, to be synced later."""
        os.environ["WANDB_ERROR_REPORTING"] = "false"
        modes: tuple[Literal["online", "offline"], ...] = (
            ("online", "offline") if self.mode == "online" else ("offline",)
        )
        for mode in () if self.mode == "disabled" else modes:
            try:
                self._run = self._init(mode)
                self.opened, Tracker.newest = mode, self
                return
            except Exception as error:  # whatever is wrong with W&B, the run goes on
                log.warning("W&B cannot be opened %s (%s)", mode, " ".join(str(error).split()))
                self._tear_down()

    def _init(self, mode: Literal["online", "offline"]) -> Any:
        import wandb

        run = wandb.init(
            mode=mode,
            dir=self.folder,
            project=self.project,
            entity=self.entity,
            id=self.run_id,
            name=self.run_id,
            group=self.group,
            job_type="train",
            resume="allow",
            config=self.config,
            settings=wandb.Settings(
                console="off",
                silent=True,
                init_timeout=PATIENCE,
                x_disable_stats=True,
                x_save_requirements=False,
                x_transaction_log_flush_interval=FLUSH,
            ),
        )
        run.define_metric(names.ENV_STEP)
        run.define_metric("*", step_metric=names.ENV_STEP)
        return run

    def log(self, row: Mapping[str, float]) -> None:
        """Log one row; it must hold the env step."""
        now = time.monotonic()
        if self._run is not None or self.mode == "disabled":  # what was never written is kept for the next attempt
            self.recent = [(when, old) for when, old in self.recent if now - when < KEEP]
        self.recent.append((now, dict(row)))
        self._write(row)

    def _write(self, row: Mapping[str, float]) -> None:
        if self._run is None:
            return
        try:
            self._run.log(dict(row))
        except Exception as error:  # see `_open`
            self._reopen(error)

    def _reopen(self, error: Exception) -> None:
        self._run = None
        self._left -= 1
        if self._left < 0:
            log.warning("W&B failed again (%s); training goes on without it", error)
            return
        log.warning("W&B failed (%s); opening it again", error)
        self._tear_down()
        self._open()
        self.replay_rows(self.state_dict())

    @staticmethod
    def _tear_down() -> None:
        """End W&B's service, which remembers half-open runs."""
        try:
            import wandb

            wandb.teardown()
        except Exception as error:  # see `_open`
            log.warning("W&B's service could not be ended (%s)", error)

    def state_dict(self) -> list[dict[str, float]]:
        """The rows that may not be on the disk yet."""
        return [row for _, row in self.recent]

    def replay_rows(self, rows: list[dict[str, float]]) -> None:
        """Log again what may have been lost; stitching keeps one copy."""
        self.recent = []
        for row in rows:
            self.log(row)

    def finish(self, exit_code: int, done: bool) -> bool:
        """Flush and close; `done` says that the run reached its budget. Returns whether the log is whole."""
        if self._run is None:
            return self.mode == "disabled"
        # An unreachable server would hold `finish` up for hours; what is on the disk can be synced later.
        closing = threading.Thread(target=self._close, args=(exit_code, done), daemon=True)
        closing.start()
        closing.join(PATIENCE if self.mode == "online" else None)
        if closing.is_alive():
            log.warning("W&B's server does not answer; 'wandb sync' can upload %s later", self.folder / "wandb")
        self._run = None
        return self._closed_well or self.opened == "online"  # online logs are on this disk too

    def _close(self, exit_code: int, done: bool) -> None:
        try:
            if done:
                self._run.summary[names.DONE] = 1
            elif exit_code > 128:
                self._run.mark_preempting()
            self._run.finish(exit_code=exit_code)
            self._closed_well = True
        except Exception as error:  # see `_open`
            log.warning("W&B could not be closed (%s)", error)
        # `finish` may return before the service has written the end of the file; its end cannot.
        if Tracker.newest is self:
            self._tear_down()
