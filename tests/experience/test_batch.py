"""A batch knows its sizes and how many of its observations have a value."""

import pytest
import torch


@pytest.mark.parametrize(
    ("lengths", "cut", "padding", "steps"),
    [
        ([3], [], 0, 3),  # the only episode terminates: the value of its last observation is never asked for
        ([3], [0], 0, 4),  # cut: bootstrapped from the observation after the last step
        ([3, 2], [1], 0, 3),  # the shorter one is cut, its last observation lies within the first three
        ([3, 3], [1], 0, 4),
        ([3, 3], [], 0, 3),
        ([3], [0], 2, 5),  # padded beyond the longest: all T observations are more than enough
        ([1, 1], [], 0, 1),
    ],
)
def test_valued_steps_reach_exactly_to_the_last_bootstrapped_observation(
    sizes, ragged_batch, lengths, cut, padding, steps
):
    batch = ragged_batch(sizes, lengths, cut, padding=padding)
    assert batch.valued_steps == steps
    needed = max([length + 1 for b, length in enumerate(lengths) if b in cut], default=0)
    assert batch.valued_steps >= max(needed, max(lengths))


def test_size_and_length(sizes, ragged_batch):
    batch = ragged_batch(sizes, [2, 4, 1])
    assert (batch.size, batch.length) == (3, 4)


def test_tensors_come_in_the_order_of_the_class_and_to_keeps_them(sizes, ragged_batch):
    batch = ragged_batch(sizes, [2, 4, 1])
    names = [name for name, _ in batch.tensors()]
    assert names == ["obs", "state", "available", "actions", "reward", "terminated", "filled"]
    for (_, here), (_, there) in zip(batch.tensors(), batch.to("cpu").tensors(), strict=True):
        assert torch.equal(here, there)
