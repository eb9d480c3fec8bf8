"""The replay behaves as a list of the last episodes, sampled without replacement."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from macpf.envs.base import EnvSpec
from macpf.experience.batch import EpisodeBatch
from macpf.experience.replay import Replay, most_bytes

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


def reloaded(replay: Replay, through_a_file) -> dict:
    """The state as a checkpoint and a journal give it back."""
    state = through_a_file(replay.state_dict())
    number_of = {k % replay.capacity: k for k in range(state["first"], state["added"])}
    slots = sorted(number_of, key=number_of.__getitem__)
    return state | {"episodes": [replay.episodes[slot].copy() for slot in slots]}


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


@pytest.fixture(scope="module")
def make_replay(as_episodes, as_shown):
    """Replays that take batches."""

    class Taking(Replay):
        def add(self, batch):
            super().add(as_episodes(batch))

    return lambda capacity, seed: Taking(capacity, seed, as_shown)


batches = st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=4), min_size=1, max_size=14)


@given(capacity=st.integers(1, 6), added=batches, seed=st.integers(0, 5))
def test_equals_a_list_of_episodes_after_every_addition(make_replay, numbered, capacity, added, seed):
    replay, model, count = make_replay(capacity, seed), ListOfEpisodes(capacity), 1
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
def test_a_loaded_replay_goes_on_as_the_saved_one(make_replay, numbered, through_a_file, capacity, before, after):
    one, other, count = make_replay(capacity, seed=1), make_replay(capacity, seed=2), 1
    for lengths in before:
        one.add(numbered(lengths, count))
        count += len(lengths)
    one.sample(len(one))
    other.load_state_dict(reloaded(one, through_a_file))
    for lengths in after:
        for replay in (one, other):
            replay.add(numbered(lengths, count))
        count += len(lengths)
        for size in (1, len(one)):
            for (name, here), (_, there) in zip(one.sample(size).tensors(), other.sample(size).tensors(), strict=True):
                assert torch.equal(here, there), name


def test_an_empty_replay_survives_saving(make_replay, numbered, through_a_file):
    loaded = make_replay(4, seed=0)
    loaded.load_state_dict(reloaded(make_replay(4, seed=0), through_a_file))
    assert len(loaded) == 0
    loaded.add(numbered([2, 3], 1))
    assert sorted(number(state) for state in loaded.sample(2).state) == [1, 2]


def test_a_replay_is_not_loaded_with_episodes_missing(make_replay, numbered, through_a_file):
    replay = make_replay(4, seed=0)
    replay.add(numbered([2, 3], 1))
    state = reloaded(replay, through_a_file)
    with pytest.raises(ValueError, match="1 of 2 episodes"):
        make_replay(4, seed=0).load_state_dict(state | {"episodes": state["episodes"][:1]})


def test_memory_is_taken_for_what_was_played_only(make_replay, numbered):
    """100 episodes of one step take 200 rows; padded to the longest possible episode they would take 4100."""
    replay = make_replay(100, seed=0)
    for k in range(1, 201):
        replay.add(numbered([1], k))
    assert replay.nbytes == 200 * replay.episodes[0].itemsize


def test_the_estimate_is_what_a_full_replay_of_the_longest_episodes_takes(make_replay, numbered):
    replay = make_replay(5, seed=0)
    replay.add(numbered([TINY.episode_limit] * 7, 1))
    assert replay.nbytes == most_bytes(5, TINY.episode_limit, replay.episodes[0].dtype)


def test_an_added_episode_is_a_copy(make_replay, as_episodes, numbered):
    replay = make_replay(2, seed=0)
    (episode,) = as_episodes(numbered([3], 1))
    Replay.add(replay, [episode])
    before = replay.sample(1).reward.clone()
    episode["reward"] = 77.0
    assert torch.equal(replay.sample(1).reward, before)


def test_records_are_expanded_when_sampled_and_padding_offers_every_action(make_replay):
    """The record is one number; what is seen is made from it."""

    def expand(record):
        x = record["x"]
        return np.stack([x, 2 * x], axis=-1)[..., None], -x[..., None], np.stack([x[..., None] == 3] * 2, axis=-2)

    row = np.dtype([("x", np.float32), ("reward", np.float32), ("actions", np.int16, (2,)), ("terminated", np.bool_)])
    short, long = np.zeros(2, row), np.zeros(4, row)
    short["x"], long["x"] = [3, 4], [1, 2, 3, 4]
    replay = Replay(2, 0, expand)
    replay.add([short, long])
    batch = replay.sample(2)
    b = int(batch.filled.sum(dim=1).argmin())
    assert batch.state[b, :, 0].tolist() == [-3, -4, 0, 0]
    assert batch.obs[b, :, :, 0].tolist() == [[3, 6], [4, 8], [0, 0], [0, 0]]
    assert batch.available[b, :, :, 0].tolist() == [[True] * 2, [False] * 2, [True] * 2, [True] * 2]
    assert batch.available[1 - b, :, 0, 0].tolist() == [False, False, True, False]


def test_sampling_is_uniform(make_replay, numbered):
    replay = make_replay(5, seed=0)
    for k in range(1, 8):  # 1 and 2 are pushed out
        replay.add(numbered([1 + k % 3], k))
    draws = 3000
    drawn = np.concatenate([[number(state) for state in replay.sample(2).state] for _ in range(draws)])
    counts = np.bincount(drawn, minlength=8)
    assert counts[:3].sum() == 0
    p = 2 / 5
    assert np.abs(counts[3:] - draws * p).max() < 5 * np.sqrt(draws * p * (1 - p))


def test_the_same_seed_samples_the_same(make_replay, numbered):
    one, other, third = make_replay(5, seed=3), make_replay(5, seed=3), make_replay(5, seed=4)
    for replay in (one, other, third):
        replay.add(numbered([1, 2, 3, 4, 5], 1))
    drawn = [[number(s) for _ in range(10) for s in replay.sample(2).state] for replay in (one, other, third)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_more_episodes_than_there_are_cannot_be_sampled(make_replay, numbered):
    replay = make_replay(5, seed=0)
    replay.add(numbered([1, 2], 1))
    with pytest.raises(ValueError, match="larger sample"):
        replay.sample(3)


def test_a_sample_is_a_copy(make_replay, numbered):
    replay = make_replay(1, seed=0)
    replay.add(numbered([3], 1))
    replay.sample(1).reward.fill_(77.0)
    assert not (replay.sample(1).reward == 77.0).any()
