"""Value normalisation equals the weighted moments of everything it was shown."""

import pytest
import torch

from macpf.learning.normalisation import ValueNorm


def test_moments_are_the_weighted_ones_of_all_batches():
    generator = torch.Generator().manual_seed(0)
    batches = [3 * torch.randn(50, 3, generator=generator) + k for k in range(6)]
    norm = ValueNorm()
    norm.BETA = 0.7  # so that the weights of the batches differ visibly
    for batch in batches:
        norm.update(batch)
    weights = torch.tensor([0.7**k for k in range(5, -1, -1)])
    weights /= weights.sum()
    means = torch.stack([batch.mean() for batch in batches])
    squares = torch.stack([batch.square().mean() for batch in batches])
    mean = (weights * means).sum()
    deviation = ((weights * squares).sum() - mean**2).sqrt()
    torch.testing.assert_close(norm.moments, (mean, deviation))
    torch.testing.assert_close(norm.normalise(batches[0]), (batches[0] - mean) / deviation)


def test_after_one_batch_its_returns_have_mean_0_and_variance_1():
    returns = 5 * torch.randn(1000, generator=torch.Generator().manual_seed(0)) - 12
    norm = ValueNorm()
    norm.update(returns)
    normalised = norm.normalise(returns)
    assert normalised.mean().item() == pytest.approx(0, abs=1e-3)
    assert normalised.std(unbiased=False).item() == pytest.approx(1, abs=1e-3)
    torch.testing.assert_close(norm.denormalise(normalised), returns)


def test_equal_returns_are_not_blown_up():
    norm = ValueNorm()
    assert norm.denormalise(torch.tensor(1.0)).item() == pytest.approx(0.1)  # nothing seen: deviation 0.1, mean 0
    norm.update(torch.full((8,), 4.0))
    assert norm.normalise(torch.tensor(4.5)).item() == pytest.approx(5, rel=1e-3)


def test_it_is_saved_and_takes_no_gradient():
    norm = ValueNorm()
    norm.update(torch.tensor([1.0, 4.0]).requires_grad_())
    other = ValueNorm()
    other.load_state_dict(norm.state_dict())
    assert torch.equal(torch.stack(other.moments), torch.stack(norm.moments))
    assert not list(norm.parameters())
    assert not norm.mean_sum.requires_grad
