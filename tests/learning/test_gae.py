"""Generalised advantages equal the weighted sum of later surprises, episode by episode and agent by agent."""

import pytest
import torch

from macpf.learning.returns import gae, td_lambda


def test_an_example_worked_by_hand(sizes, ragged_batch):
    """Rewards 1 and 2, values 10, 20 and, for the second agent, 4, 8; gamma 1/2, lambda 1/2."""
    batch = ragged_batch(sizes, [2])
    batch.reward.copy_(torch.tensor([1.0, 2.0]))
    values = torch.tensor([[10.0, 4.0], [20.0, 8.0]])
    # Surprises: 1 + 10 - 10 and 2 - 20; 1 + 4 - 4 and 2 - 8. Each earlier one adds a quarter of the later.
    expected = torch.tensor([[1 - 18 / 4, 1 - 6 / 4], [-18.0, -6.0]])
    assert torch.equal(gae(batch, values, 0.5, 0.5), expected)


def test_a_cut_episode_is_continued_by_the_value_of_its_last_row(sizes, ragged_batch):
    batch = ragged_batch(sizes, [2], cut=[0])
    batch.reward.copy_(torch.tensor([1.0, 2.0, 0.0]))
    values = torch.tensor([[10.0], [20.0], [100.0]])
    # The last surprise is 2 + 50 - 20; the row behind it was not played.
    assert torch.equal(gae(batch, values, 0.5, 0.5), torch.tensor([[1 + 32 / 4], [32.0], [0.0]]))


@pytest.mark.parametrize(("gamma", "lambda_"), [(0.9, 0.95), (0.5, 0.0), (1.0, 1.0)])
@pytest.mark.parametrize(
    ("lengths", "cut"), [([5, 4, 4, 3, 1, 1], [1, 3, 5]), ([3], []), ([1, 1], [0]), ([4, 5, 2], [0])], ids=str
)
def test_equals_the_sum_of_later_surprises(sizes, ragged_batch, padded, lengths, cut, gamma, lambda_):
    n_rows = [L + (b in cut) for b, L in enumerate(lengths)]
    order = sorted(range(len(lengths)), key=lambda b: -n_rows[b])
    lengths, cut = [lengths[b] for b in order], [k for k, b in enumerate(order) if b in cut]
    batch = ragged_batch(sizes, lengths, cut=cut)
    values = torch.randn(len(batch.reward), 3, generator=torch.Generator().manual_seed(1))
    actual, v, r = (padded(batch, rows) for rows in (gae(batch, values, gamma, lambda_), values, batch.reward))
    for b, L in enumerate(lengths):
        for i in range(3):
            after = [v[b, t + 1, i] if t + 1 < L or b in cut else 0.0 for t in range(L)]
            surprise = [r[b, t] + gamma * after[t] - v[b, t, i] for t in range(L)]
            for t in range(L):
                expected = sum((gamma * lambda_) ** (k - t) * surprise[k] for k in range(t, L))
                assert actual[b, t, i].item() == pytest.approx(float(expected), abs=1e-5)
        assert (actual[b, L:] == 0).all()


def test_an_advantage_is_a_lambda_return_minus_the_value(sizes, ragged_batch):
    batch = ragged_batch(sizes, [6, 4, 4, 2], cut=[1])
    values = torch.randn(len(batch.reward), 1, generator=torch.Generator().manual_seed(1))
    returns = td_lambda(batch, batch.next(values[:, 0]), 0.9, 0.8)
    expected = (returns - values[:, 0]) * batch.filled
    torch.testing.assert_close(gae(batch, values, 0.9, 0.8)[:, 0], expected)
