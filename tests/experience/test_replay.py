"""The replay behaves as a list of the last episodes, sampled without replacement."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from macpf.envs.base import EnvSpec
from macpf.experience.batch import EpisodeBatch
from macpf.experience.replay import Replay

TINY = EnvSpec(n_agents=2, n_actions=3, obs_dim=1, state_dim=2, episode_limit=40, score="return")
PER_OBSERVATION = ("obs", "state", "available")
PADDING = {"available": True}


class ListOfEpisodes:
    """The naive model: unpadded episodes in a list, each known by the number in its state."""

    def __init__(self, capacity: int) -> None:
        self.capacity, self.episodes = capacity, []

    def add(self, batch: EpisodeBatch) -> None:
        for b in range(batch.size):
            L = int(batch.filled[b].sum())
            episode = {n: x[b, : L + (n in PER_OBSERVATION)].clone() for n, x in batch.tensors()}
            self.episodes = [*self.episodes, episode][-self.capacity :]

    def numbers(self) -> list[int]:
        return [number(episode["state"]) for episode in self.episodes]

    def padded(self, numbers: list[int]) -> dict[str, torch.Tensor]:
        wanted = [self.episodes[self.numbers().index(n)] for n in numbers]
        T = max(len(episode["reward"]) for episode in wanted)
        fields = {}
        for name in wanted[0]:
            rows = []
            for episode in wanted:
                played = episode[name]
                missing = T + (name in PER_OBSERVATION) - len(played)
                rows.append(
                    torch.cat([played, torch.full_like(played[:1], PADDING.get(name, 0)).repeat_interleave(missing, 0)])
                )
            fields[name] = torch.stack(rows)
        return fields


def number(state: torch.Tensor) -> int:
    return int(state[0, 0])


def assert_equals_list(sampled: EpisodeBatch, model: ListOfEpisodes) -> None:
    numbers = [number(state) for state in sampled.state]
    assert len(set(numbers)) == len(numbers)
    expected = model.padded(numbers)
    for name, tensor in sampled.tensors():
        assert tensor.dtype == expected[name].dtype, name
        assert torch.equal(tensor, expected[name]), name


@pytest.fixture(scope="module")
def numbered(ragged_batch):
    """Batches whose episodes carry their running number in the first entry of the state."""

    def make(lengths: list[int], first: int) -> EpisodeBatch:
        batch = ragged_batch(TINY, lengths, cut=[b for b in range(len(lengths)) if (first + b) % 3 == 0], seed=first)
        for b, L in enumerate(lengths):
            batch.state[b, : L + 1, 0] = first + b
        return batch

    return make


batches = st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=4), min_size=1, max_size=14)


@given(capacity=st.integers(1, 6), added=batches, seed=st.integers(0, 5))
def test_equals_a_list_of_episodes_after_every_addition(numbered, capacity, added, seed):
    replay, model, count = Replay(capacity, seed), ListOfEpisodes(capacity), 1
    sizes = np.random.default_rng(seed)
    for lengths in added:
        batch = numbered(lengths, count)
        count += len(lengths)
        replay.add(batch)
        model.add(batch)
        assert len(replay) == len(model.episodes)
        everything = replay.sample(len(replay))
        assert sorted(number(state) for state in everything.state) == model.numbers()
        assert_equals_list(everything, model)
        assert_equals_list(replay.sample(int(sizes.integers(1, len(replay) + 1))), model)


@given(capacity=st.integers(1, 5), before=batches, after=batches)
def test_a_loaded_replay_goes_on_as_the_saved_one(numbered, through_a_file, capacity, before, after):
    one, other, count = Replay(capacity, seed=1), Replay(capacity, seed=2), 1
    for lengths in before:
        one.add(numbered(lengths, count))
        count += len(lengths)
    one.sample(len(one))
    other.load_state_dict(through_a_file(one.state_dict()))
    for lengths in after:
        for replay in (one, other):
            replay.add(numbered(lengths, count))
        count += len(lengths)
        for size in (1, len(one)):
            for (name, here), (_, there) in zip(one.sample(size).tensors(), other.sample(size).tensors(), strict=True):
                assert torch.equal(here, there), name


def test_an_empty_replay_survives_saving(numbered, through_a_file):
    loaded = Replay(4, seed=0)
    loaded.load_state_dict(through_a_file(Replay(4, seed=0).state_dict()))
    assert len(loaded) == 0
    loaded.add(numbered([2, 3], 1))
    assert sorted(number(state) for state in loaded.sample(2).state) == [1, 2]


def test_the_ring_wraps_around_without_growing(numbered):
    """Episodes of 9 rows in a ring of 64: seven fit, so six stay while ninety pass through."""
    replay, model = Replay(6, seed=0), ListOfEpisodes(6)
    for k in range(1, 91):
        for memory in (replay, model):
            memory.add(numbered([8], k))
        assert_equals_list(replay.sample(len(replay)), model)
    assert replay.n_rows == 64


def test_the_ring_grows_when_longer_episodes_come(numbered):
    replay, model = Replay(5, seed=0), ListOfEpisodes(5)
    for k, length in enumerate([3] * 20 + [40] * 7 + [1] * 9, start=1):
        for memory in (replay, model):
            memory.add(numbered([length], k))
        assert_equals_list(replay.sample(len(replay)), model)
    assert replay.n_rows >= 5 * 41


def test_memory_is_taken_for_what_was_played_only(numbered):
    """100 episodes of one step take 200 rows; padded to the longest possible episode they would take 4100."""
    replay = Replay(100, seed=0)
    for k in range(1, 201):
        replay.add(numbered([1], k))
    assert replay.n_rows <= 2 * 200


def test_sampling_is_uniform(numbered):
    replay = Replay(5, seed=0)
    for k in range(1, 8):  # 1 and 2 are pushed out
        replay.add(numbered([1 + k % 3], k))
    draws = 3000
    drawn = np.concatenate([[number(state) for state in replay.sample(2).state] for _ in range(draws)])
    counts = np.bincount(drawn, minlength=8)
    assert counts[:3].sum() == 0
    p = 2 / 5
    assert np.abs(counts[3:] - draws * p).max() < 5 * np.sqrt(draws * p * (1 - p))


def test_the_same_seed_samples_the_same(numbered):
    one, other, third = Replay(5, seed=3), Replay(5, seed=3), Replay(5, seed=4)
    for replay in (one, other, third):
        replay.add(numbered([1, 2, 3, 4, 5], 1))
    drawn = [[number(s) for _ in range(10) for s in replay.sample(2).state] for replay in (one, other, third)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_more_episodes_than_there_are_cannot_be_sampled(numbered):
    replay = Replay(5, seed=0)
    replay.add(numbered([1, 2], 1))
    with pytest.raises(ValueError, match="larger sample"):
        replay.sample(3)


def test_a_sample_is_a_copy(numbered):
    replay = Replay(1, seed=0)
    replay.add(numbered([3], 1))
    replay.sample(1).reward.fill_(77.0)
    assert not (replay.sample(1).reward == 77.0).any()


def test_whatever_lies_in_the_padding_of_an_added_batch_is_ignored(numbered):
    clean, dirty = numbered([2, 5, 1], 1), numbered([2, 5, 1], 1)
    for name, tensor in dirty.tensors():
        for b, L in enumerate([2, 5, 1]):
            if name != "filled":
                tensor[b, L + (name in PER_OBSERVATION) :] = 1 if name != "available" else False
    replay, model = Replay(3, seed=0), ListOfEpisodes(3)
    replay.add(dirty)
    model.add(clean)
    assert_equals_list(replay.sample(3), model)


@pytest.mark.parametrize("last", [14, 15, 16, 17])
def test_a_ring_filled_to_the_last_row_loses_nothing(numbered, last):
    """Three episodes of 16 rows and one of 15, 16, 17 or 18, in a ring of 64."""
    replay, model = Replay(4, seed=0), ListOfEpisodes(4)
    for k, length in enumerate([15, 15, 15, last, 15, last, 1, 30], start=1):
        for memory in (replay, model):
            memory.add(numbered([length], k))
        assert_equals_list(replay.sample(len(replay)), model)
