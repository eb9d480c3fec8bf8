"""Stitching, completeness and the cache."""

import dataclasses
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from analysis import AnalysisError, local_source
from analysis.local_source import LocalSource
from analysis.runs import load_runs, short_commits, stitch
from analysis.sources import Reference, tidy_rows
from macpf.records.framing import BLOCK, HEADER
from macpf.records.wandb_file import read_wandb_file
from tests.analysis.synthetic import ORIGIN

WriteRun = Callable[..., Path]
MakeRow = Callable[..., dict[str, Any]]
RETURN = "eval/independent/return"


def _returns(frame: pd.DataFrame, run: str) -> dict[int, float]:
    lines = frame[(frame["run"] == run) & (frame["metric"] == RETURN)]
    assert lines["env_step"].is_unique
    return dict(zip(lines["env_step"], lines["value"], strict=True))


def test_three_attempts_become_one_run(tmp_path: Path, write_run: WriteRun, make_row: MakeRow) -> None:
    steps: dict[int, range] = {1: range(0, 150, 10), 2: range(120, 220, 10), 3: range(200, 301, 10)}
    # The newest first, so that the order of writing cannot help.
    for attempt in (3, 1, 2):
        rows = [make_row(step, attempt + step / 1000) for step in steps[attempt]]
        last = {"done": attempt == 3, "exit_code": 0 if attempt == 3 else 143, "evaluations": 31}
        write_run(tmp_path, rows, attempt=attempt, first=steps[attempt][0] // 10, **last)
    runs = load_runs(tmp_path)
    (line,) = runs.report.to_dict("records")
    expected = {step: attempt + step / 1000 for attempt, taken in steps.items() for step in taken}  # later ones win
    assert _returns(runs.frame, line["run"]) == expected
    assert list(runs.frame["env_step"]) == sorted(runs.frame["env_step"])
    assert (line["attempts"], line["state"], line["env_step"], line["total"]) == (3, "finished", 300, 300)
    assert (line["found"], line["expected"], line["counts"], line["origin"]) == (31, 31, True, ORIGIN)
    assert runs.configs[line["run"]]["attempt"] == 3


def test_stitching_never_mixes_rows_of_two_attempts() -> None:
    first = tidy_rows([{"env_step": 0, "a": 1.0}, {"env_step": 10, "a": 1.0, "b": 1.0}, {"env_step": 20, "b": 1.0}])
    second = tidy_rows([{"env_step": 10, "a": 2.0}])
    assert stitch([first, second]).to_pandas().values.tolist() == [[0, "a", 1.0], [10, "a", 2.0]]


def test_what_a_row_may_hold() -> None:
    row = {
        **{"env_step": 5, "a": "NaN", "b": "-Infinity", "c": True, "d": None, "e": "words", "f": [1], "_step": 3},
        **{"picture._type": "image-file", "picture.width": 8},
    }
    values = tidy_rows([{"a": 1.0}, row]).to_pandas()  # without an env step there is no place for it
    assert list(values["metric"]) == ["a", "b", "c"]
    assert math.isnan(values["value"][0])
    assert list(values["value"][1:]) == [-math.inf, 1.0]
    assert set(values["row"]) == {1}


def test_completeness_names_every_state(tmp_path: Path, write_run: WriteRun, make_row: MakeRow) -> None:
    whole = [make_row(0, 1.0), make_row(200, 4.0), make_row(300, 8.0)]
    write_run(
        tmp_path, whole, seed=0, done=False, evaluations=3
    )  # it does not say that it ended, but all rows are there
    write_run(tmp_path, whole[:1], seed=1, done=False, exit_code=143)
    write_run(tmp_path, whole[:1], seed=2, done=False, exit_code=1)
    killed = write_run(tmp_path, whole, seed=3, done=False, evaluations=3)
    data = killed.read_bytes()
    killed.write_bytes(data[: len(data) - 3])  # its last record is the exit
    empty = write_run(tmp_path, [], seed=4)
    empty.write_bytes(HEADER)
    why = "gradient norm is inf at update 7"
    write_run(tmp_path, whole[:2], seed=5, end="diverged", why=why, exit_code=3, evaluations=3)
    write_run(tmp_path, [whole[0], make_row(200, math.nan), whole[2]], seed=6)  # it says finished, and is not
    write_run(tmp_path, whole, seed=7, end="untrained")
    write_run(tmp_path, whole[:2], seed=8, evaluations=3)
    report = load_runs(tmp_path).report.set_index("seed")
    assert dict(report["state"]) == {
        **{0: "finished", 1: "short", 2: "crashed", 3: "finished", 4: "no data", 5: "diverged", 6: "diverged"},
        **{7: "untrained", 8: "incomplete"},
    }
    assert list(report["nan"]) == [0, 0, 0, 0, 0, 0, 1, 0, 0]
    assert list(report["found"]) == [3, 1, 1, 3, 0, 2, 3, 3, 2]
    assert list(report["expected"][:4]) == [3, 2, 2, 3]
    assert list(report["expected"][5:]) == [3, 3, 3, 3]
    assert report["counts"].tolist() == [seed in (0, 3) for seed in range(9)]
    assert load_runs(tmp_path).with_incomplete().report["counts"].tolist() == [s in (0, 1, 2, 3, 8) for s in range(9)]
    assert report["note"][5] == why
    # The file is silent, its folder is not.
    assert (report["algo"][4], report["map"][4], report["env_step"][4], report["total"][4]) == ("qmix", "p4_12", -1, -1)


def test_a_killed_run_short_of_its_budget_crashed(tmp_path: Path, write_run: WriteRun, make_row: MakeRow) -> None:
    path = write_run(tmp_path, [make_row(0, 1.0)], done=False)
    while read_wandb_file(path).exit_code is not None:  # what comes after the exit record differs from time to time
        path.write_bytes(path.read_bytes()[:-3])
    assert list(load_runs(tmp_path).report["state"]) == ["crashed"]


def test_rows_at_no_step_are_left_out() -> None:
    rows = [{"env_step": step, "x": 1.0} for step in (5, math.nan, math.inf, 1e30, "words", None)]
    assert tidy_rows(rows)["env_step"].to_pylist() == [5]


def test_damage_shows_in_the_report(tmp_path: Path, write_run: WriteRun, make_row: MakeRow) -> None:
    path = write_run(tmp_path, [make_row(step, 1.0) | {"x": "y" * 3000} for step in range(0, 301, 10)])
    data = bytearray(path.read_bytes())
    data[BLOCK + 100] ^= 1
    path.write_bytes(data)
    (line,) = load_runs(tmp_path).report.to_dict("records")
    assert (line["gaps"], line["state"], line["expected"]) == (1, "incomplete", 31)
    assert 0 < line["found"] < 31
    assert line["lost_bytes"] > 0


def test_the_cache_gives_the_same_and_notices_change(
    tmp_path: Path, write_run: WriteRun, make_row: MakeRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [make_row(0, math.nan), make_row(100, math.inf), make_row(300, 8.0)]
    paths = [write_run(tmp_path, rows, seed=seed) for seed in range(2)]
    reads: list[Path] = []
    read = local_source._read_segment
    monkeypatch.setattr(local_source, "_read_segment", lambda path: reads.append(path) or read(path))
    cold = load_runs(tmp_path)
    assert sorted(reads) == sorted(paths)
    warm = load_runs(tmp_path)
    assert len(reads) == 2
    assert_frame_equal(cold.frame, warm.frame)
    assert_frame_equal(cold.report, warm.report)
    assert cold.configs == warm.configs
    # A log that lost its tail is read again, and it alone.
    paths[0].write_bytes(paths[0].read_bytes()[:-3])
    load_runs(tmp_path)
    assert reads[2:] == [paths[0]]
    # A spoilt entry is no entry.
    entry = next((tmp_path / ".analysis-cache").glob("*.arrow"))
    entry.write_bytes(b"spoilt")
    assert_frame_equal(load_runs(tmp_path).frame, cold.frame)
    assert len(reads) == 4


def test_a_flipped_bit_in_the_cache_changes_no_result(tmp_path, write_run, make_row, monkeypatch) -> None:
    write_run(tmp_path, [make_row(100 * k, k / 7, k / 3) for k in range(4)])
    cold = load_runs(tmp_path)
    (entry,) = (tmp_path / ".analysis-cache").glob("*.arrow")
    kept, random = entry.read_bytes(), np.random.default_rng(5)
    reads: list[Path] = []
    read = local_source._read_segment
    monkeypatch.setattr(local_source, "_read_segment", lambda path: reads.append(path) or read(path))
    flips = random.choice(8 * len(kept), size=200, replace=False)
    for flip in flips.tolist():
        spoilt = bytearray(kept)
        spoilt[flip // 8] ^= 1 << flip % 8
        entry.write_bytes(spoilt)
        again = load_runs(tmp_path)
        assert_frame_equal(again.frame, cold.frame)
        assert_frame_equal(again.report, cold.report)
        assert again.configs == cold.configs
        assert entry.read_bytes() == kept  # written anew
    assert len(reads) == len(flips)


def test_a_log_replaced_by_another_of_its_size_and_time_is_read_again(tmp_path, write_run, make_row) -> None:
    one, other = (write_run(tmp_path / name, [make_row(0, 1.0), make_row(300, x)]) for name, x in (("a", 5), ("b", 6)))
    before, content = one.stat(), one.read_bytes()
    assert _returns(load_runs(tmp_path / "a").frame, "qmix-matrix_game-p4_12-ab12cd34-s0")[300] == 5
    # A copy of the other's text, with the same number of bytes; only the time of the change itself cannot be set.
    replaced = other.read_bytes()[: len(content)].ljust(len(content), b"\0")
    one.write_bytes(replaced)
    os.utime(one, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (one.stat().st_size, one.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert _returns(load_runs(tmp_path / "a").frame, "qmix-matrix_game-p4_12-ab12cd34-s0")[300] == 6


def test_logs_without_numbers_are_read_as_before(tmp_path, write_bare_run, make_row) -> None:
    config = {
        **{"algo": "qmix", "env": "matrix_game", "map": "p4_12", "backend": "builtin", "budget": "paper", "seed": 0},
        **{"run_key": "qmix-matrix_game-p4_12-ab12cd34-s0", "attempt": 1, "total_env_steps": 300, "commit": "0123"},
        "config": {"budget": {"eval_interval": 100, "eval_episodes": 32}},
    }
    whole = [make_row(0, 1.0), make_row(300, 8.0)]
    write_bare_run(tmp_path / "a", whole, config["run_key"], config, summary={"done": 1})
    key = "qmix-matrix_game-p4_12-ab12cd34-s1"
    write_bare_run(tmp_path / "b", whole[:1], key, config | {"seed": 1, "run_key": key}, summary={}, exit_code=143)
    runs = load_runs(tmp_path)
    assert runs.report["state"].tolist() == ["finished", "short"]
    assert runs.report[["found", "expected"]].to_numpy().tolist() == [[2, -1], [1, -1]]
    assert runs.report["origin"].tolist() == ["", ""]
    assert _returns(runs.frame, config["run_key"]) == {0: 1.0, 300: 8.0}


def test_another_source_fits(tmp_path: Path, write_run: WriteRun, make_row: MakeRow) -> None:
    """What a server gives: no file, no fingerprint while running, all attempts joined into one segment."""
    write_run(tmp_path, [make_row(0, 1.0)])
    (local,) = LocalSource(tmp_path).references()
    rows = [make_row(0, 1.0), make_row(10, 2.0), make_row(10, 3.0), make_row(300, 4.0)]
    segment = dataclasses.replace(local.read(), values=tidy_rows(rows))

    class Server:
        cache_dir, place, readers = tmp_path / "cache", "a server", 2

        def references(self) -> list[Reference]:
            return [Reference("entity/project/id", None, lambda: segment)]

    runs = load_runs(Server())
    assert _returns(runs.frame, segment.run_key) == {0: 1.0, 10: 3.0, 300: 4.0}
    assert not Server.cache_dir.exists()


@pytest.mark.parametrize("content", [HEADER, b"", b"noise" * 20_000])
def test_an_attempt_that_left_nothing_is_no_run_of_its_own(tmp_path, write_run, make_row, content) -> None:
    write_run(tmp_path, [make_row(0, 1.0), make_row(300, 2.0)])
    write_run(tmp_path, [make_row(300, 2.0)], attempt=2).write_bytes(content)
    (line,) = load_runs(tmp_path).report.to_dict("records")
    assert line["run"] == "qmix-matrix_game-p4_12-ab12cd34-s0"
    assert (line["attempts"], line["found"], line["origin"]) == (2, 2, ORIGIN)
    assert line["state"] == "finished"


def test_nothing_to_load_is_said(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match="make demo"):
        load_runs(tmp_path)
    with pytest.raises(AnalysisError, match="no folder"):
        load_runs(tmp_path / "absent")


def test_commits_are_shortened_once_and_changed_files_show():
    column = pd.Series(["0123456789ab 0123456789ab-dirty", None, "0123456789ab", "fedcba987654"])
    assert short_commits(column) == ["012345678", "012345678+", "fedcba987"]
