"""A checkpoint is read back whole or not at all, and the one before it stands in."""

import logging
import os

import numpy as np
import pytest
import torch

from macpf.experience import journal as journal_module
from macpf.experience.journal import Journal
from macpf.records.files import previous
from macpf.records.owner import Foreign, Owner
from macpf.runs import checkpoint

ROW = np.dtype([("reward", np.float32)])
EMPTY = {"first": 0, "added": 0}
OWNER = Owner(key="qmix-s0", origin="0" * 32)


def journal_of(path, owner=OWNER):
    return Journal(path.with_name("episodes"), ROW, str(owner))


def save(path, state):
    checkpoint.save(path, OWNER, state | {"replay": EMPTY}, journal_of(path))


def load(path, with_episodes=False):
    return checkpoint.load(path, OWNER, (lambda owner: journal_of(path, owner)) if with_episodes else None)


def write_two(path):
    save(path, {"number": 1, "tensor": torch.arange(5)})
    save(path, {"number": 2, "tensor": torch.arange(7)})


def test_the_newest_is_read(tmp_path):
    write_two(tmp_path / "c.pt")
    state = load(tmp_path / "c.pt")
    assert state["number"] == 2
    assert torch.equal(state["tensor"], torch.arange(7))


def test_nothing_there_is_no_state(tmp_path):
    assert load(tmp_path / "c.pt") is None


@pytest.mark.parametrize("damage", ["truncated", "flipped bit", "empty", "another version", "missing"])
def test_a_damaged_file_is_noticed_and_the_previous_one_used(tmp_path, caplog, damage):
    path = tmp_path / "c.pt"
    write_two(path)
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(content[:-100])
    elif damage == "flipped bit":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "another version":
        path.write_bytes(b"MACPF-0\n" + content[8:])
    else:  # killed between the two renames
        path.unlink()
    with caplog.at_level(logging.WARNING):
        assert load(path)["number"] == 1
    assert ("going on from the one before" in caplog.text) == (damage != "missing")


def test_if_both_are_damaged_it_is_said_instead_of_starting_over(tmp_path):
    write_two(tmp_path / "c.pt")
    for path in (tmp_path / "c.pt", previous(tmp_path / "c.pt")):
        path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(checkpoint.Unreadable, match=r"c\.pt is damaged.*c\.previous\.pt is damaged"):
        load(tmp_path / "c.pt")


def test_a_file_that_would_run_code_is_not_loaded(tmp_path):
    class Evil:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    save(tmp_path / "c.pt", {"evil": Evil()})
    with pytest.raises(checkpoint.Unreadable, match="not loadable"):
        load(tmp_path / "c.pt")
    assert not (tmp_path / "ran").exists()


@pytest.fixture
def with_episodes(tmp_path):
    """A checkpoint that needs episodes 0 to 3, the next one 2 to 5, and two episodes after it."""
    path = tmp_path / "c.pt"
    journal = journal_of(path)
    for number, (first, added) in enumerate([(0, 4), (2, 6), (4, 8)]):
        journal.append(np.full(3, k, dtype=ROW) for k in range(journal.next, added))
        if number < 2:
            checkpoint.save(path, OWNER, {"number": number + 1, "replay": {"first": first, "added": added}}, journal)
    return path


def rewards(state):
    return [int(episode["reward"][0]) for episode in state["replay"]["episodes"]]


def test_a_checkpoint_brings_its_episodes_along(with_episodes):
    state = load(with_episodes, with_episodes=True)
    assert state["number"] == 2
    assert rewards(state) == [2, 3, 4, 5]


def damage_episode(path, number):
    (segment,) = path.with_name("episodes").iterdir()
    content = bytearray(segment.read_bytes())
    content[(number + 1) * len(content) // 8 - 1] ^= 1
    segment.write_bytes(content)


def test_a_checkpoint_whose_episodes_are_damaged_is_not_used(with_episodes, caplog):
    damage_episode(with_episodes, 5)
    with caplog.at_level(logging.WARNING):
        state = load(with_episodes, with_episodes=True)
    assert state["number"] == 1
    assert rewards(state) == [0, 1, 2, 3]
    assert "c.pt cannot be used: episode 5 of 2 to 5" in caplog.text
    assert "going on from the one before" in caplog.text


def test_episodes_that_both_checkpoints_need_are_missed_in_one_line(with_episodes):
    damage_episode(with_episodes, 3)
    with pytest.raises(checkpoint.Unreadable, match=r"c\.pt cannot be used: .*; .*c\.previous\.pt cannot be used") as e:
        load(with_episodes, with_episodes=True)
    assert "\n" not in str(e.value)


def test_damage_to_episodes_that_nobody_needs_any_more_is_none(with_episodes):
    damage_episode(with_episodes, 0)
    damage_episode(with_episodes, 7)
    assert rewards(load(with_episodes, with_episodes=True)) == [2, 3, 4, 5]


def test_a_checkpoint_of_another_owner_is_refused_with_both_names(tmp_path):
    write_two(tmp_path / "c.pt")
    other = Owner(key="qmix-s1", origin="1" * 32)
    with pytest.raises(Foreign, match=r"c\.pt belongs to the run qmix-s0@00000000, not to qmix-s1@11111111"):
        checkpoint.load(tmp_path / "c.pt", other)
    assert checkpoint.load(tmp_path / "c.pt", None)["owner"] == OWNER


def test_episodes_of_another_owner_are_refused_with_both_names(with_episodes):
    segments = list(with_episodes.with_name("episodes").iterdir())
    other = Owner(key="qmix-s0", origin="1" * 32)
    content = segments[0].read_bytes().replace(str(OWNER).encode(), str(other).encode(), 1)
    segments[0].write_bytes(content)
    with pytest.raises(Foreign, match=r"belongs to the run qmix-s0@11111111, not to qmix-s0@00000000"):
        load(with_episodes, with_episodes=True)


def test_episodes_reach_the_disk_before_the_checkpoint_that_needs_them(tmp_path, monkeypatch):
    """Power may be cut at any moment: what is not synced then is lost, whatever its name."""
    path, journal = tmp_path / "c.pt", journal_of(tmp_path / "c.pt")
    journal.append(np.full(3, k, dtype=ROW) for k in range(4))
    synced, fsync, replace = set(), os.fsync, os.replace

    def noted_fsync(file):
        number = file if isinstance(file, int) else file.fileno()
        synced.add(os.path.realpath(f"/proc/self/fd/{number}"))
        fsync(file)

    def noted_replace(old, new):
        if os.path.basename(new) == "c.pt":
            (segment,) = path.with_name("episodes").iterdir()
            assert {str(segment), str(segment.parent), str(old)} <= synced
        replace(old, new)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    checkpoint.save(path, OWNER, {"replay": {"first": 0, "added": 4}}, journal)
    assert str(tmp_path) in synced  # the new name, too


def test_every_checkpoint_and_the_one_before_it_keep_their_episodes(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_module, "SEGMENT", 40)  # a new one after each episode or two
    path, journal, added, capacity = tmp_path / "c.pt", journal_of(tmp_path / "c.pt"), 0, 5
    deleted = 0
    for number in range(30):
        new = 1 + number % 4
        journal.append(np.full(3, k, dtype=ROW) for k in range(added, added + new))
        added += new
        first = max(added - capacity, 0)
        checkpoint.save(path, OWNER, {"replay": {"first": first, "added": added}}, journal)
        for kept in (path, previous(path)):
            if kept.exists():
                replay = checkpoint.load(kept, OWNER, lambda owner: journal_of(path, owner))["replay"]
                assert [int(episode["reward"][0]) for episode in replay["episodes"]] == list(
                    range(replay["first"], replay["added"])
                )
        begins = min(int(segment.stem) for segment in path.with_name("episodes").iterdir())
        deleted = max(deleted, begins)
    assert deleted > 60  # what nobody needs any more does go
