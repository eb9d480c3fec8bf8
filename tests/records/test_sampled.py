"""Sampled numbers survive as one table, and a lost or altered table is seen."""

import hashlib
import json

import numpy as np
import pytest

from macpf.records.sampled import packed, path_of, table_in, unpacked, with_table

PLACES = {
    f"sampled/{e}/{t}/{axis}": float(np.float32(e + t / 3)) for e in range(3) for t in range(e, 5) for axis in "xy"
}
ROW = {"env_step": 40.0, "eval/independent/return": 1.5}


def test_a_row_without_samples_has_no_table():
    assert packed(ROW) == (ROW, None)


def test_samples_of_ragged_episodes_come_back_bit_for_bit():
    plain, table = packed(ROW | PLACES)
    assert plain == ROW
    assert table["columns"] == ["episode", "env step", "x", "y"]
    assert len(table["data"]) == len(PLACES) / 2
    assert unpacked(json.loads(json.dumps(table))) == PLACES


def test_a_number_that_one_step_lacks_stays_away():
    values = {"sampled/0/0/x": 1.0, "sampled/0/1/x": 2.0, "sampled/0/1/y": 3.0}
    assert unpacked(packed(values)[1]) == values


@pytest.mark.parametrize("nested", [True, False], ids=["as a server gives it", "as a file holds it"])
def test_a_logged_row_gets_its_numbers_back(nested):
    content = json.dumps(packed(PLACES)[1]).encode()
    said = {"_type": "table-file", "path": "media/table/a.json", "sha256": hashlib.sha256(content).hexdigest()}
    row = ROW | ({"sampled": said} if nested else {f"sampled.{key}": value for key, value in said.items()})
    assert table_in(row) == said
    assert with_table(row, content) == ROW | PLACES
    with pytest.raises(ValueError, match="not the one that was logged"):
        with_table(row, content.replace(b"1.0", b"1.1", 1))


def test_rows_of_older_runs_are_left_as_they_are():
    assert table_in(ROW | PLACES) is None


@pytest.mark.parametrize("path", ["/etc/passwd", "../../other.json"])
def test_a_log_may_only_name_its_own_files(tmp_path, path):
    with pytest.raises(ValueError, match="is no file of"):
        path_of(tmp_path / "run-1.wandb", {"path": path})
