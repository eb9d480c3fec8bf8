"""A checkpoint is read back whole or not at all, and the one before it stands in."""

import logging

import pytest
import torch

from macpf.runs import checkpoint
from macpf.runs.folder import previous


def write_two(path):
    checkpoint.save(path, {"number": 1, "tensor": torch.arange(5)})
    checkpoint.save(path, {"number": 2, "tensor": torch.arange(7)})


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

    checkpoint.save(tmp_path / "c.pt", {"evil": Evil()})
    with pytest.raises(checkpoint.Unreadable, match="not loadable"):
        checkpoint.load(tmp_path / "c.pt")
    assert not (tmp_path / "ran").exists()
