"""The GRU over rows equals PyTorch's own, sequence by sequence, values and gradients."""

import pytest
import torch
from torch import nn

from macpf.learning.recurrence import recur


@pytest.fixture
def gru():
    torch.manual_seed(0)
    return nn.GRU(5, 7).double()


def random(*shape):
    generator = torch.Generator().manual_seed(len(shape) + sum(shape))
    return torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)


def one_by_one(gru, x, sizes, start):
    """Each sequence on its own through PyTorch's GRU: states in the order of the rows, and the last ones."""
    starts = [sum(sizes[:t]) for t in range(len(sizes))]
    states, last = torch.empty(len(x), gru.hidden_size, dtype=x.dtype), []
    for m in range(sizes[0]):
        rows = [first + m for first, size in zip(starts, sizes, strict=True) if m < size]
        outputs, end = gru(x[rows], None if start is None else start[m : m + 1])
        states = states.index_copy(0, torch.tensor(rows), outputs)
        last.append(end[0])
    return states, torch.stack(last)


@pytest.mark.parametrize("sizes", [[4, 3, 3, 1], [2, 2, 2], [5], [1] * 6, [6, 1]], ids=str)
@pytest.mark.parametrize("given", [True, False], ids=["from a state", "from zeros"])
def test_equals_pytorch_in_values_and_gradients(gru, sizes, given):
    x, start = random(sum(sizes), 5), random(sizes[0], 7) if given else None
    actual, expected = recur(gru, x, sizes, start), one_by_one(gru, x, sizes, start)
    weights = [random(sum(sizes), 7).detach(), random(sizes[0], 7).detach() + 1]
    moved = [x, *gru.parameters(), *([start] if given else [])]
    gradients = [
        torch.autograd.grad(sum((w * o).sum() for w, o in zip(weights, outputs, strict=True)), moved)
        for outputs in (actual, expected)
    ]
    for one, other in zip([*actual, *gradients[0]], [*expected, *gradients[1]], strict=True):
        torch.testing.assert_close(one, other)


def test_learning_at_single_precision_equals_pytorchs_padded_gru():
    """At the size of an update: 60 steps, 64 units, and gradients that only reach the last step."""
    torch.manual_seed(0)
    gru, x = nn.GRU(64, 64), torch.randn(60, 24, 64)
    actual, _ = recur(gru, x.flatten(0, 1), [24] * 60, None)
    gradients = [
        torch.autograd.grad(last.square().sum(), list(gru.parameters())) for last in (actual[-24:], gru(x)[0][-1])
    ]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_gradients_pass_pytorchs_numerical_check(gru):
    sizes = [3, 2]
    assert torch.autograd.gradcheck(lambda x, start: recur(gru, x, sizes, start), (random(5, 5), random(3, 7)))


def test_a_step_of_play_equals_the_step_in_the_batch(gru):
    """One step at a time, as a team acts, and all at once, as it learns: the same states."""
    x = random(6, 5)
    whole, last = recur(gru, x, [3, 3], None)
    first, hidden = recur(gru, x[:3], [3], None)
    second, hidden = recur(gru, x[3:], [3], hidden)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(hidden, last)
