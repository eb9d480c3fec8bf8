"""A batch orders its rows by time, knows each row's neighbours in time, and keeps only rows that have a value."""

import numpy as np
import pytest
import torch

from macpf.experience.recording import as_batch, row_type


@pytest.fixture
def env(scripted_env):
    return scripted_env([1], [False])


@pytest.fixture
def recorded(env):
    """Episodes in which every number tells the episode and the time."""

    def make(lengths, cut=()):
        episodes = []
        for b, length in enumerate(lengths):
            rows = np.zeros(length + 1, dtype=row_type(env))
            for t in range(length + 1):
                rows["obs"][t], rows["state"][t], rows["available"][t] = env.shown(b, t)
            rows["actions"][:-1] = np.arange(length)[:, None] % 3
            rows["reward"][:-1] = 10 * b + np.arange(length)
            rows["terminated"][length - 1] = b not in cut
            episodes.append(rows)
        return episodes

    return make


def test_rows_come_by_time_and_then_by_length(env, recorded):
    batch = as_batch(recorded([2, 3, 1]), env)
    assert batch.sizes == (3, 2, 1)
    order = [(1, 0), (0, 0), (2, 0), (1, 1), (0, 1), (1, 2)]
    for row, (b, t) in enumerate(order):
        obs, state, available = env.shown(b, t)
        np.testing.assert_array_equal(batch.obs[row], obs)
        np.testing.assert_array_equal(batch.state[row], state)
        np.testing.assert_array_equal(batch.available[row], available)
        assert batch.actions[row].tolist() == [t % 3] * 2
        assert batch.reward[row] == 10 * b + t
    assert batch.terminated.tolist() == [0, 0, 1, 0, 1, 1]
    assert batch.filled.tolist() == [1] * 6


def test_a_cut_episode_keeps_what_was_seen_after_its_last_action(env, recorded):
    batch = as_batch(recorded([2, 2], cut=[1]), env)
    assert batch.sizes == (2, 2, 1)
    np.testing.assert_array_equal(batch.state[-1], env.shown(1, 2)[1])
    assert batch.filled.tolist() == [1, 1, 1, 1, 0]
    assert batch.terminated.tolist() == [0, 0, 0, 1, 0]
    assert batch.reward[-1] == 0


def test_every_episode_keeps_what_was_seen_after_its_end_for_those_who_ask(env, recorded):
    """The terminated one too; the longest episode still comes first, and nothing else changes."""
    batch = as_batch(recorded([1, 2, 2], cut=[1]), env, after_end=True)
    assert batch.sizes == (3, 3, 2)
    ends = [(1, 2), (2, 2), (0, 1)]
    for row, (b, t) in zip((6, 7, 5), ends, strict=True):
        obs, state, available = env.shown(b, t)
        np.testing.assert_array_equal(batch.obs[row], obs)
        np.testing.assert_array_equal(batch.state[row], state)
        np.testing.assert_array_equal(batch.available[row], available)
    assert batch.filled.tolist() == [1, 1, 1, 1, 1, 0, 0, 0]
    assert batch.terminated.tolist() == [0, 0, 1, 0, 1, 0, 0, 0]
    assert batch.reward[5:].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("lengths", "cut", "n_rows"),
    [([3], [], 3), ([3], [0], 4), ([3, 2], [1], 6), ([3, 3], [1], 7), ([1, 1], [], 2), ([1, 9], [], 10)],
)
def test_there_are_as_many_rows_as_states_with_a_value(env, recorded, lengths, cut, n_rows):
    batch = as_batch(recorded(lengths, cut), env)
    assert len(batch.filled) == sum(batch.sizes) == n_rows
    assert batch.filled.sum() == sum(lengths)
    assert batch.size == len(lengths)


def test_next_and_last_actions_stay_within_the_episode(env, recorded):
    batch = as_batch(recorded([2, 3, 1], cut=[2]), env)
    at = [(1, 0), (0, 0), (2, 0), (1, 1), (0, 1), (2, 1), (1, 2)]
    following = batch.next(torch.arange(1.0, 8.0)).tolist()
    for row, (b, t) in enumerate(at):
        assert following[row] == (at.index((b, t + 1)) + 1 if (b, t + 1) in at else 0.0)
        expected = [-1, -1] if t == 0 else [(t - 1) % 3] * 2
        assert batch.last_actions[row].tolist() == expected


def test_visibility_is_there_for_those_who_ask(env, recorded):
    assert as_batch(recorded([2, 3]), env).visible is None
    visible = as_batch(recorded([2, 3]), env, visibility=True).visible
    assert visible.tolist() == [[[False, True], [True, False]]] * 5


def test_to_keeps_everything(sizes, ragged_batch):
    batch = ragged_batch(sizes, [4, 2, 1])
    moved = batch.to("cpu")
    assert moved.sizes == batch.sizes
    names = [name for name, _ in batch.tensors()]
    assert names == ["obs", "state", "available", "actions", "reward", "terminated", "filled", "visible"]
    for (_, here), (_, there) in zip(batch.tensors(), moved.tensors(), strict=True):
        assert torch.equal(here, there)
