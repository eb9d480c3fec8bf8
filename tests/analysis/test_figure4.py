"""Figure 4 and the command line, on synthetic runs whose numbers are worked out by hand."""

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis import AnalysisError
from analysis.__main__ import main
from analysis.figures.figure4 import collect, over_seeds
from analysis.runs import load_runs
from analysis.selection import select

WriteRun = Callable[..., Path]
MakeRow = Callable[..., dict[str, Any]]
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory, write_run: WriteRun, make_row: MakeRow) -> Path:
    """The payoffs lie between -12 and 8."""
    root = tmp_path_factory.mktemp("outputs")
    for seed, final in enumerate((8.0, 8.0, -12.0)):
        rows = [make_row(0, seed, -1.0), make_row(100, 2.0 * seed, 3.0), make_row(300, final, 8.0)]
        write_run(root, rows, algo="macpf", seed=seed)
    write_run(root, [make_row(0, 1.0, 1.0), make_row(300, 4.0, 8.0)], algo="macpf_tempered")
    for seed in (1, 2):
        write_run(root, [make_row(0, -12.0), make_row(100, 0.0), make_row(300, 4.0)], seed=seed)
    write_run(root, [make_row(0, 0.0)], seed=0, done=False, exit_code=143)
    return root


def test_figures_and_their_numbers(outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["figure4", "--runs", str(outputs), "--out", str(tmp_path)]) == 0
    stems = ("figure4", "figure4_macpf_tempered")
    assert {path.name for path in tmp_path.iterdir()} == {f"{s}.{e}" for s in stems for e in ("pdf", "png", "csv")}
    assert (tmp_path / "figure4.png").read_bytes().startswith(b"\x89PNG")
    table = pd.read_csv(tmp_path / "figure4.csv").set_index(["method", "env_step"])
    assert list(dict.fromkeys(table.index.get_level_values(0))) == ["MACPF", "MACPF_DEP", "QMIX"]
    # Returns 0, 1, 2 have mean 1 and variance 2/3; 0, 2, 4 twice that; 8, 8, -12 have mean 4/3.
    np.testing.assert_allclose(table.loc["MACPF", "mean"], [1, 2, 4 / 3])
    np.testing.assert_allclose(table.loc["MACPF", "std"], [math.sqrt(2 / 3), 2 * math.sqrt(2 / 3), math.sqrt(800 / 9)])
    np.testing.assert_allclose(table.loc["MACPF_DEP", "mean"], [-1, 3, 8])
    assert set(table.loc["QMIX", "seeds"]) == {2}  # the third never finished
    printed = capsys.readouterr().out
    assert str(tmp_path / "figure4.pdf") in printed
    assert ["MACPF", "3", "2", "0", "1", "0", "1.333"] in [line.split() for line in printed.splitlines()]
    assert ["QMIX", "2", "0", "2", "0", "0", "4.000"] in [line.split() for line in printed.splitlines()]
    # First evaluations of the six runs that count: 0, 1, 2, 1, -12, -12.
    assert ["untrained", "networks", "6", "0", "4", "2", "0", "-3.333"] in [
        line.split() for line in printed.splitlines()
    ]
    (told,) = set(table.loc["QMIX", "not_whole"])
    assert told == "seed 0: short at 0 of 300 env steps; seed 3: missing; seed 4: missing"


def test_the_caption_names_what_is_missing(outputs: Path) -> None:
    figure4 = collect(select(load_runs(outputs), "matrix_game", plan="figure4"), "macpf")
    for words in (
        "MACPF 3, QMIX 2",
        "5 of 30 planned runs are finished. Missing: QPLEX on p4_12; QTRAN on p4_12; FOP on p4_12; MAPPO on p4_12; "
        "MACPF on p4_12 (seeds 3, 4); QMIX on p4_12 (seeds 0, 3, 4).",
        "Left out: QMIX seed 0 (short at 0 of 300 env steps).",
        "32 episodes",
        "Map p4_12. Budget paper (300 env steps)",
        "012345678",
    ):
        assert words in figure4.caption
    assert figure4.joint is not None
    assert (figure4.joint.seed, figure4.joint.env_step) == (0, 300)
    np.testing.assert_allclose(figure4.joint.probabilities, [[0, 0.1, 0.2], [0.1, 0.2, 0.3]])
    tempered = collect(select(load_runs(outputs), "matrix_game"), "macpf_tempered")
    assert "Missing: MACPF (tempered) on p4_12 (seeds 1, 2); QMIX on p4_12 (seed 0)" in tempered.caption
    assert list(tempered.curves)[:2] == ["MACPF (tempered)", "MACPF_DEP (tempered)"]  # never as MACPF itself
    assert tempered.macpf == "MACPF_DEP (tempered)"


@pytest.mark.parametrize("other", ["map", "budget", "backend", "config_hash"])
def test_runs_that_may_not_share_a_figure_are_refused(
    other: str, tmp_path: Path, write_run: WriteRun, make_row: MakeRow, capsys: pytest.CaptureFixture[str]
) -> None:
    runs, out = tmp_path / "runs", str(tmp_path / "figures")
    write_run(runs, [make_row(300, 1.0)])
    write_run(runs, [make_row(300, 1.0)], **{other: "other", "seed": 1})
    command = ["figure4", "--runs", str(runs), "--out", out]
    assert main(command) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "other" in message
    choice = ["--exclude", "other"] if other == "config_hash" else [f"--{other}", "other"]
    assert choice[0] in message
    assert main([*command, *choice]) == 0


def test_requests_that_cannot_be_answered(outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    requests = {
        "make demo": ["--runs", str(tmp_path / "absent")],
        "--map p4_12 --budget paper --backend builtin": ["--runs", str(outputs), "--map", "absent"],
        "no runs of macpf_absent": ["--runs", str(outputs), "--macpf", "macpf_absent"],
    }
    for words, options in requests.items():
        assert main(["figure4", "--out", str(tmp_path / "figures"), *options]) == 2
        assert words in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_said_in_one_line(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    for out, why in (("/proc/x", "No such file or directory"), (f"{tmp_path}/file", "File exists")):
        assert main(["figure4", "--runs", str(outputs), "--out", out]) == 2
        line = f"analysis: cannot write {out}: {why}; --out wants a folder, e.g. --out figures\n"
        assert capsys.readouterr().err == line


def test_ragged_runs_are_named_and_only_shared_steps_are_averaged() -> None:
    shared, ragged = over_seeds(pd.DataFrame({"a": {0: 1.0, 10: 2.0, 20: 3.0}, "b": {0: 3.0, 10: 5.0}}))
    assert list(shared.index) == [0, 10]
    np.testing.assert_equal(shared.mean(axis=1).to_numpy(), [2.0, 3.5])
    assert ragged == {"b"}
    with pytest.raises(AnalysisError, match="share no env step"):
        over_seeds(pd.DataFrame({"a": {0: 1.0}, "b": {10: 3.0}}))


def test_the_command_loads_neither_torch_nor_wandb(outputs: Path) -> None:
    code = (
        "import sys; from analysis.__main__ import main; "
        f"assert main(['completeness', '--runs', {str(outputs)!r}]) == 0; import analysis.figures.figure4; "
        "print({'torch', 'wandb', 'matplotlib.pyplot'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
    assert "macpf_tempered" in done.stdout


def test_of_several_payoffs_the_games_own_is_drawn(
    tmp_path: Path, write_run: WriteRun, make_row: MakeRow, capsys: pytest.CaptureFixture[str]
) -> None:
    for map_ in ("p0_12", "coordination"):
        write_run(tmp_path, [make_row(0, 1.0), make_row(300, 8.0)], map=map_)
    assert main(["figure4", "--runs", str(tmp_path), "--out", str(tmp_path / "figures")]) == 0
    assert select(load_runs(tmp_path), "matrix_game").map == "p0_12"
    write_run(tmp_path / "others", [make_row(0, 1.0)], map="p4_12")
    write_run(tmp_path / "others", [make_row(0, 1.0)], map="coordination")
    assert main(["figure4", "--runs", str(tmp_path / "others"), "--out", str(tmp_path / "figures")]) == 2
    assert "runs of several maps, choose one with --map" in capsys.readouterr().err
