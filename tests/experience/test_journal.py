"""A journal gives back the episodes it was given, or says that it cannot."""

from __future__ import annotations

import errno
import resource

import numpy as np
import pytest

from macpf.experience import journal as journal_module
from macpf.experience.journal import HEADER, Damaged, Journal, delete

ROW = np.dtype([("units", np.float32, (3,)), ("reward", np.float32), ("terminated", np.bool_)], align=True)


def episode(number: int) -> np.ndarray:
    """Of a length and with content of its own."""
    rows = np.zeros(2 + number % 3, dtype=ROW)
    rows["units"], rows["reward"] = number, np.arange(len(rows))
    return rows


def written(folder, count: int) -> Journal:
    journal = Journal(folder, ROW)
    journal.append(episode(k) for k in range(count))
    journal.sync()
    return journal


def assert_reads(journal: Journal, first: int, end: int) -> None:
    read = journal.read(first, end)
    assert len(read) == end - first
    for number, rows in zip(range(first, end), read, strict=True):
        assert rows.dtype == ROW
        np.testing.assert_array_equal(rows, episode(number))


@pytest.fixture(params=["one segment", "many segments"])
def folder(request, tmp_path, monkeypatch):
    if request.param == "many segments":
        monkeypatch.setattr(journal_module, "SEGMENT", 300)
    return tmp_path / "episodes"


@pytest.mark.parametrize(("first", "end"), [(0, 20), (7, 20), (7, 13), (19, 20), (20, 20), (0, 0)])
def test_another_process_reads_what_was_written(folder, first, end):
    written(folder, 20)
    assert_reads(Journal(folder, ROW), first, end)


def test_nothing_is_made_before_the_first_episode(folder):
    journal = Journal(folder, ROW)
    journal.sync()
    journal.cut(0)
    journal.checkpointed(0)
    assert journal.read(0, 0) == []
    assert not folder.exists()


@pytest.mark.parametrize("end", [0, 1, 7, 12, 20])
def test_what_follows_a_checkpoint_is_cut_off_and_recorded_again(folder, end):
    written(folder, 20)
    journal = Journal(folder, ROW)
    journal.cut(end)
    assert_reads(journal, 0, end)
    with pytest.raises(Damaged):
        journal.read(0, end + 1)
    journal.append(episode(k) for k in range(end, 25))
    assert_reads(journal, 0, 25)
    assert_reads(Journal(folder, ROW), 0, 25)


def test_a_torn_last_entry_is_cut_off(folder):
    written(folder, 20)
    last = max(folder.iterdir())
    last.write_bytes(last.read_bytes()[:-5])
    journal = Journal(folder, ROW)
    with pytest.raises(Damaged, match="episode 19 of 0 to 19"):
        journal.read(0, 20)
    journal.cut(19)
    journal.append([episode(19)])
    assert_reads(journal, 0, 20)


def test_an_altered_episode_is_missed_only_where_it_is_needed(folder):
    written(folder, 20)
    path = sorted(folder.iterdir())[-1]
    begins = int(path.stem)
    content = bytearray(path.read_bytes())
    content[HEADER.size + 3] ^= 1
    path.write_bytes(content)
    journal = Journal(folder, ROW)
    with pytest.raises(Damaged, match=f"episode {begins} of 0 to 19"):
        journal.read(0, 20)
    assert_reads(journal, begins + 1, 20)
    assert_reads(journal, 0, begins)


def test_a_lost_segment_is_noticed(folder):
    written(folder, 20)
    path = sorted(folder.iterdir())[len(list(folder.iterdir())) // 2]
    path.unlink()
    with pytest.raises(Damaged, match=f"episode {int(path.stem)} of"):
        Journal(folder, ROW).read(0, 20)


def test_rows_of_another_meaning_are_not_misread(folder):
    written(folder, 3)
    renamed = np.dtype([("enemy", np.float32, (3,)), ("reward", np.float32), ("terminated", np.bool_)], align=True)
    assert renamed.itemsize == ROW.itemsize
    with pytest.raises(Damaged):
        Journal(folder, renamed).read(0, 3)


def test_the_disk_holds_what_the_last_two_checkpoints_need_and_little_more(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_module, "SEGMENT", 300)
    journal, capacity, before = Journal(tmp_path / "episodes", ROW), 10, 0
    for end in range(5, 200, 5):
        journal.append(episode(k) for k in range(end - 5, end))
        journal.sync()
        first = max(0, end - capacity)
        journal.checkpointed(first)
        assert_reads(journal, before, end)
        before = first
        size = sum(path.stat().st_size for path in journal.folder.iterdir())
        assert size < (capacity + 5) * (HEADER.size + 4 * ROW.itemsize) + 2 * (300 + HEADER.size + 4 * ROW.itemsize)


def test_a_journal_that_goes_on_keeps_what_the_checkpoint_it_started_from_needs(folder):
    written(folder, 20)
    journal = Journal(folder, ROW)
    journal.cut(20)
    journal.append(episode(k) for k in range(20, 40))
    journal.checkpointed(30)
    assert_reads(journal, 10, 40)


def test_a_full_disk_is_an_error_and_leaves_what_was_there(folder):
    journal = written(folder, 2)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (max(folder.iterdir()).stat().st_size + 50, hard))
    try:
        with pytest.raises(OSError, match="large") as caught:
            journal.append(episode(k) for k in range(2, 40))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG
    again = Journal(folder, ROW)
    assert_reads(again, 0, 2)
    again.cut(2)
    again.append([episode(2)])
    assert_reads(again, 0, 3)


def test_a_deleted_journal_is_gone_and_deleting_twice_is_no_error(folder):
    written(folder, 5)
    delete(folder)
    delete(folder)
    assert not folder.exists()
