"""``python -m macpf.runs.reproduce table2``: plan the runs, launch what is missing, then draw the figure or table."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from macpf import suite
from macpf.arguments import Parser, folder
from macpf.records.run_state import FINISHED, TROUBLED, RunState, write_plan
from macpf.runs import cluster
from macpf.runs.command_line import with_quoted_folder
from macpf.runs.errors import ConfigError, RunRefused
from macpf.runs.launch import exit_codes
from macpf.runs.plan import (
    BEYOND,
    Needed,
    all_of,
    check_names,
    cost,
    describe,
    experiments,
    run_states,
    runs_of,
    sweep_of,
)

#: Figures that need no runs of their own.
DRAWN = ("figure3",)
#: Largest number of seeds of each configuration.
MOST_SEEDS = 1_000
#: Largest number of lines about runs that failed or were killed; further ones are only counted.
SHOWN = 10


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns 0, 1 (something is not finished, or was refused) or 2 (bad input)."""
    with exit_codes():  # an installed package that is broken is met while choices are listed
        parser = _parser()
    options = parser.parse_intermixed_args(arguments)
    try:
        with exit_codes():
            return reproduce(options)
    except SystemExit as end:
        return int(end.code or 0)


def reproduce(options: argparse.Namespace) -> int:
    """Print the plan, ask for confirmation, launch missing runs, and draw what can be drawn; returns the exit code."""
    if options.name in DRAWN and options.dry_run:
        print(f"{options.name} needs no runs of its own.")
        return 0
    if options.name in DRAWN:
        return draw([options.name], options)
    names = check_names([options.name])
    seeds = options.seeds or (1 if options.budget == "smoke" else None)
    outputs = options.runs.absolute()
    for_launcher = [override for override in options.overrides if override.startswith("hydra.launcher.")]
    changes = [override for override in options.overrides if override not in for_launcher]
    if any(override.startswith("outputs=") for override in changes):
        raise ConfigError("outputs= is said by --runs (or RUNS=) here; leave it out")
    settings = cluster.launcher(options.launcher, for_launcher)
    slurm = cluster.submits(settings)
    more = [with_quoted_folder(f"outputs={outputs}"), *changes]
    sweeps = {name: sweep_of(name, options.budget, seeds, options.backend, more) for name in names}
    by_sweep = dict(zip(sweeps, runs_of(list(sweeps.values()), elsewhere=slurm), strict=True))
    needed = all_of(by_sweep.values())
    at_once = settings.array_parallelism * settings.at_once if slurm else os.cpu_count() or 1
    with cluster.alone(outputs) if slurm and not options.dry_run else nullcontext():
        left = plan(needed, outputs, at_once)
        if options.dry_run:
            return 0
        if left and not slurm and (queued := cluster.queued(outputs).keys() & {run.identity.key for run in needed}):
            raise RunRefused(f"SLURM has {len(queued)} of these runs in its queue; wait, or `scancel` them first")
        if left and not (options.yes or _agreed(len(left), options.launcher)):
            print("Nothing was launched.")
            return 1
        part = "-changed" if changes else ""  # a plan with other runs must not replace the one that the figure needs
        write_plan(outputs, f"{options.name}-{options.budget}{part}", [run.identity.folder for run in needed])
        if left and slurm:
            arrays = cluster.submit(left, settings, outputs)
            print(f"Submitted {len(left)} runs to SLURM as job array {', '.join(arrays)}; `make status` shows them.")
    if left and not slurm:
        missing = {run.identity.key for run in left}
        short = {name for name, runs in by_sweep.items() if missing & {run.identity.key for run in runs}}
        launch_here({n: sweep for n, sweep in sweeps.items() if n in short}, [options.launcher, *for_launcher])
    if slurm and options.wait:
        cluster.wait(outputs, needed)
    unfinished = [now for _, now in run_states(needed) if now.state != FINISHED or not now.is_logged]
    if unfinished and slurm and not options.wait:
        print(f"{len(unfinished)} of {len(needed)} runs are not finished; once they are, the same command draws.")
        return 0
    if slurm:
        name_runs(unfinished)
    drawn = draw([options.name] if options.name != "all" else [*names, *DRAWN], options)
    return 1 if unfinished else drawn


def plan(needed: Sequence[Needed], outputs: Path, at_once: int) -> list[Needed]:
    """Print the plan; returns the runs to launch."""
    states = run_states(needed)
    queued = cluster.queued(outputs)
    open_ = [(run, state) for run, state in states if not state.is_over]
    left = cluster.to_launch(states, outputs)
    in_queue = sum(run.identity.key in queued for run, _ in open_)
    print(describe(states, in_queue, cost(open_, outputs), at_once))
    name_runs([state for _, state in states if state.state in TROUBLED or not state.is_logged])
    print(f"to launch now: {len(left)} runs", flush=True)
    return left


def name_runs(states: Sequence[RunState]) -> None:
    """Print a line for each run, or their number if there are many."""
    for state in states[:SHOWN]:
        print(state.why)
    if len(states) > SHOWN:
        print(f"... and {len(states) - SHOWN} more; `make status` shows them")


def launch_here(sweeps: dict[str, list[str]], launcher: Sequence[str]) -> None:
    """Run sweeps with a launcher (its name, then changes of its keys) on this machine, one after the other.

    Finished runs are skipped.
    """
    for name, sweep in sweeps.items():
        print(f"{name}: {suite.TRAIN} -m {' '.join(sweep)}", flush=True)
        command = [sys.executable, "-m", "macpf", "sweep", f"hydra/launcher={launcher[0]}", *launcher[1:], *sweep]
        done = _call(command)
        if done not in (0, 1):  # 1: some runs failed and were named; the other sweeps continue
            raise SystemExit(done)


def _call(command: list[str]) -> int:
    """Run a command to its end, even if saving after a signal takes long; returns its exit code."""
    process = subprocess.Popen(command)
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),  # the terminal also sends it to the command
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: process.terminate()),
    }
    try:
        return process.wait()
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def draw(names: Sequence[str], options: argparse.Namespace) -> int:
    """Let the analysis write figures and tables; returns the first exit code that is not 0."""
    worst = 0
    for name in names:
        own = ["curves", name] if name in BEYOND and name != "outcomes" else [name]
        command = [sys.executable, "-m", "macpf", "analysis", *own]
        known = subprocess.run([*command, "--help"], capture_output=True, text=True, check=False)
        if known.returncode:
            print(known.stderr, file=sys.stderr)
            worst = worst or known.returncode
            continue
        wanted = {"--runs": options.runs.absolute(), "--out": options.out.absolute(), "--budget": options.budget}
        arguments = [str(part) for key, value in wanted.items() if key in known.stdout for part in (key, value)]
        code = subprocess.run([*command, *arguments], check=False).returncode
        worst = worst or code
    return worst


def _agreed(runs: int, launcher: str) -> bool:
    if not sys.stdin.isatty():
        raise ConfigError("there is no terminal to confirm this plan; add --yes (or YES=1 to make)")
    try:
        return input(f"Launch {runs} runs with launcher={launcher}? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text[:9]) <= MOST_SEEDS:
        raise argparse.ArgumentTypeError(f"{text} is no number from 1 to {MOST_SEEDS:,}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="macpf reproduce" if suite.INSTALLED else "python -m macpf.runs.reproduce", description=__doc__
    )
    known = [*experiments(), *DRAWN, "all"]
    parser.add_argument("name", help=f"what to reproduce: {', '.join(known)}")
    launcher = "slurm" if shutil.which("sbatch") else "local"
    parser.add_argument("--launcher", default=launcher, help="local, slurm, slurm_gpu, slurm_preemptible")
    parser.add_argument("--budget", default="paper", help="paper, laptop, archive or smoke")
    parser.add_argument(
        "--seeds", type=_count, help="seeds of each configuration (default: the experiment's; 1 for budget=smoke)"
    )
    parser.add_argument("--backend", choices=["embedded", "starcraft", "auto"], help="of SMAC")
    parser.add_argument("--runs", type=folder, default=Path("outputs"), metavar="DIR", help="folder of all runs")
    parser.add_argument("--out", type=folder, default=Path("figures"), metavar="DIR", help="folder of all figures")
    parser.add_argument("--yes", action="store_true", help="do not ask before launching")
    parser.add_argument("--wait", action="store_true", help="wait until SLURM has played the runs")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    parser.add_argument("overrides", nargs="*", help="more for run.py, e.g. hydra.launcher.partition=short threads=2")
    return parser


if __name__ == "__main__":
    sys.exit(main())
