"""Which runs a figure or table needs, the states they are in, and what the rest will cost."""

from __future__ import annotations

import csv
import functools
import math
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import chain, product, repeat
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, RangeSweep

from macpf.choices import choices, sweep_params
from macpf.configuration import compose
from macpf.records.run_state import FINISHED, STATES, RunState, begun, run_state
from macpf.runs.command_line import check_additions, check_choices
from macpf.runs.errors import ConfigError
from macpf.runs.identity import Identity

#: Env steps per second of one core for every run of the paper, measured by `python -m benchmarks.cost`.
PACE = Path(__file__).with_name("pace.csv")
#: Megabytes of a run folder by environment, used until a finished run can be measured here.
DEFAULT_MEGABYTES = {"matrix_game": 1.0, "multigoal": 2.0, "mpe": 5.0, "smac": 20.0}

#: Experiments that are not in the paper.
BEYOND = ("battle", "outcomes", "release_curve", "release_grid", "release_toggles")

#: The most runs that one sweep may have; all are composed and checked before the first starts.
MOST_RUNS = 10_000

#: More configurations than this are composed by several processes.
FEW = 8


@dataclass(frozen=True)
class Needed:
    """One run that is needed: its overrides on the command line, its identity and its env steps."""

    overrides: tuple[str, ...]
    identity: Identity
    env_steps: int


@dataclass(frozen=True)
class Cost:
    """What is left to compute: hours of one core (or GPU), megabytes on disk; whether all speeds were measured here."""

    hours: float
    megabytes: float
    measured: bool


def experiments() -> list[str]:
    """The figures and tables that need runs."""
    return choices("experiment")


def sweep_of(experiment: str, budget: str, seeds: int | None, backend: str | None, more: Sequence[str]) -> list[str]:
    """The arguments of ``python run.py -m`` for an experiment.

    `seeds` replaces the number of seeds, but not in experiments with a single one. `backend` only applies to SMAC,
    the only environment with a real game behind it.
    """
    params = sweep_params(experiment)
    if seeds and "," in params.get("seed", ""):
        params["seed"] = ",".join(map(str, range(seeds)))
    changed = {override.partition("=")[0] for override in more}
    arguments = [f"{key}={value}" for key, value in params.items() if key not in changed]
    if backend and params["env"] == "smac":
        arguments.append(f"env.backend={backend}")
    return [*arguments, f"budget={budget}", *more]


def runs_of(sweeps: Sequence[list[str]], elsewhere: bool = False) -> list[list[Needed]]:
    """The runs of each sweep in the order of its arguments, without duplicates.

    Args:
        sweeps: the arguments of ``python run.py -m`` for each sweep.
        elsewhere: see `check_planned`.

    Raises:
        ConfigError, hydra.errors.HydraException, omegaconf.errors.OmegaConfBaseException: an argument is invalid.
    """
    for sweep in sweeps:
        check_choices(sweep)
    asked = [expanded(sweep) for sweep in sweeps]
    runs = iter(checked(list(chain.from_iterable(asked)), elsewhere))
    return [all_of([[next(runs) for _ in sweep]]) for sweep in asked]


def checked(runs: Sequence[Sequence[str]], elsewhere: bool = False, config_name: str = "config") -> list[Needed]:
    """Compose and check every run of a plan or sweep; none is started.

    Each configuration is composed and built once for all its seeds, and its result is kept in this process. Many
    configurations are shared among processes.

    Args:
        runs: the overrides of each run.
        elsewhere: see `check_planned`.
        config_name: Hydra's ``--config-name``.

    Raises:
        ConfigError, hydra.errors.HydraException, omegaconf.errors.OmegaConfBaseException: a run is invalid.
    """
    seeds: dict[Overrides, dict[str, None]] = defaultdict(dict)
    split = [_without_seed(run) for run in runs]
    for configuration, seed in split:
        if (configuration, seed, elsewhere) not in _checked:
            seeds[configuration][seed] = None
    for needed in _composed_in_parallel(len(seeds), repeat(config_name), seeds, seeds.values(), repeat(elsewhere)):
        _checked.update({(*_without_seed(run.overrides), elsewhere): run for run in needed})
    return [_checked[configuration, seed, elsewhere] for configuration, seed in split]


Overrides = tuple[str, ...]
#: A seed as sweeps write it. Composing takes most of a plan's time, so the seeds of a configuration share it.
SEED = re.compile(r"seed=(0|[1-9][0-9]{0,17})")
#: The runs that this process has checked, by overrides without the seed, the seed, and `elsewhere`.
_checked: dict[tuple[Overrides, str, bool], Needed] = {}


def _without_seed(run: Sequence[str]) -> tuple[Overrides, str]:
    """The overrides without seeds, and the last seed among them or an empty string."""
    seeds = [override for override in run if SEED.fullmatch(override)]
    return tuple(override for override in run if override not in seeds), seeds[-1] if seeds else ""


def _composed_in_parallel(configurations: int, *arguments: Iterable[Any]) -> Iterable[list[Needed]]:
    if configurations <= FEW:
        return list(map(_composed, *arguments))
    from macpf.runs.build import choose_backend  # noqa: F401  torch is loaded once here, not once in each process

    with ProcessPoolExecutor(min(os.cpu_count() or 1, 16), mp_context=get_context("fork")) as pool:
        return list(pool.map(_composed, *arguments, chunksize=4))


def _composed(config_name: str, overrides: Overrides, seeds: Iterable[str], elsewhere: bool) -> list[Needed]:
    """Compose and check one configuration; returns its run for each seed."""
    from macpf.runs.build import check_planned, choose_backend

    cfg = compose(*overrides, config_name=config_name)
    check_additions(cfg, overrides)
    choose_backend(cfg)
    runs: list[Needed] = []
    for seed in seeds:
        if seed:
            cfg.seed = int(seed.removeprefix("seed="))
        check_planned(cfg, not runs, elsewhere)
        runs.append(Needed((*overrides, *filter(None, [seed])), Identity.of(cfg), int(cfg.budget.env_steps)))
    return runs


def expanded(arguments: Sequence[str]) -> list[list[str]]:
    """The overrides of each run of ``python run.py -m <arguments>``, as Hydra's basic sweeper makes them.

    Raises:
        ConfigError: the sweep has no runs or too many, or an argument needs another sweeper.
        hydra.errors.HydraException: an argument is not a valid override.
    """
    known = GlobalHydra.instance()
    loader = known.config_loader() if known.is_initialized() else None  # it expands `glob`
    typed = OverridesParser.create(config_loader=loader).parse_overrides(list(arguments))
    # The command line may repeat a key of the experiment; as in Hydra, the last value counts.
    last = {override.get_key_element(): override for override in typed}
    parsed = [override for override in typed if last[override.get_key_element()] is override]
    runs = 1
    for override in parsed:
        runs *= _how_many(override) if override.is_sweep_override() else 1
    if runs > MOST_RUNS:
        raise ConfigError(f"this sweep has {runs:.3g} runs, more than {MOST_RUNS:,}; type fewer values, e.g. of seed")
    return [list(run) for run in product(*map(_values, parsed))]


def _values(override: Override) -> list[str]:
    """One argument of a sweep as a list with an override for each of its values."""
    key = override.get_key_element()
    if override.is_sweep_override():
        return [f"{key}={value}" for value in override.sweep_string_iterator()]
    return [key if override.is_delete() else f"{key}={override.get_value_element_as_str()}"]


def _how_many(override: Override) -> int:
    """The number of values of one argument of a sweep, counted without storing them.

    Raises:
        ConfigError: there are none, infinitely many, or only a searching sweeper could choose them.
    """
    sweep, typed = override.value(), override.input_line
    if not override.is_discrete_sweep():
        raise ConfigError(f"{typed} names no values; type some, or use a sweeper that searches (hydra/sweeper=...)")
    if isinstance(sweep, RangeSweep):
        start, stop, step = sweep.start or 0, sweep.stop or 0, sweep.step
        if step == 0 or not all(map(math.isfinite, (start, stop, step))):
            raise ConfigError(f"{typed} never ends; use a finite range and a step other than 0")
        values = math.ceil((stop - start) / step)
    else:
        values = sum(1 for _ in override.sweep_iterator())
    if values <= 0:
        raise ConfigError(f"{typed} has no values, so there is nothing to run; name some")
    return values


def all_of(by_sweep: Iterable[list[Needed]]) -> list[Needed]:
    """The runs of all sweeps together, without duplicates."""
    needed: dict[str, Needed] = {}
    for run in chain.from_iterable(by_sweep):
        needed.setdefault(run.identity.key, run)
    return list(needed.values())


def check_names(names: Sequence[str]) -> list[str]:
    """The experiments of some figures and tables; ``all`` stands for every one in the paper.

    Raises:
        ConfigError: a name is not known or needs no runs.
    """
    known = experiments()
    for name in names:
        if name != "all" and name not in known:
            raise ConfigError(f"{name} needs no runs or is not known; choose from: all, {', '.join(known)}")
    return [name for name in known if name not in BEYOND] if "all" in names else list(names)


def cost(left: Sequence[tuple[Needed, RunState]], outputs: Path) -> Cost:
    """Estimate what unfinished runs will still take, from the speeds of the runs in a folder.

    The speed of a run is the median over the most similar runs that were measured here: same task and algorithm, else
    same algorithm and environment, else same environment. Only runs with as many env steps count, because short runs
    hardly learn and so seem fast. Where there are none, the speeds come from `PACE` in the same way.
    """
    speeds: dict[tuple[str | int, ...], list[float]] = defaultdict(list)
    sizes: dict[str, list[float]] = defaultdict(list)
    for run in begun(outputs):
        env, map_, algo = run.folder.parts[-5:-2]
        if speed := run.status.get("steps_per_second"):
            length = int(run.status.get("total_env_steps", 0))
            for key in _alike(env, map_, algo):
                speeds[(length, *key)].append(float(speed))
        if run.state == FINISHED:
            sizes[env].append(_megabytes(run.folder))
    hours = megabytes = 0.0
    measured = True
    for needed, now in left:
        who, length = needed.identity, needed.env_steps
        keys = _alike(who.env, who.map, who.algo)
        here = next((found for key in keys if (found := speeds.get((length, *key)))), None)
        measured = measured and here is not None
        speed = median(here or next(found for key in (*keys, ()) if (found := _pace().get(key))))
        hours += needed.env_steps * (1 - now.progress) / speed / 3600
        megabytes += median(sizes[who.env]) if who.env in sizes else DEFAULT_MEGABYTES.get(who.env, 10.0)
    return Cost(hours, megabytes, measured)


def _alike(env: str, map_: str, algo: str) -> tuple[tuple[str, ...], ...]:
    """What runs must share with this one for its speed to be estimated by theirs, the most similar first."""
    return (env, map_, algo), (env, algo), (env,)


@functools.cache
def _pace() -> dict[tuple[str, ...], list[float]]:
    """The speeds in `PACE` by task and algorithm, by environment and algorithm, by environment, and all together."""
    speeds: dict[tuple[str, ...], list[float]] = defaultdict(list)
    with PACE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for key in (*_alike(row["env"], row["map"], row["algo"]), ()):
                speeds[key].append(float(row["env_steps_per_second"]))
    return speeds


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def run_states(needed: Iterable[Needed]) -> list[tuple[Needed, RunState]]:
    """The state of each run."""
    return [(run, run_state(run.identity.folder)) for run in needed]


def describe(states: Sequence[tuple[Needed, RunState]], queued: int, price: Cost, at_once: int) -> str:
    """The plan in two lines, e.g. ``450 runs: 12 finished, 3 running, 435 missing``."""
    counts = Counter(state.state for _, state in states)
    at_once = max(1, min(at_once, sum(not state.is_over for _, state in states)))
    counted = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state]) or "none"
    waiting = f" ({queued} of them queued already)" if queued else ""
    source = "measured here" if price.measured else "partly by speeds of another machine"
    return (
        f"{len(states)} runs: {counted}{waiting}\n"
        f"to compute: about {price.hours:,.1f} hours of one process, {price.hours / at_once:,.1f} hours with "
        f"{at_once} at once ({source}), and {price.megabytes / 1000:,.1f} GB of disk"
    )
