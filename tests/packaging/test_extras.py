"""Environments play without what training needs, and whoever lacks something is told in one line what to type."""

import json

import pytest

from macpf.command import main

HEAVY = (
    "mpe2",
    "scipy",
    "pygame",
    "torch",
    "hydra",
    "omegaconf",
    "wandb",
    "pandas",
    "matplotlib",
    "PIL",
    "rich",
    "psutil",
    "filelock",
)
#: Stands in for an environment in which nothing of this is installed.
WITHOUT = """
import importlib.machinery, importlib.util, sys
HIDDEN = {hidden!r}
class Nothing(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.split(".")[0] in HIDDEN:
            return None
        return super().find_spec(name, path, target)
sys.meta_path[:] = [Nothing if finder is importlib.machinery.PathFinder else finder for finder in sys.meta_path]
"""


@pytest.fixture
def without(python):
    def run(code, *hidden):
        return python("-c", WITHOUT.format(hidden=hidden or HEAVY) + code)

    return run


def test_environments_are_imported_and_played_without_training(without):
    code = """
import macpf
from macpf.envs.smac import parallel_env
assert "pydantic" not in sys.modules
from macpf.envs.mpe import parallel_env as particles
import macpf.envs.pettingzoo, macpf.envs.matrix_game, macpf.envs.multigoal
from macpf.envs.smac.scenarios import find_map
find_map("smacv2_terran_5_vs_5")
import importlib.util
assert importlib.util.find_spec("torch") is None
for module in ("macpf.envs.smac.pettingzoo", "macpf.envs.smac.vector", "macpf.envs.smac.drop_in"):
    importlib.import_module(module)
env = particles("simple_spread", render_mode="rgb_array")
env.reset(seed=0)
env.step(dict.fromkeys(env.agents, 1))
try:
    env.render()
except ImportError as error:
    print(error)
try:
    macpf.load_policy("outputs")
except ImportError as error:
    print(error)
"""
    done = without(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "a picture of a world needs matplotlib, which is not installed; type: pip install 'macpf[render]'",
        "macpf.load_policy needs torch, which is not installed; type: pip install 'macpf[train]'",
    ]


@pytest.mark.parametrize(
    ("arguments", "wants", "lacks", "extra"),
    [
        (["train", "algo=qmix"], "macpf train", "torch", "train"),
        (["sweep"], "macpf sweep", "wandb", "train"),
        (["analysis", "figure4"], "macpf analysis", "jinja2", "analysis"),
        (["sweep", "hydra/launcher=slurm"], "hydra/launcher=slurm", "submitit", "slurm"),
        (["sweep", "hydra/sweeper=optuna"], "hydra/sweeper=optuna", "optuna", "search"),
    ],
)
def test_a_command_says_which_extra_it_needs(without, tmp_path, arguments, wants, lacks, extra):
    done = without(f"from macpf.command import main; sys.exit(main({json.dumps(arguments)}))", lacks)
    said = f"{wants} needs {lacks}, which is not installed; type: pip install 'macpf[{extra}]'"
    assert (done.returncode, done.stderr) == (2, f"error: {said}\n")
    assert not any(tmp_path.iterdir())


def test_the_doctor_takes_nothing(capsys):
    assert main(["doctor", "smac"]) == 2
    assert capsys.readouterr().err == "error: macpf doctor takes no smac; type it alone\n"
    assert main(["doctor", "--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: macpf doctor\n")


def test_help_needs_no_extra(without):
    for command in ("train", "sweep", "evaluate"):
        done = without(f"from macpf.command import main; sys.exit(main(['{command}', '--help']))")
        assert done.returncode == 0, done.stderr
        assert "algo:" in done.stdout


def test_the_analysis_needs_neither_torch_nor_submitit(without):
    hidden = ("torch", "wandb", "submitit")
    code = "from macpf.command import main; sys.exit(main(['analysis', 'hyperparameters', '--out', 'page.md']))"
    done = without(code, *hidden)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "page.md\n"
