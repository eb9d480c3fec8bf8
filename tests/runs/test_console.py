"""Lines of a log come often at first, then rarely, and more rarely still when they say nothing new."""

import itertools

import pytest

from macpf.runs import console
from macpf.runs.console import LINE_EVERY, Lines


@pytest.fixture
def times(monkeypatch):
    """When lines were printed, in seconds, of a text for each second."""

    def said(text, seconds):
        now = 0.0
        monkeypatch.setattr(console.time, "monotonic", lambda: now)
        lines, printed = Lines(), []
        while now <= seconds:
            if lines.due(text(now)):
                printed.append(now)
            now += 1.0
        return printed

    return said


def test_the_first_line_comes_at_once_and_the_next_after_ten_seconds(times):
    assert times(str, 60)[:4] == [0, 10, 20, 30]


def test_a_day_of_news_is_some_hundred_lines(times):
    printed = times(str, 24 * 3600)
    assert 100 < len(printed) < 200
    assert max(later - earlier for earlier, later in itertools.pairwise(printed)) <= 3600


def test_the_same_line_backs_off_and_news_end_that(times):
    same = times(lambda now: "queued", 24 * 3600)
    assert len(same) < 35
    assert same[:5] == [0, 10, 30, 70, 150]
    printed = times(lambda now: "queued" if now < 1000 else f"at {now}", 2000)
    after = [now for now in printed if now >= 1000]
    assert after[1] - after[0] <= 0.06 * after[0]
    assert LINE_EVERY == 10
