"""What was submitted is read back; lines that a crash or a full disk left are named and passed over."""

import logging

import pytest

from macpf.records.submissions import NAME, Submission, note_submissions, submissions

TWO = [Submission(run="a", job="7_0"), Submission(run="b", job="7_1")]


def test_what_was_noted_is_read_in_its_order(tmp_path):
    assert submissions(tmp_path) == []
    note_submissions(tmp_path, TWO)
    note_submissions(tmp_path, [Submission(run="a", job="8_0")])
    assert submissions(tmp_path) == [*TWO, Submission(run="a", job="8_0")]


@pytest.mark.parametrize("left", [b'{"run": "c", "j', b"[]", b'{"run": 3, "job": "7"}', b'{"run": "c"}', b"\xff\x00"])
def test_a_line_that_is_no_submission_is_named_and_the_rest_goes_on(tmp_path, caplog, left):
    note_submissions(tmp_path, TWO[:1])
    with (tmp_path / NAME).open("ab") as file:
        file.write(left)
    note_submissions(tmp_path, TWO[1:])  # never joins a line that a crash cut short
    with caplog.at_level(logging.WARNING):
        assert submissions(tmp_path) == TWO
    assert f"line 2 of {tmp_path / NAME} is no submission" in caplog.text
