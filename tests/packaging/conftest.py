"""A wheel, built once without a network, and a Python that finds it and no checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[2]
FOLDERS = ("macpf", "baselines", "analysis", "conf", "hydra_plugins")
FILES = ("pyproject.toml", "setup.py", "README.md", "LICENSE")


def build_wheel(tree: Path, to: Path) -> Path:
    """The wheel of a source tree, made with what is installed here."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "--no-index"]
    done = subprocess.run([*command, str(tree), "--wheel-dir", str(to)], capture_output=True, text=True, cwd=to)
    assert done.returncode == 0, done.stderr
    (wheel,) = to.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], None]], Path]:
    """A folder that all processes of a test session share, made by the first that needs it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent

    def made(name: str, make: Callable[[Path], None]) -> Path:
        folder = shared / f"shared-{name}"
        with FileLock(f"{folder}.lock"):
            if not (folder / "made").exists():
                folder.mkdir(exist_ok=True)
                make(folder)
                (folder / "made").touch()
        return folder

    return made


@pytest.fixture(scope="session")
def wheel(once: Callable[[str, Callable[[Path], None]], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The suite's wheel, from a copy of the tree: a build leaves files behind."""

    def build(folder: Path) -> None:
        tree = tmp_path_factory.mktemp("tree")
        for name in FOLDERS:
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in FILES:
            shutil.copy(ROOT / name, tree)
        build_wheel(tree, folder)

    (path,) = once("wheel", build).glob("*.whl")
    return path


@pytest.fixture(scope="session")
def site(wheel: Path, once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """A folder in which the wheel is installed."""

    def install(folder: Path) -> None:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)

    return once("site", install)


@pytest.fixture
def python(site: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run Python in an empty folder with the wheel and its dependencies.

    It is the one that the virtual environment was made of, which reads no .pth file of an editable installation,
    by which the checkout would be found.
    """
    interpreter = getattr(sys, "_base_executable", sys.executable)

    def called(*arguments: str, path: tuple[Path, ...] = ()) -> subprocess.CompletedProcess[str]:
        entries = map(str, [*path, site, sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(dict.fromkeys(entries)), "COLUMNS": "200"}
        command = [interpreter, *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)

    return called
