"""The reader of W&B's files against wandb's own, and against damage."""

import json
import math
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from macpf.records.framing import BLOCK, HEADER, Gap, split_records
from macpf.records.wandb_file import read_wandb_file

ROWS = 60
NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory, write_run: Callable[..., Path]) -> Path:
    """About 200 KB: several blocks, records across their borders, every kind of value."""
    rows = [
        {
            **{"env_step": 10 * i, "eval/independent/return": i / 3, "train/nan": math.nan, "train/up": math.inf},
            **{"train/down": -math.inf, "count": -i, "big": 2**60, "flag": True, "none": None, "text": "words"},
            **{"list": [1, 2.5], "nested": {"a": {"b": i}}, "padding": "x" * random.Random(i).randrange(2000)},
        }
        for i in range(ROWS)
    ]
    extra = {"nothing": None, "deep": {"a": {"b": [1, {"c": 2.5}]}, "with.dot": 1}}
    return write_run(tmp_path_factory.mktemp("log"), rows, extra=extra)


def _leet(path: Path) -> list[dict[str, Any]]:
    """All records as wandb's own reader prints them, one JSON object a line."""
    command = [str(Path(sys.executable).with_name("wandb")), "leet", "inspect", "--json", str(path)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in output.splitlines()]


def _leet_rows(path: Path) -> list[dict[str, Any]]:
    return [record["history"]["item"] for record in _leet(path) if record["type"] == "history"]


def _same(ours: Any, theirs: Any) -> bool:
    """Equal, with W&B's words for numbers that are not finite."""
    if isinstance(ours, dict):
        return ours.keys() == theirs.keys() and all(_same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, float) and not math.isfinite(ours):
        return repr(ours) == repr(NON_FINITE[theirs])
    return ours == theirs


def test_reads_what_wandb_reads(log: Path) -> None:
    ours, theirs = read_wandb_file(log), _leet(log)
    rows = [record["history"]["item"] for record in theirs if record["type"] == "history"]
    assert len(ours.rows) == len(rows) == ROWS
    assert all(_same(mine, its) for mine, its in zip(ours.rows, rows, strict=True))
    summary: dict[str, Any] = {}
    for record in theirs:
        if record["type"] == "summary":
            summary |= record["summary"].get("update", {})
    assert _same(ours.summary, summary)
    (run,) = (record["run"] for record in theirs if record["type"] == "run")
    config = {key: value for key, value in run["config"]["update"].items() if key != "_wandb"}
    assert ours.config == config
    assert (ours.run_id, ours.exit_code, ours.gaps, ours.truncated) == (run["run_id"], 0, [], 0)
    assert ours.config["deep"] == {"a": {"b": [1, {"c": 2.5}]}, "with.dot": 1}
    assert ours.rows[7]["nested.a.b"] == 7


def test_a_cut_anywhere_leaves_the_records_before_it(log: Path) -> None:
    data = log.read_bytes()
    whole = split_records(data).records
    assert len(data) > 2 * BLOCK
    random_cuts = random.Random(0).sample(range(len(data)), 300)
    for cut in (*range(10), BLOCK - 1, BLOCK, BLOCK + 1, *random_cuts):
        part = split_records(data[:cut])
        assert part.records == whole[: len(part.records)]
        assert part.gaps == []
        held = sum(map(len, part.records))
        assert held + part.truncated <= cut
        # Nothing is lost but the record that was being written.
        following = whole[len(part.records)] if len(part.records) < len(whole) else b""
        assert part.truncated < len(following) + 7 * (len(following) // BLOCK + 3)


def test_damage_is_skipped_and_reported(log: Path, tmp_path: Path) -> None:
    data = bytearray(log.read_bytes())
    whole = read_wandb_file(log)
    data[BLOCK + 5000] ^= 0xFF
    damaged = tmp_path / "run-x.wandb"
    damaged.write_bytes(data)
    ours = read_wandb_file(damaged)
    (gap,) = ours.gaps
    assert gap.start <= BLOCK + 5000 < gap.start + gap.size
    assert 0 < len(ours.rows) < ROWS
    steps = [row["env_step"] for row in whole.rows]
    assert [row["env_step"] for row in ours.rows] == [row["env_step"] for row in _leet_rows(damaged)]
    assert ours.rows[-1]["env_step"] == steps[-1]  # it found its way again
    assert ours.exit_code == 0


def test_a_hole_of_zeros_is_one_gap(log: Path) -> None:
    data = bytearray(log.read_bytes())
    data[1000 : BLOCK + 1000] = bytes(BLOCK)
    framing = split_records(bytes(data))
    assert len(framing.gaps) == 1
    assert framing.gaps[0].start <= 1000
    assert framing.gaps[0].start + framing.gaps[0].size >= BLOCK + 1000
    assert set(framing.records) <= set(split_records(log.read_bytes()).records)


def test_damage_never_invents_records(log: Path) -> None:
    data = log.read_bytes()
    whole = set(split_records(data).records)
    dice = random.Random(1)
    for _ in range(200):
        broken = bytearray(data)
        position = dice.randrange(len(HEADER), len(data))
        broken[position] ^= dice.randrange(1, 256)
        framing = split_records(bytes(broken))
        assert set(framing.records) <= whole
        if len(framing.records) < len(whole):
            assert framing.gaps or framing.truncated


@pytest.mark.parametrize("size", [0, 3, 7])
def test_a_file_just_begun_has_no_data(tmp_path: Path, size: int) -> None:
    path = tmp_path / "run-x.wandb"
    path.write_bytes(HEADER[:size])
    file = read_wandb_file(path)
    assert (file.rows, file.gaps, file.exit_code, file.config) == ([], [], None, {})


def test_another_kind_of_file_is_all_gap() -> None:
    framing = split_records(b"not a log of any kind" * 10)
    assert framing.records == []
    assert framing.gaps == [Gap(0, 210)]
