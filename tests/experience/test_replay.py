"""The replay behaves as a list of the last episodes, sampled without replacement."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from macpf.envs.base import EnvSpec
from macpf.experience.batch import EpisodeBatch
from macpf.experience.recording import row_type
from macpf.experience.replay import Replay, most_bytes

TINY = EnvSpec(n_agents=2, n_actions=3, obs_dim=1, state_dim=2, episode_limit=40, score="return")
RECORD = np.dtype([("obs", np.float32, (2, 1)), ("state", np.float32, (2,)), ("available", np.bool_, (2, 3))])
ENV = SimpleNamespace(
    spec=TINY, record_type=RECORD, expand=lambda record: (record["obs"], record["state"], record["available"])
)


def episode(number: int, length: int) -> np.ndarray:
    """Random, but for its number in the first entry of the state; every third is cut instead of terminated."""
    random = np.random.default_rng(number)
    rows = np.zeros(length + 1, dtype=row_type(ENV))
    rows["obs"] = random.normal(size=(length + 1, 2, 1))
    rows["state"] = random.normal(size=(length + 1, 2))
    rows["state"][:, 0] = number
    rows["available"] = random.random((length + 1, 2, 3)) < 0.5
    rows["actions"][:-1] = random.integers(3, size=(length, 2))
    rows["reward"][:-1] = random.normal(size=length)
    rows["terminated"][-2] = number % 3 != 0
    return rows


def episodes(lengths: list[int], first: int) -> list[np.ndarray]:
    return [episode(first + b, length) for b, length in enumerate(lengths)]


def numbers(batch: EpisodeBatch) -> list[int]:
    """Of the episodes in a batch, which is ordered by their lengths."""
    return [int(state[0]) for state in batch.state[: batch.size]]


def reloaded(replay: Replay, through_a_file) -> dict:
    """The state as a checkpoint and a journal give it back."""
    state = through_a_file(replay.state_dict())
    number_of = {k % replay.capacity: k for k in range(state["first"], state["added"])}
    slots = sorted(number_of, key=number_of.__getitem__)
    return state | {"episodes": [replay.episodes[slot].copy() for slot in slots]}


@pytest.fixture(scope="module")
def assert_holds(padded):
    """Assert that a batch holds different ones of these episodes, every number of them, and nothing else."""

    def check(batch: EpisodeBatch, known: dict[int, np.ndarray]) -> None:
        drawn = numbers(batch)
        assert len(set(drawn)) == len(drawn)
        fields = {name: padded(batch, tensor).numpy() for name, tensor in batch.tensors()}
        for b, number in enumerate(drawn):
            rows = known[number]
            steps = len(rows) - 1
            valued = steps + (number % 3 == 0)
            for name in rows.dtype.names:
                np.testing.assert_array_equal(fields[name][b, :valued], rows[name][:valued])
                assert not fields[name][b, valued:].any()
            np.testing.assert_array_equal(fields["filled"][b], np.arange(len(batch.sizes)) < steps)
        assert sum(batch.sizes) == sum(len(known[n]) - 1 + (n % 3 == 0) for n in drawn)

    return check


@pytest.fixture(scope="module")
def make_replay():
    return lambda capacity, seed: Replay(capacity, seed, ENV)


batches = st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=4), min_size=1, max_size=14)


@given(capacity=st.integers(1, 6), added=batches, seed=st.integers(0, 5))
def test_equals_a_list_of_episodes_after_every_addition(make_replay, assert_holds, capacity, added, seed):
    replay, model, count = make_replay(capacity, seed), {}, 1
    sizes = np.random.default_rng(seed)
    for lengths in added:
        more = episodes(lengths, count)
        model |= {count + b: rows for b, rows in enumerate(more)}
        model = dict(list(model.items())[-capacity:])
        count += len(lengths)
        replay.add(more)
        assert len(replay) == len(model)
        everything = replay.sample(len(replay))
        assert sorted(numbers(everything)) == list(model)
        assert_holds(everything, model)
        assert_holds(replay.sample(int(sizes.integers(1, len(replay) + 1))), model)


@given(capacity=st.integers(1, 5), before=batches, after=batches)
def test_a_loaded_replay_goes_on_as_the_saved_one(make_replay, through_a_file, capacity, before, after):
    one, other, count = make_replay(capacity, seed=1), make_replay(capacity, seed=2), 1
    for lengths in before:
        one.add(episodes(lengths, count))
        count += len(lengths)
    one.sample(len(one))
    other.load_state_dict(reloaded(one, through_a_file))
    for lengths in after:
        for replay in (one, other):
            replay.add(episodes(lengths, count))
        count += len(lengths)
        for size in (1, len(one)):
            for (name, here), (_, there) in zip(one.sample(size).tensors(), other.sample(size).tensors(), strict=True):
                assert torch.equal(here, there), name


def test_an_empty_replay_survives_saving(make_replay, through_a_file):
    loaded = make_replay(4, seed=0)
    loaded.load_state_dict(reloaded(make_replay(4, seed=0), through_a_file))
    assert len(loaded) == 0
    loaded.add(episodes([2, 3], 1))
    assert sorted(numbers(loaded.sample(2))) == [1, 2]


def test_a_replay_is_not_loaded_with_episodes_missing(make_replay, through_a_file):
    replay = make_replay(4, seed=0)
    replay.add(episodes([2, 3], 1))
    state = reloaded(replay, through_a_file)
    with pytest.raises(ValueError, match="1 of 2 episodes"):
        make_replay(4, seed=0).load_state_dict(state | {"episodes": state["episodes"][:1]})


def test_memory_is_taken_for_what_was_played_only(make_replay):
    """100 episodes of one step take 200 rows; padded to the longest possible episode they would take 4100."""
    replay = make_replay(100, seed=0)
    for k in range(1, 201):
        replay.add(episodes([1], k))
    assert replay.nbytes == 200 * replay.episodes[0].itemsize


def test_the_estimate_is_what_a_full_replay_of_the_longest_episodes_takes(make_replay):
    replay = make_replay(5, seed=0)
    replay.add(episodes([TINY.episode_limit] * 7, 1))
    assert replay.nbytes == most_bytes(5, TINY.episode_limit, replay.episodes[0].dtype)


def test_an_added_episode_is_a_copy(make_replay):
    replay = make_replay(2, seed=0)
    (rows,) = episodes([3], 1)
    replay.add([rows])
    before = replay.sample(1).reward.clone()
    rows["reward"] = 77.0
    assert torch.equal(replay.sample(1).reward, before)


def test_records_are_expanded_when_sampled():
    """The record is one number; what is seen is made from it."""

    def expand(record):
        x = record["x"]
        return np.stack([x, 2 * x], axis=-1)[..., None], -x[..., None], np.stack([x[..., None] == 3] * 2, axis=-2)

    row = np.dtype([("x", np.float32), ("reward", np.float32), ("actions", np.int16, (2,)), ("terminated", np.bool_)])
    short, long = np.zeros(2, row), np.zeros(4, row)
    short["x"], long["x"] = [3, 4], [1, 2, 3, 4]  # both cut: their last rows have a value
    replay = Replay(2, 0, SimpleNamespace(expand=expand))
    replay.add([short, long])
    batch = replay.sample(2)
    assert batch.state[:, 0].tolist() == [-1, -3, -2, -4, -3, -4]
    assert batch.obs[:, :, 0].tolist() == [[1, 2], [3, 6], [2, 4], [4, 8], [3, 6], [4, 8]]
    assert batch.available[:, 0, 0].tolist() == [False, True, False, False, True, False]


def test_sampling_is_uniform(make_replay):
    replay = make_replay(5, seed=0)
    for k in range(1, 8):  # 1 and 2 are pushed out
        replay.add(episodes([1 + k % 3], k))
    draws = 3000
    drawn = np.concatenate([numbers(replay.sample(2)) for _ in range(draws)])
    counts = np.bincount(drawn, minlength=8)
    assert counts[:3].sum() == 0
    p = 2 / 5
    assert np.abs(counts[3:] - draws * p).max() < 5 * np.sqrt(draws * p * (1 - p))


def test_the_same_seed_samples_the_same(make_replay):
    one, other, third = make_replay(5, seed=3), make_replay(5, seed=3), make_replay(5, seed=4)
    for replay in (one, other, third):
        replay.add(episodes([1, 2, 3, 4, 5], 1))
    drawn = [[n for _ in range(10) for n in numbers(replay.sample(2))] for replay in (one, other, third)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_more_episodes_than_there_are_cannot_be_sampled(make_replay):
    replay = make_replay(5, seed=0)
    replay.add(episodes([1, 2], 1))
    with pytest.raises(ValueError, match="larger sample"):
        replay.sample(3)


def test_a_sample_is_a_copy(make_replay):
    replay = make_replay(1, seed=0)
    replay.add(episodes([3], 1))
    replay.sample(1).reward.fill_(77.0)
    assert not (replay.sample(1).reward == 77.0).any()
