"""The matrix game pays its matrix, lasts one step, and refuses what is no matrix."""

import re

import numpy as np
import pytest

from macpf.envs.matrix_game import MatrixGame

P0_12 = [[8, -12, -12, -12], [-12, 0, 0, -12], [-12, 0, 0, -12], [-12, -12, -12, 8]]
TWO_BY_THREE = [[1, 2, 3], [4, 5, 6]]


def every_joint_action(rows, columns):
    return np.array([(row, column) for row in range(rows) for column in range(columns)])


@pytest.mark.parametrize("payoff", [P0_12, TWO_BY_THREE, [[7]], [[1.5], [-2.5]]])
def test_every_joint_action_is_paid_its_entry(payoff):
    rows, columns = len(payoff), len(payoff[0])
    env = MatrixGame(payoff, batch_size=rows * columns, seed=0)
    env.reset()
    reward = env.step(every_joint_action(rows, columns)).reward
    assert reward.tolist() == [entry for row in payoff for entry in row]
    assert reward.dtype == np.float32


def test_an_episode_is_over_after_one_step_and_never_cut():
    env = MatrixGame(P0_12, batch_size=3, seed=0)
    first = env.reset()
    assert not first.terminated.any()
    assert not first.truncated.any()
    assert first.reward.tolist() == [0, 0, 0]
    last = env.step(np.zeros((3, 2), dtype=int))
    assert last.terminated.all()
    assert not last.truncated.any()
    assert not env.reset().terminated.any()


def test_observations_and_state_are_constant_ones():
    env = MatrixGame(P0_12, batch_size=2, seed=0)
    for step in (env.reset(), env.step(np.array([[0, 3], [1, 2]]))):
        np.testing.assert_array_equal(step.obs, np.ones((2, 2, 1), dtype=np.float32))
        np.testing.assert_array_equal(step.state, np.ones((2, 1), dtype=np.float32))
        assert step.available.all()


def test_sizes():
    spec = MatrixGame(P0_12, batch_size=2, seed=0).spec
    assert (spec.n_agents, spec.n_actions, spec.obs_dim, spec.state_dim) == (2, 4, 1, 1)
    assert (spec.episode_limit, spec.score) == (1, "return")


@pytest.mark.parametrize(
    ("payoff", "available"),
    [
        (TWO_BY_THREE, [[True, True, False], [True, True, True]]),
        ([[1, 2], [3, 4], [5, 6]], [[True, True, True], [True, True, False]]),
        ([[1, 2, 3]], [[True, False, False], [True, True, True]]),
    ],
)
def test_the_padding_of_the_smaller_action_space_is_never_available(payoff, available):
    env = MatrixGame(payoff, batch_size=2, seed=0)
    assert env.spec.n_actions == 3
    for step in (env.reset(), env.step(np.zeros((2, 2), dtype=int))):
        assert step.available.tolist() == [available, available]


NO_MATRIX = {
    "empty": [],
    "empty row": [[]],
    "ragged": [[1, 2], [3]],
    "ragged by an empty row": [[1, 2], []],
    "vector": [1, 2],
    "number": 5,
    "cube": [[[1, 2]]],
    "word": [["a", 1], [1, 1]],
    "list as an entry": [[1, [2]], [3, 4]],
    "nan": [[1, 2], [3, float("nan")]],
    "inf": [[1, 2], [3, float("inf")]],
    "minus inf": [[1, 2], [3, -float("inf")]],
}


@pytest.mark.parametrize("payoff", NO_MATRIX.values(), ids=NO_MATRIX)
def test_what_is_no_matrix_of_finite_numbers_is_refused_with_an_example_to_type(payoff):
    message = f"map.payoff={payoff} is not a matrix of finite numbers; type e.g. map.payoff=[[8,-12],[-12,8]]"
    with pytest.raises(ValueError, match=re.escape(message)):
        MatrixGame(payoff, batch_size=1, seed=0)


def test_the_game_depends_on_nothing_but_the_actions():
    one, other = MatrixGame(P0_12, batch_size=16, seed=0), MatrixGame(P0_12, batch_size=16, seed=99)
    for _ in range(3):
        one.reset()
        actions = every_joint_action(4, 4)
        np.testing.assert_array_equal(one.step(actions).reward, other.step(actions).reward)
    other.load_state_dict(one.state_dict())
    np.testing.assert_array_equal(one.step(actions).reward, other.step(actions).reward)


def test_the_score_is_the_return():
    env = MatrixGame(P0_12, batch_size=2, seed=0)
    returns = np.array([8.0, -12.0])
    assert env.score(returns, env.reset()).tolist() == [8.0, -12.0]
