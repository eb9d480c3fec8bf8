"""Chunks are every played step of every agent exactly once, in the order in which it was played."""

import pytest
import torch

from macpf.learning.chunks import Chunks, stack_frames

LENGTHS, CUT, N = [7, 6, 6, 3, 1], [1], 3


@pytest.fixture
def batch(sizes, ragged_batch):
    return ragged_batch(sizes, LENGTHS, cut=CUT)


@pytest.fixture
def row(batch):
    """The row of an episode's step."""
    starts = [sum(batch.sizes[:t]) for t in range(len(batch.sizes))]
    return lambda b, t: starts[t] + b


def cut_slowly(batch, row, length):
    """Pieces as (entry before, entries), one by one."""
    pieces = []
    for b, L in enumerate(LENGTHS):
        for first in range(0, L, length):
            for i in range(N):
                before = row(b, first - 1) * N + i if first else len(batch.reward) * N + i
                pieces.append((before, [row(b, t) * N + i for t in range(first, min(first + length, L))]))
    return pieces


@pytest.mark.parametrize("length", [1, 2, 3, 7, 50])
def test_equal_pieces_cut_one_by_one(batch, row, length):
    chunks = Chunks.of(batch, length)
    pieces = [
        (before, [step for step in steps if step >= 0])
        for before, steps in zip(chunks.before.tolist(), chunks.steps.tolist(), strict=True)
    ]
    assert sorted(pieces) == sorted(cut_slowly(batch, row, length))
    n_steps = [len(steps) for _, steps in pieces]
    assert n_steps == sorted(n_steps, reverse=True)


def test_entries_are_ordered_by_time_in_the_piece_then_by_piece(batch):
    chunks = Chunks.of(batch, 3)
    expected = [steps[t] for t in range(3) for steps in chunks.steps.tolist() if steps[t] >= 0]
    assert chunks.entries.tolist() == expected
    assert chunks.sizes == [sum(steps[t] >= 0 for steps in chunks.steps.tolist()) for t in range(3)]


def test_chunks_longer_than_the_episodes_are_the_episodes(sizes, ragged_batch):
    """Then the order is that of the batch, agent by agent."""
    batch = ragged_batch(sizes, LENGTHS)
    chunks = Chunks.of(batch, 100)
    assert chunks.entries.tolist() == list(range(len(batch.reward) * N))
    assert chunks.sizes == [size * N for size in batch.sizes]


def test_parts_are_random_disjoint_and_complete(batch):
    chunks, generator = Chunks.of(batch, 2), torch.Generator().manual_seed(0)
    drawn = set()
    for _ in range(5):
        parts = list(chunks.deal(4, generator))
        sizes = [len(part.before) for part in parts]
        assert len(parts) == 4
        assert max(sizes) - min(sizes) <= 1
        assert sorted(torch.cat([part.entries for part in parts]).tolist()) == sorted(chunks.entries.tolist())
        for part in parts:
            assert part.sizes == sorted(part.sizes, reverse=True)
            assert sum(part.sizes) == len(part.entries)
        drawn.add(tuple(parts[0].before.tolist()))
    assert len(drawn) == 5
    assert len(list(chunks.deal(1000, generator))) == len(chunks.before)


def test_one_part_draws_no_random_number(batch):
    chunks, generator = Chunks.of(batch, 2), torch.Generator().manual_seed(0)
    before = generator.get_state()
    (part,) = chunks.deal(1, generator)
    assert part is chunks
    assert torch.equal(generator.get_state(), before)


def test_rows_before_are_those_of_the_same_episode(batch, row):
    before = batch.previous
    for b, L in enumerate(LENGTHS):
        for t in range(L + (b in CUT)):
            assert before[row(b, t)] == (row(b, t - 1) if t else len(batch.reward))


@pytest.mark.parametrize("n_frames", [1, 2, 4])
def test_frames_are_the_last_inputs_newest_of_the_past_first_and_now_at_the_end(batch, row, n_frames):
    inputs = torch.randn(len(batch.reward), N, 2, generator=torch.Generator().manual_seed(0))
    stacked = stack_frames(batch, inputs, n_frames)
    for b, L in enumerate(LENGTHS):
        for t in range(L):
            times = [t - k for k in range(1, n_frames)] + [t]
            expected = [inputs[row(b, s)] if s >= 0 else torch.zeros(N, 2) for s in times]
            assert torch.equal(stacked[row(b, t)], torch.cat(expected, dim=-1))
