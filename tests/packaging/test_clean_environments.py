"""Every extra, installed by pip into an environment of its own, is enough for what it is for."""

import os
import subprocess
import sys

import pytest

from .conftest import ROOT

SMOKE = ["algo=qmix", "env=matrix_game", "budget=smoke", "outputs=runs"]
SEARCH = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=1", "algo.learner.lr=interval(1e-4,1e-2)"]
PLAY = """
from macpf.envs.smac import parallel_env
from macpf.envs.mpe import parallel_env as particles
import importlib.util
for name in ("torch", "wandb", "hydra", "matplotlib", "pandas"):
    assert importlib.util.find_spec(name) is None, name
for env in (parallel_env("3m"), particles("simple_spread")):
    env.reset(seed=0)
    print(type(env).__name__, env.state().shape)
"""
#: What each extra is tried with, and what the last command says.
CASES = {
    "": ([["python", "-c", PLAY]], "ParallelParticles (54,)"),
    "train": (
        [["macpf", "train", *SMOKE], ["macpf", "render", "env=multigoal", "algo=qmix", "outputs=runs"]],
        ".gif",
    ),
    "analysis": (
        [["macpf", "analysis", "figure4", "--runs", str(ROOT / "results" / "matrix_game"), "--out", "drawn"]],
        "figure4",
    ),
    "slurm": ([["macpf", "train", "--cfg", "hydra", "hydra/launcher=slurm"]], "macpf_launchers.SlurmLauncher"),
    "search": ([["macpf", "sweep", *SMOKE, *SEARCH]], "best:"),
}  # fmt: skip


@pytest.mark.packaging
@pytest.mark.parametrize("extra", CASES, ids=lambda extra: extra or "none")
def test_an_extra_is_enough(wheel, tmp_path, extra):
    commands, said = CASES[extra]
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "clean"], check=True)
    installs = [tmp_path / "clean" / "bin" / "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt"]
    what = f"{wheel}[{extra}]" if extra else str(wheel)
    done = subprocess.run([*installs, what], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    size = subprocess.run(["du", "-sm", tmp_path / "clean"], capture_output=True, text=True).stdout.split()[0]
    print(f"\nmacpf[{extra}]: {size} MB")
    (tmp_path / "elsewhere").mkdir()
    for name, *arguments in commands:
        command = [tmp_path / "clean" / "bin" / name, *arguments]
        done = subprocess.run(command, cwd=tmp_path / "elsewhere", env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        print(done.stdout)
    assert said in done.stdout
