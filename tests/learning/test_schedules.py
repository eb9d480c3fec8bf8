"""Schedules pass through the paper's values, and the clock survives saving."""

import pytest
from pydantic import ValidationError

from macpf.learning.schedules import Clock, Schedule


def geometric(end):
    return Schedule(start=1.0, end=end, per="episodes", duration=None, factor=0.999)


@pytest.mark.parametrize(("end", "reached"), [(0.5, 693), (0.01, 4603)])
def test_the_matrix_games_geometric_fall_reaches_its_end_at_the_right_episode(end, reached):
    schedule = geometric(end)
    assert schedule(Clock(episodes=0)) == 1.0
    assert schedule(Clock(episodes=1)) == pytest.approx(0.999)
    assert schedule(Clock(episodes=reached - 1)) > end
    assert schedule(Clock(episodes=reached)) == end
    assert schedule(Clock(episodes=10**6)) == end


@pytest.mark.parametrize(
    ("env_steps", "value"), [(0, 0.5), (1, 0.5 - 0.45 / 200_000), (100_000, 0.275), (200_000, 0.05), (10**7, 0.05)]
)
def test_smacs_temperature_falls_in_a_straight_line(env_steps, value):
    schedule = Schedule(start=0.5, end=0.05, per="env_steps", duration=200_000, factor=None)
    assert schedule(Clock(env_steps=env_steps, episodes=123)) == pytest.approx(value, abs=1e-12)


def test_each_schedule_reads_its_own_counter():
    clock = Clock(env_steps=5, episodes=10, updates=99)
    line = {"start": 0.0, "end": 10.0, "duration": 10, "factor": None}
    assert Schedule(per="env_steps", **line)(clock) == 5.0
    assert Schedule(per="episodes", **line)(clock) == 10.0


def test_equal_ends_mean_a_constant():
    schedule = Schedule(start=0.001, end=0.001, per="env_steps", duration=1, factor=None)
    assert [schedule(Clock(env_steps=n)) for n in (0, 1, 10**6)] == [0.001] * 3


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"duration": None}, "duration"),
        ({"factor": 0.9}, "factor"),
        ({"duration": None, "factor": 1.0}, "factor=1.0"),
        ({"duration": None, "factor": 0.0}, "factor=0.0"),
        ({"duration": None, "factor": 0.9, "start": 0.1}, "end=0.5 is above start=0.1"),
        ({"start": -1.0}, "start"),
        ({"duration": 0}, "duration"),
        ({"per": "minutes"}, "per"),
        ({"speed": 3}, "speed"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(wrong, said):
    with pytest.raises(ValidationError, match=said):
        Schedule(**({"start": 1.0, "end": 0.5, "per": "episodes", "duration": 10, "factor": None} | wrong))


def test_the_clock_survives_saving():
    clock = Clock()
    clock.load_state_dict(Clock(env_steps=1, episodes=2, updates=3).state_dict())
    assert clock == Clock(env_steps=1, episodes=2, updates=3)
