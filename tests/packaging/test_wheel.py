"""A wheel trains, analyses and draws in any folder, and brings no name into an environment but its own."""

import json
import subprocess
import sys
import tomllib
import zipfile

import pytest
from packaging.requirements import Requirement

from macpf import command, extras, suite

from .conftest import ROOT

SMOKE = ["algo=qmix", "env=matrix_game", "budget=smoke", "outputs=runs"]
#: Modules of distributions that are called otherwise.
MODULES = {"hydra-core": "hydra", "pillow": "PIL", "hydra-joblib-launcher": "joblib", "omegaconf": "hydra"}


def test_it_holds_everything_below_its_own_name(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"macpf", "hydra_plugins", "macpf-0.2.0.dist-info"}
    for folder, kinds in (("conf", "*.yaml"), ("baselines", "*.py"), ("analysis", "*"), ("macpf", "*")):
        below = "" if folder == "macpf" else "macpf/suite/"
        for path in (ROOT / folder).rglob(kinds):
            if path.is_file() and "__pycache__" not in path.parts:
                assert f"{below}{path.relative_to(ROOT).as_posix()}" in names
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
    assert "hydra_plugins/__init__.py" not in names


def test_it_trains_and_analyses_from_any_folder(python, site, tmp_path):
    done = python("-m", "macpf", "train", *SMOKE)
    assert done.returncode == 0, done.stderr
    (status,) = (tmp_path / "runs").rglob("status.json")
    assert json.loads(status.read_text())["state"] == "finished"
    assert json.loads(status.read_text())["commit"] == "v0.2.0"
    done = python("-m", "macpf", "analysis", "figure4", "--runs", "runs", "--out", "drawn")
    assert done.returncode == 0, done.stderr
    assert {path.suffix for path in (tmp_path / "drawn").iterdir()} == {".pdf", ".png", ".csv"}
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "drawn"}
    # One process for two questions, as most of its time goes into loading.
    code = f"import macpf, sys; policy = macpf.load_policy({str(status.parent)!r}); print(policy, sys.path[-1]); "
    code += f"from macpf.command import main; main({['sweep', *SMOKE]})"
    loaded, *again = python("-c", code).stdout.splitlines()
    assert loaded.startswith("<independent policy of qmix")
    assert loaded.split()[-1] == str(site / "macpf" / "suite")
    assert "1 finished already" in "\n".join(again)


def test_it_draws_a_picture(python, tmp_path):
    done = python("-m", "macpf", "render", "algo=qmix", "env=multigoal", "outputs=runs")
    assert done.returncode == 0, done.stderr
    assert [path.suffix for path in tmp_path.rglob("*.gif")] == [".gif"]


def test_nothing_has_two_names_and_no_name_is_taken(python):
    done = python("-c", "import analysis")
    assert "No module named 'analysis'" in done.stderr
    done = python("-c", "import macpf.runs, macpf.suite.analysis")
    assert "No module named 'macpf.suite.analysis'" in done.stderr


def test_the_command_says_what_to_type(python):
    done = python("-m", "macpf", "--help")
    for name in command.COMMANDS:
        assert f"\n  {name} " in done.stdout
    assert "macpf train algo=macpf env=matrix_game" in python("-m", "macpf", "train", "--help").stdout
    assert "macpf analysis figure4" in python("-m", "macpf", "analysis", "figure4", "--help").stdout
    done = python("-m", "macpf", "train", "algo=nothing")
    assert done.returncode == 2
    assert done.stderr.startswith("error: algo=nothing is not known; choose one of: central")
    done = python("-m", "macpf", "analysis", "figure4")
    assert done.returncode == 2
    assert "or `macpf train -m +experiment=figure4`" in done.stderr
    assert "python" not in done.stderr
    done = python("-m", "macpf", "nothing")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: there is no command nothing; choose one of: train, sweep")


def test_help_loads_nothing_that_takes_long():
    code = "import sys; from macpf.command import main; main(['--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"hydra", "omegaconf", "torch", "numpy", "pandas", "wandb", "yaml"}.isdisjoint(done.stdout.split())


def test_the_checkout_is_not_taken_for_a_wheel():
    assert not suite.INSTALLED
    assert suite.CONF == ROOT / "conf"


@pytest.mark.parametrize("extra", sorted(extras.MODULES))
def test_what_an_extra_is_said_to_bring_is_what_it_brings(extra):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = project["optional-dependencies"]

    def modules(extra):
        for line in listed[extra]:
            wanted = Requirement(line)
            if wanted.name == "macpf":
                for more in wanted.extras:
                    yield from modules(more)
            else:
                yield MODULES.get(wanted.name, wanted.name)

    brought = set(modules(extra))
    assert set(extras.MODULES[extra]) <= brought | {"optuna"}  # which comes with hydra-optuna-sweeper
    if extra in ("train", "analysis"):
        assert brought == set(extras.MODULES[extra])
