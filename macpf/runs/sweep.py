"""A sweep: every run is checked before the first one starts, and progress is shown during training."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import psutil
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.console import Console
from rich.live import Live
from rich.table import Table

from macpf import yaml_files
from macpf.configuration import compose
from macpf.records.outlook import outlook
from macpf.records.run_state import FAILED, FINISHED, MISSING, RUNNING, RunState, run_state
from macpf.runs import cluster
from macpf.runs.command_line import check_additions
from macpf.runs.console import LINE_EVERY, Lines, describe_pace, describe_score
from macpf.runs.errors import ConfigError
from macpf.runs.identity import Identity
from macpf.runs.launch import Begun, in_one_line
from macpf.runs.plan import Needed, checked, expanded
from macpf.runs.preemption import SWEEP_PID, StopRequests

#: Seconds between two looks at the runs for the live table.
LOOK_EVERY = 0.5
#: A filter for the warnings of joblib's clean-up process about everything that a stopped sweep left behind.
TIDIED = "ignore:resource_tracker:UserWarning"


class Sweep(Callback):
    """Hydra's callback for ``-m``: checks the runs, shows a live table, and prints a summary."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self.identities: list[Identity] = []
        self.evaluations: list[Path] = []
        self._known: dict[str, RunState] = {}
        self._stopping = False
        self._started = time.time()
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        atexit.register(self._stop_watching)

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return Sweep, ()  # Hydra sends its callbacks to the workers, where this one has nothing to do

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Compose and check every run; exit with code 2 if one is invalid."""
        Begun.run = True
        try:
            slurm = cluster.submits(config.hydra.launcher)
            if not config.hydra.sweeper._target_.endswith(".BasicSweeper"):
                self._leave_to_the_sweeper(config, slurm)
                return
            if "mode=evaluate" in config.hydra.overrides.task:
                self._check_evaluations(config, slurm)
                return
            if config.hydra.launcher.get("n_jobs") == 0:
                raise ConfigError("hydra.launcher.n_jobs=0 runs nothing; use -1 for one run per core")
            runs = check_all(planned_overrides(config), config, slurm)
        except Exception as error:  # Hydra would turn it into a warning and start the runs unchecked
            print(f"error: {in_one_line(error)}", file=sys.stderr)
            raise SystemExit(2) from error
        self.identities = [run.identity for run in runs]
        states = [run_state(identity.folder) for identity in self.identities]
        over, new = sum(state.is_over for state in states), sum(state.state == MISSING for state in states)
        begun = len(states) - over - new
        self._say(f"{len(states)} runs: {over} finished already, {begun} started before, {new} new")
        if over == len(states):
            self._say("Nothing to do.")
        if not slurm:
            self._pass_signals_on()
        self._watcher.start()

    def _pass_signals_on(self) -> None:
        """Let this machine's runs save when the sweep is stopped, which joblib does not do."""
        os.environ[SWEEP_PID] = str(os.getpid())
        os.environ["PYTHONWARNINGS"] = ",".join(filter(None, (os.environ.get("PYTHONWARNINGS"), TIDIED)))
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self._stop_workers)

    def _check_evaluations(self, config: DictConfig, slurm: bool) -> None:
        """Prepare every evaluation once before the first one starts."""
        from macpf.runs.evaluate import Evaluation

        if slurm:
            raise ConfigError("mode=evaluate plays on this machine; leave hydra/launcher out")
        for overrides in planned_overrides(config):
            cfg = compose(*search_path(config), *overrides, config_name=config.hydra.job.config_name)
            check_additions(cfg, overrides)
            folder = Evaluation.of(cfg, overrides).folder
            if folder in self.evaluations:
                raise ConfigError(f"an evaluation occurs twice in this sweep; leave one out ({' '.join(overrides)})")
            self.evaluations.append(folder)
        self._say(f"{len(self.evaluations)} evaluations")

    def _leave_to_the_sweeper(self, config: DictConfig, slurm: bool) -> None:
        """Let a searching sweeper choose the runs; settings that do not vary are checked now."""
        parsed = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
        fixed = [str(override.input_line) for override in parsed if not override.is_sweep_override()]
        check_all([fixed], config, slurm)
        self._say("The sweeper chooses the runs during the search; each is checked when it starts.")
        if str(config.hydra.sweeper.get("direction", "maximize")) == "minimize":
            self._say("It looks for LOW scores; type hydra.sweeper.direction=maximize for high ones.")
        if not slurm:
            self._pass_signals_on()

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Print the result and every unfinished run; if there are any, the exit code is not 0."""
        self._stop_watching()
        written = [(folder / "summary.json").stat().st_mtime for folder in self.evaluations if folder.exists()]
        if sum(when >= self._started for when in written) < len(self.evaluations):
            raise SystemExit(1)  # each failed one has printed why
        if not self.identities:
            self._say_what_was_found(config)
            return
        states = [(identity, run_state(identity.folder)) for identity in self.identities]
        left = [(identity, state) for identity, state in states if state.state != FINISHED]
        self._say(f"{len(states) - len(left)} of {len(states)} runs are finished.")
        for identity, state in left:
            why = f"{'not started' if state.state == MISSING else state.state}: {identity}"
            if state.state == FAILED:
                why += f": {state.status.get('error')} (see {identity.folder / 'error.txt'})"
            elif reason := state.error or state.status.get("error"):
                why += f": {reason}"
            self._say(why)
        if StopRequests.received is not None:  # the runs shared this process, which was asked to stop
            raise SystemExit(128 + StopRequests.received)
        if left:
            raise SystemExit(1)

    def _say_what_was_found(self, config: DictConfig) -> None:
        """Print the results that a searching sweeper has saved."""
        path = Path(config.hydra.sweep.dir) / "optimization_results.yaml"
        if path.exists() and path.stat().st_mtime >= self._started:
            found = yaml_files.load(path)
            self._say(f"best: {found.get('best_value')} with {found.get('best_params')} ({path})")

    def _say(self, line: str) -> None:
        self.console.print(line, soft_wrap=True, markup=False)

    def _stop_watching(self) -> None:
        """End the live table, which restores the terminal's cursor."""
        self._over.set()
        if self._watcher.is_alive():
            self._watcher.join(timeout=5.0)

    def _stop_workers(self, signum: int, frame: FrameType | None) -> None:
        """Ask this machine's runs to save, wait until all have, which may take a round of episodes, and end the sweep.

        A second signal ends it at once.
        """
        workers = list(filter(_plays, psutil.Process().children()))
        if self._stopping:
            self._end(workers, signum, "Ended at once; what was not saved is played again by the same command.")
        self._stopping = True
        asked: set[int] = set()
        said = float("-inf")
        pids = {worker.pid for worker in workers}
        while saving := {status["pid"]: i for i, status in self._running() if status["pid"] in pids}:
            for pid in saving.keys() - asked:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            asked |= saving.keys()
            if time.monotonic() - said >= LINE_EVERY:
                said = time.monotonic()
                names = "; ".join(map(str, saving.values()))
                self._say(f"Waiting for {len(saving)} to save: {names} (Ctrl-C again ends at once)")
            time.sleep(0.1)
            pids = {worker.pid for worker in workers if worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE}
        self._end(workers, signum, "Stopped; active runs are saved. The same command resumes them.")

    def _end(self, workers: list[psutil.Process], signum: int, line: str) -> NoReturn:
        for worker in workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.kill()
        self._stop_watching()
        self._say(line)
        os._exit(128 + signum)  # joblib would wait for the runs that were never started

    # --- the live table -----------------------------------------------------------------------------------------

    def _watch(self) -> None:
        if self.console.is_terminal:
            with Live(console=self.console, refresh_per_second=2, transient=True) as live:
                while not self._over.wait(LOOK_EVERY):
                    live.update(self._table())
            return
        lines = Lines()
        while not self._over.wait(LINE_EVERY):
            if lines.due(line := self._line()):
                self._say(line)

    def _states(self) -> list[tuple[Identity, RunState]]:
        for identity in self.identities:
            if not (known := self._known.get(identity.key)) or not known.is_over:
                self._known[identity.key] = run_state(identity.folder)
        return [(identity, self._known[identity.key]) for identity in self.identities]

    def _running(self) -> list[tuple[Identity, dict[str, Any]]]:
        return [(identity, state.status) for identity, state in self._states() if state.state == RUNNING]

    def _table(self) -> Table:
        states = self._states()
        table = Table(title=str(outlook([state for _, state in states])), title_justify="left", box=None)
        for column in ("run", "progress", "score", "pace"):
            table.add_column(column)
        for identity, state in _shown(states)[:20]:
            status = state.status
            pace = f"[dim]{describe_pace(status)}"
            table.add_row(str(identity), f"{state.progress:.0%}", describe_score(status), pace)
        return table

    def _line(self) -> str:
        states = self._states()
        runs = "; ".join(
            f"{i.algo} seed={i.seed} {state.progress:.0%}, {describe_score(state.status)}"
            for i, state in _shown(states)[:4]
        )
        together = str(outlook([state for _, state in states]))
        return f"{together} | {runs}" if runs else together


def _shown(states: list[tuple[Identity, RunState]]) -> list[tuple[Identity, RunState]]:
    """The active runs that have reported their progress."""
    return [(i, state) for i, state in states if state.state == RUNNING and "env_step" in state.status]


def _plays(child: psutil.Process) -> bool:
    """Whether a child process is a worker, and not joblib's clean-up process."""
    try:
        return "resource_tracker" not in " ".join(child.cmdline())
    except psutil.Error:  # it has just ended
        return False


def planned_overrides(config: DictConfig) -> list[list[str]]:
    """The overrides of each run of a sweep: those of its experiment and those typed."""
    params = config.hydra.sweeper.get("params") or {}
    return expanded([f"{key}={value}" for key, value in params.items()] + list(config.hydra.overrides.task))


def search_path(config: DictConfig) -> list[str]:
    """The overrides that name further folders of configuration."""
    return [override for override in config.hydra.overrides.hydra if override.startswith("hydra.searchpath=")]


def check_all(planned: list[list[str]], config: DictConfig, elsewhere: bool = False) -> list[Needed]:
    """Check every run of a sweep; see `checked`.

    Args:
        planned: the overrides of each run.
        config: the configuration of the sweep.
        elsewhere: see `check_planned`.

    Raises:
        ConfigError: a run is invalid or occurs twice; nothing was started.
    """
    everything = [[*search_path(config), *overrides] for overrides in planned]
    runs = checked(everything, elsewhere, config_name=config.hydra.job.config_name)
    keys: set[str] = set()
    for run, overrides in zip(runs, planned, strict=True):
        if run.identity.key in keys:
            raise ConfigError(f"{run.identity} occurs twice in this sweep; leave one out ({' '.join(overrides)})")
        keys.add(run.identity.key)
    return runs
