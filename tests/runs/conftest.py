"""Small runs, in this process or in one of their own."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

from macpf import yaml_files
from macpf.configuration import CONF, compose
from macpf.records.ledger import Ledger, Manifest
from macpf.runs import job, launch
from macpf.runs.promises import difference

ROOT = Path(__file__).parents[2]


@pytest.fixture
def configured(tmp_path: Path) -> Callable[..., DictConfig]:
    """Compose a configuration as the command line would, with a short budget, on the CPU and without W&B."""

    def composed(*overrides: str) -> DictConfig:
        return compose("budget=smoke", "tracking=disabled", "device=cpu", f"outputs={tmp_path}", *overrides)

    return composed


@pytest.fixture(scope="session")
def ledger_at() -> Callable[..., Ledger]:
    """The ledger at a path; begun, with a fixed owner, if there is none."""

    def opened(path: Path, evaluations: int = 3, env_steps: int = 400) -> Ledger:
        if path.exists():
            return Ledger.read(path)
        manifest = Manifest(
            **{"key": "qmix-matrix_game-p0_12-ab12cd34-s0", "origin": "0" * 32, "algo": "qmix", "env": "matrix_game"},
            **{"map": "p0_12", "backend": "builtin", "budget": "smoke", "seed": 0, "score": "return"},
            **{"labels": {"independent": "QMIX"}, "family": "qmix", "evaluations": evaluations, "env_steps": env_steps},
            **{"config": {"budget": {"eval_interval": 1}}, "parameters": {}, "provenance": {}, "begun": 0.0},
        )
        return Ledger.begin(path, manifest)

    return opened


@pytest.fixture
def assert_same() -> Callable[[Any, Any], None]:
    """Compare two states of runs, bit for bit, types and keys included."""

    def same(one: Any, other: Any) -> None:
        assert difference(one, other) == ""

    return same


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``python run.py`` with the given arguments from another folder."""

    def called(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / "run.py"), *arguments],
            cwd=tmp_path,
            env=os.environ | {"COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=240,
        )

    return called


class Accepted(BaseException):
    """A run was about to begin."""


@pytest.fixture
def attempt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[list[str]], tuple[Any, str, list[str], Any]]:
    """Type a command in this process, up to where a run would begin.

    Returns its exit code (or what was raised), what it said, its lines of errors, and the names of what it left behind
    in the folder in which it was typed.
    """
    here = tmp_path / "here"
    here.mkdir()

    def refuse_to_train(*_: Any) -> None:
        raise Accepted

    def attempted(arguments: list[str]) -> tuple[Any, str, list[str], Any]:
        said, error = io.StringIO(), io.StringIO()
        monkeypatch.setattr(sys, "argv", ["run.py", *arguments])
        monkeypatch.setattr(job.Attempt, "train", refuse_to_train)
        monkeypatch.setattr(yaml_files, "OPENED", {CONF: None})  # not the folders of other tests
        monkeypatch.chdir(here)
        result: Any = "accepted"
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(error):
            try:
                launch.main()
            except SystemExit as end:
                result = end.code
            except Accepted:
                pass
            except BaseException as raised:
                result = f"{type(raised).__name__}: {raised}"
        return result, said.getvalue(), error.getvalue().splitlines(), sorted(os.listdir(here))

    return attempted
