"""What a random team and one that knows everything get: the numbers by which the paper's settings were found out."""

import numpy as np
import pytest

from macpf.envs.mpe.particles import Particles
from tests.envs.mpe.scripted import returns, scripted_actions

WORLDS = 300
#: Team, worlds' settings apart from the paper's, and returns (a hundred to 300 episodes of an independent computation).
RANDOM, MATCHED, FIXED = "random", "matched", "fixed"
KNOWN = [
    ("simple_spread", {}, RANDOM, -223.6, 13.0),
    ("simple_spread", {}, MATCHED, -109.6, 3.0),
    ("simple_spread", {"self_collision": False}, RANDOM, -148.6, 13.0),
    ("simple_spread", {"self_collision": False}, MATCHED, -34.6, 3.0),
    ("simple_spread", {"self_collision": False, "local_ratio": 0.5}, MATCHED, -17.3, 1.5),
    ("formation_control", {}, RANDOM, -57.0, 4.0),
    ("formation_control", {}, MATCHED, -11.1, 1.2),
    ("formation_control", {}, FIXED, -13.6, 1.4),
    ("line_control", {}, RANDOM, -72.0, 5.0),
    ("line_control", {}, MATCHED, -13.5, 1.2),
    ("line_control", {}, FIXED, -16.4, 1.4),
]


@pytest.mark.parametrize(("task", "settings", "team", "known", "tolerance"), KNOWN)
def test_mean_returns(task, settings, team, known, tolerance):
    """Tolerances are some three standard errors of the difference."""
    rules = {"integration": "velocity_first", "landmark_range": 0.8, "self_collision": True, "local_ratio": None}
    env = Particles(task, WORLDS, 1, 3, 25, "sum", False, **(rules | settings))
    random = np.random.default_rng(2)

    def choose(env):
        if team == RANDOM:
            return random.integers(5, size=(WORLDS, 3))
        return scripted_actions(env, team == MATCHED)

    assert returns(env, choose).mean() == pytest.approx(known, abs=tolerance)
