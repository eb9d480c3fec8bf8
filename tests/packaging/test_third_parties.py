"""A package from elsewhere brings algorithms and environments, and `macpf check` finds what is wrong with them."""

import json
import re
import shutil
import zipfile
from pathlib import Path

import pytest

from macpf.extensions import BrokenEntryPoint, find, folders

from .conftest import build_wheel

EXAMPLE = Path(__file__).parent / "example"
CHECKS = ["shapes", "masks", "determinism", "resume"]


@pytest.fixture(scope="session")
def theirs(once, tmp_path_factory):
    """A folder in which the example package is installed."""

    def install(folder):
        tree = tmp_path_factory.mktemp("theirs")
        shutil.copytree(EXAMPLE, tree / "example", ignore=shutil.ignore_patterns("__pycache__"))
        with zipfile.ZipFile(build_wheel(tree / "example", tree)) as archive:
            archive.extractall(folder)

    return once("theirs", install)


@pytest.fixture
def macpf(python, theirs):
    return lambda *arguments: python("-m", "macpf", *arguments, path=(theirs,))


def test_what_is_installed_is_listed_and_trains(macpf, python, tmp_path):
    listed = macpf("train", "--help").stdout
    assert "algo:           additive, blind, central" in listed
    assert "coins:       two_sides" in listed
    assert "additive" not in python("-m", "macpf", "train", "--help").stdout
    done = macpf("sweep", "algo=additive,vdn", "env=coins", "budget=smoke", "outputs=runs", "tracking=disabled")
    assert done.returncode == 0, done.stderr
    states = [json.loads(path.read_text())["state"] for path in tmp_path.rglob("status.json")]
    assert states == ["finished"] * 2
    assert {path.name for path in tmp_path.glob("runs/coins/two_sides/*")} == {"additive", "vdn"}
    done = macpf("train", "algo=additiv", "env=coins")
    assert (done.returncode, done.stdout) == (2, "")
    known = "error: algo=additiv is not known; did you mean additive? choose one of: additive, blind"
    assert done.stderr.startswith(known)


def test_a_sound_algorithm_passes_every_check(macpf, tmp_path):
    done = macpf("check", "additive")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [["ok", name] for name in CHECKS]
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("algo", "failed", "said"),
    [
        pytest.param("blind", {"masks"}, r"took action \d and had only", marks=pytest.mark.long),
        pytest.param("forgetful", {"resume"}, "state_dict has to hold all that changes", marks=pytest.mark.long),
        pytest.param(
            *("shared", {"determinism", "resume"}, "draw random numbers from self.generator only"),
            marks=pytest.mark.long,
        ),
        ("flat", set(CHECKS), r"act returns \[12\] of torch.int64; return whole numbers \[4, 3\]"),
    ],
)
def test_a_broken_algorithm_is_found_out(macpf, algo, failed, said):
    done = macpf("check", algo)
    assert done.returncode == 1, done.stdout + done.stderr
    lines = {line.split()[1]: line for line in done.stdout.splitlines()}
    assert {name for name, line in lines.items() if line.startswith("FAILED")} == failed
    assert re.search(said, done.stdout)


#: Prints the exit code of each command.
ONE_BY_ONE = """
from macpf.command import main
for command in {commands}:
    try:
        print(main(command))
    except SystemExit as end:
        print(end.code)
"""


def test_what_cannot_be_checked_is_refused(python, theirs):
    """Both in one process, as most of its time goes into loading."""
    commands = [["check", "nothing"], ["check", "additive", "algo.learner.lr=-1"]]
    done = python("-c", ONE_BY_ONE.format(commands=commands), path=(theirs,))
    assert (done.returncode, done.stdout) == (0, "2\n2\n"), done.stderr
    unknown, invalid = done.stderr.splitlines()
    for line, said in ((unknown, "algo=nothing is not known"), (invalid, "lr")):
        assert line.startswith("error: ")
        assert said in line


@pytest.mark.parametrize(
    ("value", "files", "said"),
    [
        ("nowhere.conf", [], "the entry point broken of broken names nowhere.conf, where there is no folder"),
        ("broken.conf", ["algo/qmix.yaml"], "has the name of"),
    ],
)
def test_a_broken_entry_point_is_named(python, tmp_path, value, files, said):
    info = tmp_path / "site" / "broken-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[macpf.conf]\nbroken = {value}\n")
    (tmp_path / "site" / "broken").mkdir()
    (tmp_path / "site" / "broken" / "__init__.py").touch()
    for name in files:
        path = tmp_path / "site" / "broken" / "conf" / name
        path.parent.mkdir(parents=True)
        path.write_text("name: qmix\n")
    reproduce = ["macpf.runs.reproduce", "table1", "--dry-run"]
    for command in (["macpf", "train", "algo=qmix"], ["macpf", "train", "--help"], reproduce):
        done = python("-m", *command, path=(tmp_path / "site",))
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_a_checkout_has_its_own_choices_alone():
    assert [folder.name for folder in folders()] == ["conf"]
    assert find("algo", "qmix") == folders()[0] / "algo" / "qmix.yaml"
    assert find("algo", "additive") is None
    assert issubclass(BrokenEntryPoint, ValueError)
