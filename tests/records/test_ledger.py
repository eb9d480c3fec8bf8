"""A ledger gives back what was written, or says which line is not what was written."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from macpf.records.files import Damaged
from macpf.records.ledger import Attempt, End, Evaluation, Ledger, Manifest
from macpf.records.numbering import missing
from macpf.records.owner import Owner

KEY = "qmix-matrix_game-p0_12-ab12cd34-s0"


def manifest(origin: str = "0" * 32) -> Manifest:
    return Manifest(
        **{"key": KEY, "origin": origin, "algo": "qmix", "env": "matrix_game", "map": "p0_12", "backend": "builtin"},
        **{"budget": "paper", "seed": 0, "score": "return", "labels": {"independent": "QMIX"}, "family": "qmix"},
        **{"evaluations": 4, "env_steps": 300, "config": {"a": [1, None]}, "parameters": {"agent": 3}},
        **{"provenance": {}, "begun": 1.5},
    )


def evaluation(number: int, after: int | None = None, value: float = 0.1) -> Evaluation:
    before = number - 1 if after is None else after
    return Evaluation(number=number, after=before, values={"env_step": 100 * number, "score": value})


def attempt(number: int) -> Attempt:
    facts = {"commit": "0123456789ab", "torch": "2", "python": "3", "device": "cpu", "host": "Linux"}
    return Attempt(number=number, threads=1, started=2.5, **facts)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.jsonl"


@pytest.fixture
def written(path):
    ledger = Ledger.begin(path, manifest())
    for entry in (attempt(1), *map(evaluation, range(4)), End(state="finished", log={"a": "b"})):
        ledger.append(entry)
    return ledger


def test_what_was_written_is_read(path, written):
    read = Ledger.read(path)
    assert read == written
    assert [row.number for row in read.rows] == [0, 1, 2, 3]
    assert read.rows[2].values == {"env_step": 200.0, "score": 0.1}
    assert read.end is not None
    assert read.missing == 0


def test_an_attempt_that_goes_on_from_a_checkpoint_writes_again_what_came_after_it(path):
    ledger = Ledger.begin(path, manifest())
    for entry in (attempt(1), evaluation(0), evaluation(1), evaluation(2)):
        ledger.append(entry)
    again = Ledger.read(path)
    again.go_on_from([evaluation(0).model_dump()])
    assert again.rows == [evaluation(0)]
    again.append(attempt(2))
    again.append(evaluation(1, value=7.0))
    read = Ledger.read(path)
    assert read.rows == [evaluation(0), evaluation(1, value=7.0)]  # the row number 2 of the lost attempt is gone
    assert [a.number for a in read.attempts] == [1, 2]
    assert read.missing == 2


def test_rows_that_only_the_checkpoint_knows_are_added(path):
    ledger = Ledger.begin(path, manifest())
    ledger.append(evaluation(0))
    rows = [evaluation(k) for k in range(3)]
    ledger.go_on_from([row.model_dump() for row in rows])
    assert Ledger.read(path).rows == rows == ledger.rows


def test_a_row_too_little_leaves_a_hole_and_a_due_one_that_was_passed_over_does_not():
    whole = [(0, -1), (1, 0), (2, 1), (3, 2)]
    assert missing(whole, 4) == 0
    assert missing([], 4) == 4
    for k in range(4):
        assert missing(whole[:k] + whole[k + 1 :], 4) == 1
    assert missing(whole[:2], 4) == 2
    assert missing([(0, -1), (3, 0)], 4) == 0  # one round of episodes passed two due evaluations
    assert missing([(0, -1), (3, 2)], 4) == 2
    assert missing(reversed(whole), 4) == 0


def test_a_torn_last_line_is_passed_over_and_written_over(path, written):
    content = path.read_bytes()
    lines = content.splitlines(keepends=True)
    for cut in range(1, len(lines[-1])):
        path.write_bytes(content[:-cut])
        assert Ledger.read(path).end is None
    read = Ledger.read(path)
    read.append(End(state="finished"))
    assert path.read_bytes().count(b"\n") == len(lines)
    assert Ledger.read(path).end == End(state="finished")


def test_every_cut_is_a_beginning_or_said(path, written):
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        if b"\n" in content[:size]:
            assert Ledger.read(path).rows == written.rows[: len(Ledger.read(path).rows)]
        else:
            with pytest.raises(Damaged, match="does not begin with a manifest"):
                Ledger.read(path)


def test_no_flipped_bit_is_read_as_something_else(path, written):
    content = path.read_bytes()
    chosen = random.Random(0)
    for _ in range(600):
        bit = chosen.randrange(8 * len(content))
        spoilt = bytearray(content)
        spoilt[bit // 8] ^= 1 << bit % 8
        path.write_bytes(spoilt)
        if bit // 8 == len(content) - 1:  # the end of the last line was hit, which then is none
            assert Ledger.read(path) == replace(written, end=None)
            continue
        with pytest.raises(Damaged, match=r"^\S+ (is damaged in line \d+ \(.*\)|does not begin with a manifest)$"):
            Ledger.read(path)


def test_a_line_of_another_run_is_said(path, written, tmp_path):
    other = Ledger.begin(tmp_path / "other.jsonl", manifest(origin="1" * 32))
    other.append(evaluation(0))
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = other.path.read_bytes().splitlines(keepends=True)[1]
    path.write_bytes(b"".join(lines))
    with pytest.raises(Damaged, match=r"line 3 \(its checksum does not match\)"):
        Ledger.read(path)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"[]\n", b"0123456789abcdef {}\n", b"\x00" * 4096, b"\xff" * 40 + b"\n"]
)
def test_what_is_no_ledger_is_said_in_one_line(path, content):
    path.write_bytes(content)
    with pytest.raises(Damaged) as refused:
        Ledger.read(path)
    assert "\n" not in str(refused.value)


def test_a_folder_in_its_place_is_said(path):
    path.mkdir()
    with pytest.raises(Damaged, match="cannot be read"):
        Ledger.read(path)


def test_two_origins_of_a_key_have_two_names_on_a_server():
    one, other = Owner.new(KEY), Owner.new(KEY)
    assert one.wandb_id != other.wandb_id
    assert one.wandb_id.startswith(KEY)
    assert str(one) == f"{KEY}@{one.origin[:8]}"
