"""Real offline W&B runs, written as the training writes them."""

import os
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import wandb

from analysis import hyperparameters
from analysis.claims import game_claims, simulation
from macpf import names
from macpf.records.numbering import SHOWN
from macpf.records.wandb_file import read_wandb_file
from tests.analysis.synthetic import ORIGIN, numbered

PAYOFF = [[8, -12, -12], [-12, 4, -12]]

os.environ["WANDB_ERROR_REPORTING"] = "false"  # or wandb looks for the network


@pytest.fixture(scope="session")
def quick_reports() -> Callable[[pytest.MonkeyPatch], None]:
    """A function that spares reports what takes them longest and depends on no run.

    Tables of hyperparameters are made once for all tests; the power of claims is a constant.
    """
    once = {table: cache(getattr(hyperparameters, table)) for table in ("defaults", "variants", "overrides")}

    def spare(patch: pytest.MonkeyPatch) -> None:
        for table, made in once.items():
            patch.setattr(hyperparameters, table, made)
        patch.setattr(simulation, "power", lambda claim, seeds: 0.5)
        patch.setattr(simulation, "seeds_needed", lambda claim: "10")
        patch.setattr(game_claims, "_power", lambda claim, seeds: 0.5)

    return spare


@pytest.fixture(autouse=True)
def _quick_reports(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    quick_reports: Callable[[pytest.MonkeyPatch], None],
) -> None:
    """In all tests but those of what is spared."""
    if request.path.stem not in ("test_hyperparameters", "test_claims"):
        quick_reports(monkeypatch)


@pytest.fixture(scope="session")
def write_run() -> Callable[..., Path]:
    """A function that writes one attempt at a run below a root and returns its file."""
    return _write_run


def _write_run(
    root: Path,
    rows: Sequence[dict[str, Any]],
    *,
    algo: str = "qmix",
    map: str = "p4_12",
    budget: str = "paper",
    backend: str = "builtin",
    seed: int = 0,
    attempt: int = 1,
    total: int = 300,
    config_hash: str = "ab12cd34",
    payoff: Any = PAYOFF,
    done: bool = True,
    end: str = "finished",
    why: str = "",
    exit_code: int = 0,
    first: int = 0,
    evaluations: int | None = None,
    origin: str = ORIGIN,
    extra: dict[str, Any] | None = None,
) -> Path:
    """Rows are numbered from `first` on, if they are not. A run that is not done expects one more, unless it says."""
    key = f"{algo}-matrix_game-{map}-{config_hash}-s{seed}"
    folder = root / "matrix_game" / map / algo / config_hash / f"seed={seed}"
    config = {
        **{"algo": algo, "env": "matrix_game", "map": map, "backend": backend, "budget": budget, "seed": seed},
        **{"run_key": key, "attempt": attempt, "total_env_steps": total, "commit": "0123456789abcdef"},
        **{"origin": origin, "evaluations": evaluations or first + len(rows) + (not done)},
        "config": {"map": {"payoff": payoff}, "budget": {"eval_interval": 100, "eval_episodes": 32}},
        **(extra or {}),
    }
    summary = ({"end": end} | ({"why": why} if why else {})) if done else {}
    if not any(names.EVALUATION in row for row in rows):
        rows = numbered(rows, first)
    return _write_bare_run(folder, rows, f"{key}-{origin[:SHOWN]}", config, summary, exit_code)


@pytest.fixture(scope="session")
def write_paths() -> Callable[..., Path]:
    """A function that writes a run of the multi-goal game whose last row has these paths, all from the origin."""

    def write(root: Path, algo: str, paths: Sequence[Any], seed: int = 0, width: float = 2.0, **options: Any) -> Path:
        last = {"env_step": 300, "eval/independent/return": 1.0}
        for episode, path in enumerate(paths):
            for t, (x, y) in enumerate([(0, 0), *path]):
                last |= {f"sampled/{episode}/{t}/x": x, f"sampled/{episode}/{t}/y": y}
        game = {"goal_distance": 5.0, "step": 1.0, "box": 7.0, "peak": 1.0, "width": width}
        extra = {
            "env": "multigoal",
            "run_key": f"{algo}-multigoal-four_goals-ab12cd34-s{seed}",
            "config": {"env": {"make": game}, "budget": {"eval_interval": 100}},
        }
        rows = [{"env_step": 0, "eval/independent/return": 0.0}, last]
        return _write_run(root, rows, algo=algo, map="four_goals", seed=seed, extra=extra, **options)

    return write


@pytest.fixture(scope="session")
def write_bare_run() -> Callable[..., Path]:
    """A function that writes one W&B run of any config into a folder and returns its file."""
    return _write_bare_run


def _write_bare_run(
    folder: Path,
    rows: Sequence[dict[str, Any]],
    run_id: str,
    config: dict[str, Any],
    summary: dict[str, Any] | None = None,
    exit_code: int = 0,
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    before = set(folder.rglob("*.wandb"))
    settings = wandb.Settings(console="off", silent=True, x_disable_stats=True, x_save_requirements=False)
    run = wandb.init(
        mode="offline", dir=folder, project="test", id=run_id, resume="allow", config=config, settings=settings
    )
    for row in rows:
        run.log(row)
    run.summary.update({"end": "finished"} if summary is None else summary)
    run.finish(exit_code=exit_code)
    (file,) = {path for path in folder.rglob("*.wandb") if not path.parent.is_symlink()} - before
    _wait_for_the_exit_record(file)
    return file


def _wait_for_the_exit_record(file: Path) -> None:
    """``finish`` may return a moment before wandb's service has written the last of the file."""
    deadline = time.monotonic() + 20
    while read_wandb_file(file).exit_code is None:
        assert time.monotonic() < deadline, f"no exit record in {file}"
        time.sleep(0.01)


def row(step: int, value: float, dependent: float | None = None) -> dict[str, Any]:
    """One evaluation's row."""
    entries: dict[str, Any] = {"env_step": step, "eval/independent/return": value}
    if dependent is not None:
        entries["eval/dependent/return"] = dependent
        entries |= {f"eval/dependent/joint/{i}_{j}": 0.1 * (i + j) for i in range(2) for j in range(3)}
    return entries


@pytest.fixture(scope="session")
def make_row() -> Callable[..., dict[str, Any]]:
    return row
