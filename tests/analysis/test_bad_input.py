"""Every command on folders with something wrong in them: no traceback, and nothing disappears without a word."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from analysis.__main__ import main
from macpf import names
from tests.analysis.synthetic import ORIGIN, numbered, write_end

#: environment, map, score; one for each kind of figure and table.
TASKS = [
    ("smac", "MMM2", "win_rate"),
    ("smac", "MMM", "win_rate"),
    ("mpe", "simple_spread", "return"),
    ("matrix_game", "p4_12", "return"),
    ("matrix_game", "coordination", "return"),
    ("multigoal", "four_goals", "return"),
]
FIGURES = [f"figure{n}" for n in range(1, 10)]
COMMANDS = [*FIGURES, "table1", "table2", "outcomes", "statistics", "claims", "export", "report", "status"]
#: The good run, and two faulty ones: one beside it, and the only one of its method.
GOOD, BESIDE, ALONE = ("macpf", 0), ("macpf", 1), ("qmix", 0)


@dataclass
class Faulty:
    """A run about to be written, for a fault to change."""

    config: dict[str, Any]
    rows: list[dict[str, Any]]
    config_hash: str = "ab12cd34"
    spoil: Callable[[Path], None] = field(default=lambda log: None)


def lacking(*keys: str) -> Callable[[Faulty], None]:
    return lambda run: [run.config.pop(key) for key in keys] and None


def saying(**values: Any) -> Callable[[Faulty], None]:
    return lambda run: run.config.update(values)


def setting(key: str, value: Any) -> Callable[[Faulty], None]:
    return lambda run: run.config["config"].__setitem__(key, value)


def spoilt(spoil: Callable[[Path], Any]) -> Callable[[Faulty], None]:
    return lambda run: setattr(run, "spoil", spoil)


def all_nan(run: Faulty) -> None:
    for row in run.rows:
        row |= {key: math.nan for key in row if key.startswith("eval/")}


def longer(run: Faulty) -> None:
    run.rows = numbered([*run.rows, *({**run.rows[-1], "env_step": step} for step in range(400, 801, 100))])
    run.config |= {"total_env_steps": 800, "evaluations": len(run.rows)}


def only_losses(run: Faulty) -> None:
    run.rows = numbered([{"env_step": row["env_step"], "train/loss": 1.0} for row in run.rows])


def half_written(run: Faulty) -> None:
    run.rows = numbered([{**run.rows[0], "env_step": step} for step in range(301)])
    run.config["evaluations"] = len(run.rows)
    run.spoil = lambda log: os.truncate(log, log.stat().st_size // 2)


def foreign(run: Faulty) -> None:
    run.config = {"lr": 0.1, "env": "CartPole-v1", "seed": "abc"}
    run.rows = [{"loss": 1.0, "env_step": 5, "nested": {"a": 1}}]


def other_hash(run: Faulty) -> None:
    run.config_hash = "ffffffff"


def unreadable(log: Path) -> None:
    log.unlink()
    log.mkdir()  # reading it fails for root, too, whom no permission stops


NO_INTERVAL = "does not say config.budget.eval_interval"
#: Runs whose numbers nobody can use. What is wrong -> how to make it so, and what completeness says of such a run.
USELESS: dict[str, tuple[Callable[[Faulty], None], str]] = {
    "missing keys": (lacking("budget", "commit", "total_env_steps"), "does not say budget, total_env_steps"),
    "no map": (lacking("map"), "does not say map"),
    "no settings": (lacking("config"), NO_INTERVAL),
    "settings are no mapping": (saying(config="all default"), NO_INTERVAL),
    "settings without the budget's": (lambda run: run.config["config"].pop("budget") and None, NO_INTERVAL),
    "an interval of zero": (setting("budget", {"eval_interval": 0, "eval_episodes": 0}), NO_INTERVAL),
    "words for numbers": (saying(seed="first", attempt="x", total_env_steps="many"), "does not say seed"),
    "no rows": (lambda run: run.rows.clear(), "no data"),
    "an empty log": (spoilt(lambda log: os.truncate(log, 0)), "no data"),
    "noise for a log": (spoilt(lambda log: log.write_bytes(bytes(range(256)) * 300)), "no data"),
    "an unreadable log": (spoilt(unreadable), "cannot be read: Is a directory"),
    "another project's": (foreign, "no run of this project"),
}
#: Runs whose numbers count, and which not every command can show.
DOUBTFUL: dict[str, tuple[Callable[[Faulty], None], str]] = {
    "settings without the map's": (lambda run: run.config["config"].pop("map") and None, " finished"),
    "a payoff of words": (setting("map", {"payoff": [["a", "b"]]}), " finished"),
    "no game": (setting("env", {}), " finished"),
    "a game of words": (setting("env", {"make": dict.fromkeys(("goal_distance", "step"), "far")}), " finished"),
    "parameters are no counts": (saying(parameters={"actor.trunk": "many"}), " finished"),
    "another length": (longer, " 800 800 9 9 1 0 0 0 finished"),
    "NaN": (all_nan, " diverged"),
    "no score": (only_losses, " 300 300 4 4 1 0 0 0 finished"),
    "a lost row": (lambda run: run.rows.pop(1) and None, " 300 300 3 4 1 0 0 0 incomplete"),
    "a number of words": (saying(evaluations="many", origin=3), " 300 300 4 -1 1 0 0 0 finished"),
    "two configurations": (other_hash, "one of 2 configurations"),
    "unknown algorithm": (saying(algo="nobody"), "unknown algorithm: there is no conf/algo/nobody.yaml"),
    "a half-written log": (half_written, " crashed"),
}


def write(root: Path, write_run: Any, task: tuple[str, str, str], who: tuple[str, int], fault: Any = None) -> str:
    """Write a run, with a fault or without; returns the key by which completeness names it."""
    (env, map_, score), (algo, seed) = task, who
    rows = []
    for step in range(0, 301, 100):
        rows.append({"env_step": step, f"eval/independent/{score}": 0.5, f"eval/dependent/{score}": 0.5})
        if env == "matrix_game":
            joint = [
                f"eval/{policy}/joint/{i}_{j}"
                for policy in ("independent", "dependent")
                for i in (0, 1)
                for j in (0, 1)
            ]
            rows[-1] |= dict.fromkeys(joint, 0.25)
    if env == "multigoal":
        rows[-1] |= {names.sampled(0, t, axis): 0.0 for t in (0, 1) for axis in ("x", "y")}
    settings = {
        "map": {"payoff": [[8, -12], [-12, 4]]},
        "env": {"make": {"goal_distance": 7.0, "step": 1.0, "box": 10.0, "peak": 1.0, "width": 1.0}},
        "budget": {"eval_interval": 100, "eval_episodes": 4},
    }
    run = Faulty(
        {
            **{"algo": algo, "env": env, "map": map_, "backend": "embedded", "budget": "paper", "seed": seed},
            **{"attempt": 1, "total_env_steps": 300, "commit": "0123456789ab", "config": settings},
            "parameters": {"actor.trunk.input": 10, "critic.mixer.weights": 20},
            **{"evaluations": len(rows), "origin": ORIGIN},
        },
        numbered(rows),
    )
    if fault is not None:
        fault(run)
    key = f"{algo}-{env}-{map_}-{run.config_hash}-s{seed}"
    if "algo" in run.config:  # a run of this project
        run.config["run_key"] = key
    folder = root / env / map_ / algo / run.config_hash / f"seed={seed}"
    run.spoil(write_run(folder, run.rows, run_id=key, config=run.config))
    write_end(folder)
    return key


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, write_bare_run: Any) -> Path:
    root = tmp_path_factory.mktemp("good")
    for task in TASKS:
        write(root, write_bare_run, task, GOOD)
    return root


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn in one format; claims take any run."""
    monkeypatch.setattr("analysis.claims.verdicts.full_length", lambda env, budget: None)
    savefig = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, out, **k: str(out).endswith(".pdf") or savefig(self, out, **k))


def ask(command: str, root: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code and all that was said; an error is one line, and so is a warning."""
    out = root.parent / "out"
    out.mkdir(exist_ok=True)
    options = {
        **{"completeness": [], "status": [], "export": ["--to", str(out / "all.json")]},
        **{command: ["--out", str(out), "--map", "p4_12"] for command in ("figure4", "claims")},
        "report": ["--out", str(out / "report.html")],
    }
    code = main([command, "--runs", str(root), *options.get(command, ["--out", str(out)])])
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert all(line.startswith("analysis: ") for line in lines), command
    assert code in (0, 2)
    notes = ("analysis: values of", "analysis: Left out: ")
    assert len([line for line in lines if not line.startswith(notes)]) == (code == 2), command
    return code, captured.out + captured.err


@pytest.mark.parametrize("half", [0, pytest.param(1, marks=pytest.mark.long)])
def test_useless_runs_are_named_and_spoil_no_command(good, tmp_path, capsys, write_bare_run, half):
    """Half of them are beside a good run of their method or have none, the other half the other way round."""
    root = shutil.copytree(good, tmp_path / "runs")
    wrong = {}
    for seed, (make, says) in enumerate(USELESS.values(), start=1):
        for number, task in enumerate(TASKS):
            algo = (GOOD[0], ALONE[0])[(seed + number + half) % 2]
            wrong[write(root, write_bare_run, task, (algo, seed), make)] = says
    _, said = ask("completeness", root, capsys)
    for key, says in wrong.items():
        assert says in line_of(key, said)
    codes = {}
    for command in COMMANDS:
        codes[command], said = ask(command, root, capsys)
        assert command == "status" or "are left out, see" in said
    assert codes == dict.fromkeys(COMMANDS, 0)


#: The fast tests let each group of commands meet one fault.
SIXTHS = [pytest.param(fault, marks=[] if k < 6 else pytest.mark.long) for k, fault in enumerate(DOUBTFUL)]


@pytest.mark.parametrize("fault", SIXTHS)
def test_no_doubtful_run_breaks_a_command_or_goes_unsaid(good, tmp_path, capsys, write_bare_run, fault):
    root = shutil.copytree(good, tmp_path / "runs")
    make, says = DOUBTFUL[fault]
    keys = [write(root, write_bare_run, task, who, make) for task in TASKS for who in (BESIDE, ALONE)]
    _, said = ask("completeness", root, capsys)
    assert [key for key in keys[::2] if says not in line_of(key, said)] == []
    assert all(line_of(key, said) for key in keys[1::2])  # alone, a run is no second configuration
    for command in COMMANDS[list(DOUBTFUL).index(fault) % 6 :: 6]:  # each meets a sixth of the faults
        ask(command, root, capsys)


def line_of(run: str, completeness: str) -> str:
    (line,) = (line for line in completeness.splitlines() if run in line.split())
    return " ".join(line.split())


@pytest.mark.parametrize("command", ["completeness", *COMMANDS])
def test_an_empty_folder_is_said(tmp_path, capsys, command):
    root = tmp_path / "runs"
    root.mkdir()
    code, said = ask(command, root, capsys)
    assert code == 2
    assert "no runs in" in said


def test_a_folder_that_may_not_be_opened_is_said(good, tmp_path, capsys, monkeypatch):
    root = shutil.copytree(good, tmp_path / "runs")
    closed, scandir = root / "smac" / "MMM2", os.scandir

    def refuse(path):
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)  # root, who may run this, is refused nothing
    code, said = ask("completeness", root, capsys)
    assert code == 0
    assert f"{closed} cannot be read: Permission denied" in said
    assert "cannot be read" in ask("table2", root, capsys)[1]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"state": "running"}', '{"state": 3, "env_step": "x"}', '"words"'])
def test_status_files_of_any_content(good, tmp_path, capsys, text):
    root = shutil.copytree(good, tmp_path / "runs")
    (file, *_) = root.rglob("status.json")
    file.write_text(text)
    code, said = ask("status", root, capsys)
    assert code == 0
    assert "6 runs: 5 finished, 1 " in said


@pytest.mark.parametrize("command", [["claims", "--out"], ["table2", "--out"], ["export", "--to"], ["report", "--out"]])
def test_a_place_that_cannot_be_written_to_is_named(good, tmp_path, capsys, command):
    place = tmp_path / "taken"
    if command[1] == "--out" and command[0] != "report":
        place.write_text("a file, not a folder")
    else:
        place.mkdir()
    assert main([command[0], "--runs", str(good), command[1], str(place)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(place) in line


def test_links_to_pictures_that_are_gone_break_no_report(good, tmp_path, capsys):
    root = shutil.copytree(good, tmp_path / "runs")
    (root / "gone.gif").symlink_to(root / "nowhere.gif")
    (root / "folder.gif").mkdir()
    assert ask("report", root, capsys)[0] == 0
