"""The commands of the README, as a user would type them."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf, open_dict

from macpf.runs.sweep import check_all, planned_overrides

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
#: What tests/docs, test_render, test_why and test_trials see to.
ELSEWHERE = ("my_vdn", "env=echo", "mode=render", "mode=evaluate", "init_from=", "somewhere", "--why", "sweeper=optuna")


def documented_commands():
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        for line in re.findall(r"^(?:\$ )?(python run\.py .*)$", text, re.M):
            if not any(text in line for text in ELSEWHERE):
                yield pytest.param(shlex.split(line, comments=True)[2:], id=line[:80])


#: Of a sweep with more runs than this, the fast tests check so many, evenly spread.
SAMPLE = 10


@pytest.mark.parametrize("arguments", list(documented_commands()))
def test_every_documented_command_composes_and_fits(arguments):
    check(arguments)


def check(arguments, all_runs=False):
    overrides = [argument for argument in arguments if not argument.startswith("-") and argument != "job"]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        if "-m" not in arguments and "--help" in arguments:
            return
        plain = [override for override in overrides if "experiment=" in override]
        cfg = compose("config", plain, return_hydra_config=True)
        with open_dict(cfg):
            cfg.hydra.overrides.task = overrides
        runs = planned_overrides(cfg)
        assert check_all(runs if all_runs else runs[:: -(-len(runs) // SAMPLE)], cfg)


@pytest.mark.long
@pytest.mark.parametrize("arguments", [command for command in documented_commands() if "-m" in command.values[0]])
def test_every_run_of_every_documented_sweep_composes_and_fits(arguments):
    check(arguments, all_runs=True)


def test_a_run_trains_and_is_then_skipped(command, command_here, tmp_path):
    done = command("algo=qmix", "budget=smoke", "seed=3", "outputs=o")
    assert done.returncode == 0, done.stderr
    assert "400/400 env steps, return" in done.stdout
    (folder,) = (tmp_path / "o").glob("*/*/*/*/seed=3")
    status = json.loads((folder / "status.json").read_text())
    assert status["state"] == "finished"
    assert status["env_step"] == 400
    assert OmegaConf.load(folder / "config.yaml").algo.name == "qmix"
    assert len(list(folder.glob("wandb/offline-run-*/*.wandb"))) == 1
    again = command_here("algo=qmix", "budget=smoke", "seed=3", "outputs=o")
    assert again.returncode == 0
    assert "finished already, nothing to do" in again.stdout
    assert len(list(folder.glob("wandb/offline-run-*"))) == 1


def test_a_sweep_trains_every_run_once(command, command_here, tmp_path):
    arguments = ["-m", "algo=qmix,macpf", "budget=smoke", "outputs=o", "hydra.launcher.n_jobs=2"]
    done = command(*arguments)
    assert done.returncode == 0, done.stderr
    assert "2 runs: 0 finished already, 0 started before, 2 new" in done.stdout
    assert "2 of 2 runs are finished." in done.stdout
    statuses = [json.loads(path.read_text()) for path in (tmp_path / "o").rglob("status.json")]
    assert [status["state"] for status in statuses] == ["finished"] * 2
    again = command_here(*arguments)
    assert again.returncode == 0
    assert "Nothing to do." in again.stdout


def test_a_file_where_the_folder_of_runs_should_be_is_named(command_here, tmp_path):
    (tmp_path / "taken").write_text("")
    for outputs in ("taken", "/proc/no_such_folder"):
        done = command_here("algo=qmix", "budget=smoke", f"outputs={outputs}")
        assert done.returncode == 1
        assert re.search(f"^error: cannot write (in )?{outputs}", done.stderr.splitlines()[-1])


def test_help_names_every_choice_one_may_type(command):
    done = command("--help")
    assert done.returncode == 0
    for word in ("central, fop, macpf", "python run.py -m +experiment=figure4", "tracking=", "slurm_preemptible"):
        assert word in done.stdout
    (smac,) = re.findall(r"^smac:.*?(?=^$)", done.stdout, re.M | re.S)
    for name in (path.stem for path in (ROOT / "conf" / "map").glob("*.yaml")):
        assert name in done.stdout
        assert (f" {name}" in smac) == ("env: smac" in (ROOT / "conf" / "map" / f"{name}.yaml").read_text())
    assert "tuned" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 120


def test_help_loads_nothing_that_takes_long():
    loaded = "import sys; from macpf.runs.help import text; text(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"hydra", "omegaconf", "torch", "numpy", "pandas", "wandb"}.isdisjoint(done.stdout.split())
