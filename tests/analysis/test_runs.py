"""Stitching, completeness and the cache."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from analysis import local_source
from analysis.errors import AnalysisError
from macpf.records.framing import BLOCK, HEADER
from analysis.local_source import LocalSource
from analysis.runs import load_runs, short_commits
from analysis.sources import Reference, tidy_rows
from analysis.stitching import stitch
from macpf.records.wandb_file import read_wandb_file

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
        write_run(tmp_path, rows, attempt=attempt, done=attempt == 3, exit_code=0 if attempt == 3 else 143)
    runs = load_runs(tmp_path)
    (line,) = runs.report.to_dict("records")
    expected = {step: attempt + step / 1000 for attempt, taken in steps.items() for step in taken}  # later ones win
    assert _returns(runs.frame, line["run"]) == expected
    assert list(runs.frame["env_step"]) == sorted(runs.frame["env_step"])
    assert (line["attempts"], line["state"], line["env_step"], line["total"]) == (3, "finished", 300, 300)
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
    whole = [make_row(0, math.nan), make_row(300, 8.0)]
    write_run(tmp_path, whole, seed=0, done=False)  # no `done`, but all env steps are there
    write_run(tmp_path, whole[:1], seed=1, done=False, exit_code=143)
    write_run(tmp_path, whole[:1], seed=2, done=False, exit_code=1)
    killed = write_run(tmp_path, whole, seed=3, done=False)
    data = killed.read_bytes()
    killed.write_bytes(data[: len(data) - 3])  # its last record is the exit
    empty = write_run(tmp_path, [], seed=4)
    empty.write_bytes(HEADER)
    report = load_runs(tmp_path).report.set_index("seed")
    assert dict(report["state"]) == {0: "finished", 1: "short", 2: "crashed", 3: "finished", 4: "no data"}
    assert list(report["nan"]) == [1, 1, 1, 1, 0]
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
    assert (line["gaps"], line["state"]) == (1, "finished")
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


def test_nothing_to_load_is_said(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match="make demo"):
        load_runs(tmp_path)
    with pytest.raises(AnalysisError, match="no folder"):
        load_runs(tmp_path / "absent")


def test_commits_are_shortened_once_and_changed_files_show():
    column = pd.Series(["0123456789ab 0123456789ab-dirty", None, "0123456789ab", "fedcba987654"])
    assert short_commits(column) == ["012345678", "012345678+", "fedcba987"]
