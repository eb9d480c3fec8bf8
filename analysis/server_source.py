"""Runs on a W&B server (the cloud or one's own), read with ``wandb.Api``.

Tested with wandb 0.31 against a test server of ours that answers what this client asks, never against a real server.
W&B takes the server and the account from ``WANDB_BASE_URL``, ``WANDB_API_KEY`` or ``wandb login``.
"""

import hashlib
import json
import os
import re
import tempfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis import AnalysisError
from analysis.parser import SERVER
from analysis.sources import Reference, Segment
from macpf import names
from macpf.records.sampled import table_in, with_table

if TYPE_CHECKING:
    from wandb.apis.public import Run

#: Seconds to wait for an answer of the server.
TIMEOUT = 20
RUNS_A_PAGE = 100
#: Counted in W&B's steps, not rows. This is the client's default, so every server accepts it.
STEPS_A_PAGE = 1000
#: The server's states of runs that ended in order, and of all that ended; in any other, a run may still be active.
_IN_ORDER = ("finished", "preempted")
_ENDED = (*_IN_ORDER, "failed", "killed", "crashed")  # the last: its heartbeat stopped


class ServerSource:
    """Every run of a project on a W&B server.

    The server joins all attempts at a run into one, so each run is one segment.

    Args:
        project: ``entity/project``.

    Raises:
        AnalysisError: the project has another form.
    """

    #: Reading waits for the server most of the time.
    readers = 8

    def __init__(self, project: str) -> None:
        if not re.fullmatch(r"[^/\s]+/[^/\s]+", project):
            raise AnalysisError(f"--runs {SERVER}{project} names no project of a W&B server: {SERVER}entity/project")
        self.project, self.place = project, f"{SERVER}{project}"
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self.cache_dir: Path | None = caches / "macpf-analysis"

    def references(self) -> list[Reference]:
        """One reference per run; the fingerprint covers everything that the server says about it, except its rows."""
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # or wandb calls home
        import wandb  # slow to load

        try:
            api = wandb.Api(timeout=TIMEOUT)
        except wandb.errors.UsageError as error:
            raise AnalysisError("W&B knows no key to ask its server with: type `wandb login`") from error
        except wandb.errors.Error as error:
            raise AnalysisError(
                f"W&B's server does not let us in ({_line(error)}): is WANDB_BASE_URL right, and the key?"
            ) from error
        try:
            # `lazy` would ask for every run's configuration one by one.
            runs = list(api.runs(self.project, lazy=False, per_page=RUNS_A_PAGE))
        except (wandb.errors.Error, ValueError) as error:
            raise AnalysisError(
                f"no runs from {self.place} at {api.settings['base_url']} ({_line(error)}): is there such a project?"
            ) from error
        where = f"{api.settings['base_url']}/{self.project}"
        return sorted((self._reference(run, where) for run in runs), key=lambda reference: reference.name)

    def _reference(self, run: "Run", where: str) -> Reference:
        told = [run.state, run.heartbeatAt, run.historyLineCount, run.config, dict(run.summary_metrics)]
        fingerprint = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()
        return Reference(f"{where}/{run.id}", fingerprint if run.state in _ENDED else None, lambda: self._read(run))

    def _read(self, run: "Run") -> Segment:
        config, said = run.config, run.summary_metrics.get
        place, in_order = f"{self.place}/{run.id}", run.state in _IN_ORDER
        # Runs of other software are named, but not read: they may have millions of steps.
        rows = self._rows(run) if config.get(names.RUN_KEY) else []
        begun = datetime.fromisoformat(run.created_at).timestamp()
        return Segment.of(place, in_order, run.id, config, rows, said, start_time=begun)

    def _rows(self, run: "Run") -> list[dict[str, Any]]:
        """All rows, without W&B's own cache, which only compares the run's name and so may be stale."""
        from wandb.errors import Error
        from wandb.sdk.lib.service.service_connection import WandbApiFailedError  # a page's failure is not wrapped

        try:
            rows = [_whole(run, row) for row in run.scan_history(page_size=STEPS_A_PAGE, use_cache=False)]
        except (Error, WandbApiFailedError, ValueError) as error:
            raise AnalysisError(f"{self.place}/{run.id} cannot be read ({_line(error)}): try again") from error
        if len(rows) < run.historyLineCount:
            raise AnalysisError(
                f"{self.place}/{run.id} gave {len(rows)} of the {run.historyLineCount} rows that the server counts: "
                "try again, or `wandb sync` its folder again"
            )
        return rows


def _whole(run: "Run", row: dict[str, Any]) -> dict[str, Any]:
    """A row with the numbers of its table, which the server stores as a file.

    Raises:
        ValueError: the file is missing, or is not the one that was logged.
    """
    said = table_in(row)
    if said is None:
        return row
    with tempfile.TemporaryDirectory() as folder, run.file(str(said.get("path"))).download(folder) as file:
        return with_table(row, Path(file.name).read_bytes())


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
