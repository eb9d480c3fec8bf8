"""A checkpoint is read back whole or not at all, and the one before it stands in."""

import logging

import numpy as np
import pytest
import torch

from macpf.experience.journal import Journal
from macpf.runs import checkpoint
from macpf.runs.folder import previous

ROW = np.dtype([("reward", np.float32)])
EMPTY = {"first": 0, "added": 0}


def journal_of(path):
    return Journal(path.with_name("episodes"), ROW)


def save(path, state):
    checkpoint.save(path, state | {"replay": EMPTY}, journal_of(path))


def write_two(path):
    save(path, {"number": 1, "tensor": torch.arange(5)})
    save(path, {"number": 2, "tensor": torch.arange(7)})


def test_the_newest_is_read(tmp_path):
    write_two(tmp_path / "c.pt")
    state = checkpoint.load(tmp_path / "c.pt")
    assert state["number"] == 2
    assert torch.equal(state["tensor"], torch.arange(7))


def test_nothing_there_is_no_state(tmp_path):
    assert checkpoint.load(tmp_path / "c.pt") is None


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
        assert checkpoint.load(path)["number"] == 1
    assert ("going on from the one before" in caplog.text) == (damage != "missing")


def test_if_both_are_damaged_it_is_said_instead_of_starting_over(tmp_path):
    write_two(tmp_path / "c.pt")
    for path in (tmp_path / "c.pt", previous(tmp_path / "c.pt")):
        path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(checkpoint.Unreadable, match=r"c\.pt is damaged.*c\.previous\.pt is damaged"):
        checkpoint.load(tmp_path / "c.pt")


def test_a_file_that_would_run_code_is_not_loaded(tmp_path):
    class Evil:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    save(tmp_path / "c.pt", {"evil": Evil()})
    with pytest.raises(checkpoint.Unreadable, match="not loadable"):
        checkpoint.load(tmp_path / "c.pt")
    assert not (tmp_path / "ran").exists()


@pytest.fixture
def with_episodes(tmp_path):
    """A checkpoint that needs episodes 0 to 3, the next one 2 to 5, and two episodes after it."""
    path = tmp_path / "c.pt"
    journal = journal_of(path)
    for number, (first, added) in enumerate([(0, 4), (2, 6), (4, 8)]):
        journal.append(np.full(3, k, dtype=ROW) for k in range(journal.next, added))
        if number < 2:
            checkpoint.save(path, {"number": number + 1, "replay": {"first": first, "added": added}}, journal)
    return path


def rewards(state):
    return [int(episode["reward"][0]) for episode in state["replay"]["episodes"]]


def test_a_checkpoint_brings_its_episodes_along(with_episodes):
    state = checkpoint.load(with_episodes, journal_of(with_episodes))
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
        state = checkpoint.load(with_episodes, journal_of(with_episodes))
    assert state["number"] == 1
    assert rewards(state) == [0, 1, 2, 3]
    assert "c.pt cannot be used: episode 5 of 2 to 5" in caplog.text
    assert "going on from the one before" in caplog.text


def test_episodes_that_both_checkpoints_need_are_missed_in_one_line(with_episodes):
    damage_episode(with_episodes, 3)
    with pytest.raises(checkpoint.Unreadable, match=r"c\.pt cannot be used: .*; .*c\.previous\.pt cannot be used") as e:
        checkpoint.load(with_episodes, journal_of(with_episodes))
    assert "\n" not in str(e.value)


def test_damage_to_episodes_that_nobody_needs_any_more_is_none(with_episodes):
    damage_episode(with_episodes, 0)
    damage_episode(with_episodes, 7)
    assert rewards(checkpoint.load(with_episodes, journal_of(with_episodes))) == [2, 3, 4, 5]
