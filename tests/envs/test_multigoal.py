"""The point moves only when its agents agree, is paid by where it is, and stays in its box."""

import numpy as np
import pytest

from macpf.configuration import compose
from macpf.envs.multigoal import MultiGoal, compass
from macpf.experience.recording import as_batch
from macpf.experience.rollout import Rollout
from macpf.runs.build import build
from macpf.runs.errors import ConfigError

SETTINGS = {
    **{"n_agents": 2, "directions": 4, "step": 1.0, "goal_distance": 5.0, "box": 7.0},
    **{"start_std": 0.1, "peak": 1.0, "width": 2.0, "steps": 25},
}
EAST, NORTH, WEST, SOUTH = range(4)


def game(batch_size=1, seed=0, **changes):
    return MultiGoal(batch_size=batch_size, seed=seed, **(SETTINGS | changes))


def test_the_point_moves_only_where_all_agents_want_it():
    env = game(batch_size=5, start_std=0.0)
    env.reset()
    env.step(np.array([[EAST, EAST], [NORTH, NORTH], [WEST, WEST], [SOUTH, SOUTH], [EAST, WEST]]))
    assert env.place.tolist() == [[1, 0], [0, 1], [-1, 0], [0, -1], [0, 0]]


def test_three_agents_must_all_agree():
    env = game(batch_size=2, n_agents=3, start_std=0.0)
    env.reset()
    env.step(np.array([[EAST, EAST, NORTH], [NORTH, NORTH, NORTH]]))
    assert env.place.tolist() == [[0, 0], [0, 1]]


def test_the_reward_is_a_mixture_of_gaussians_at_the_place_reached():
    env = game(start_std=0.0, peak=3.0)
    env.reset()
    reward = env.step(np.array([[EAST, EAST]])).reward
    # At (1, 0): 4 from the nearest goal, 6 from the farthest, the other two sqrt(26) away.
    expected = 3 * (np.exp(-16 / 8) + np.exp(-36 / 8) + 2 * np.exp(-26 / 8))
    np.testing.assert_allclose(reward, [expected], rtol=1e-6)
    assert env.reward_at(np.array([5.0, 0.0])) == pytest.approx(3 * (1 + np.exp(-100 / 8) + 2 * np.exp(-50 / 8)))


def test_the_box_stops_the_point_and_time_ends_the_game():
    env = game(start_std=0.0)
    step = env.reset()
    for t in range(25):
        assert not step.truncated.any()
        step = env.step(np.array([[EAST, EAST]]))
        assert env.place[0, 0] == min(t + 1, 7)
    assert step.truncated.all()
    assert not step.terminated.any()
    np.testing.assert_array_equal(step.obs, [[[1, 0], [1, 0]]])  # in units of the box
    np.testing.assert_array_equal(step.state, [[1, 0]])


def test_directions_are_spread_evenly():
    np.testing.assert_array_equal(compass(4), [[1, 0], [0, 1], [-1, 0], [0, -1]])
    eight = compass(8)
    np.testing.assert_allclose(np.linalg.norm(eight, axis=1), 1.0)
    np.testing.assert_allclose(eight[1], [np.sqrt(0.5), np.sqrt(0.5)])


def test_starts_repeat_by_seed_and_go_on_after_a_restore():
    env, other = game(batch_size=1000), game(batch_size=1000)
    np.testing.assert_array_equal(env.reset().state, other.reset().state)
    assert env.place.std(axis=0) == pytest.approx([0.1, 0.1], rel=0.1)
    saved = env.state_dict()
    first = env.reset().state
    other.load_state_dict(saved)
    np.testing.assert_array_equal(first, other.reset().state)


def test_what_was_seen_comes_back_from_the_record():
    parts = build(compose("algo=qmix", "env=multigoal"))
    env = game(batch_size=3)
    played = Rollout(env, True, "cpu").play(parts.algorithm, policy="independent")
    batch = as_batch(played.episodes, env)
    assert batch.sizes == (3,) * 26  # a game that was cut shows what came after its last step
    np.testing.assert_array_equal(batch.state[-3:], env.place / np.float32(7.0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("n_agents=0", "n_agents=0: input should be greater than 0"),
        ("directions=1", "directions=1: input should be greater than or equal to 2"),
        ("width=0", "width=0: input should be greater than 0"),
        ("peak=nan", r"peak=nan is not a finite number"),
        ("steps=abc", "steps='abc': input should be a valid integer"),
        ("box=4", "box=4.0 leaves the goals outside; use at least goal_distance=5.0"),
    ],
)
def test_what_is_no_game_is_refused_in_one_line(change, message):
    with pytest.raises(ConfigError, match=message):
        build(compose("algo=central", "env=multigoal", f"env.make.{change}"))


def test_the_picture_shows_the_point():
    env = game(start_std=0.0)
    env.reset()
    env.step(np.array([[NORTH, NORTH]]))
    red = np.argwhere((env.draw(0) == (213, 40, 0)).all(axis=-1))
    row, column = red.mean(axis=0)
    assert (row, column) == (pytest.approx(48, abs=1), pytest.approx(56, abs=1))  # one unit is 8 pixels, up is less
