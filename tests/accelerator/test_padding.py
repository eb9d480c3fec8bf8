"""Rows that belong to no episode change nothing; and what follows whom is the same whoever knows the sizes."""

import pytest
import torch
from torch.testing import assert_close

from macpf.experience.packing import LEAST_ROWS, Packing, bucket, neighbours
from macpf.learning.returns import gae, padded_mean, td_lambda
from macpf.learning.schedules import Clock


def learned(algorithm, batch):
    """The metrics of an update, and the clipped gradients of its steps."""
    rule, gradients = algorithm.optimiser.rule, []
    step = rule.step

    def noting():
        gradients.append([p.grad.clone() for group in rule.param_groups for p in group["params"] if p.grad is not None])
        step()

    rule.step = noting
    return algorithm.learn(batch, Clock(env_steps=1000, episodes=100)), gradients


@pytest.mark.usefixtures("same_noise")
def test_padding_changes_neither_losses_nor_gradients_nor_parameters(case, make_learner, episodes):
    plain, padded = make_learner(case), make_learner(case)
    batch = episodes(plain)
    more = batch.padded()
    assert len(more.reward) > len(batch.reward)
    assert isinstance(more.sizes, Packing)
    before = [p.detach().clone() for p in plain.parameters()]
    (one, gradients), (other, with_padding) = learned(plain, batch), learned(padded, more)
    assert one.keys() == other.keys()
    for name in one:
        assert_close(other[name], one[name], rtol=1e-6, atol=1e-6, msg=lambda m, name=name: f"{name}: {m}")
    assert len(gradients) == len(with_padding) > 0
    for of_step, padded_of_step in zip(gradients, with_padding, strict=True):
        for gradient, padded_gradient in zip(of_step, padded_of_step, strict=True):
            assert gradient.abs().max() > 0
            assert_close(padded_gradient, gradient, rtol=0.0, atol=1e-6 * max(gradient.abs().max().item(), 1.0))
    assert any(not torch.equal(p, q) for p, q in zip(plain.parameters(), before, strict=True))


@pytest.mark.parametrize("cut", [(), (0,), (1, 3), range(5)], ids=str)
def test_a_padded_batch_knows_the_same_neighbours(ragged_batch, sizes, cut):
    batch = ragged_batch(sizes, [9, 8, 5, 3, 1], cut=cut)
    padded, R = batch.padded(), len(batch.reward)
    assert padded.size == batch.size
    assert padded.sizes.sizes() == batch.sizes
    assert padded.sizes.lengths().tolist() == [sum(n > b for n in batch.sizes) for b in range(batch.size)]
    for name in ("previous", "later"):
        own = getattr(batch, name)
        shown = torch.where(own == R, len(padded.reward), own)
        assert torch.equal(getattr(padded, name)[:R], shown)
        assert (getattr(padded, name)[R:] == len(padded.reward)).all()
    for name in ("time", "episode", "last_actions"):
        assert torch.equal(getattr(padded, name)[:R], getattr(batch, name))
    assert (padded.filled[R:] == 0).all()
    assert padded.available[R:].all()
    assert padded.terminated[R:].all()


@pytest.mark.parametrize("cut", [(), (0, 2), range(5)], ids=str)
def test_returns_along_episodes_need_no_step_for_each_time(ragged_batch, sizes, cut):
    batch = ragged_batch(sizes, [9, 8, 5, 3, 1], cut=cut)
    padded, R = batch.padded(), len(batch.reward)
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(len(padded.reward), 3, generator=generator)
    for lambda_ in (0.0, 0.8, 1.0):
        expected = td_lambda(batch, values[:R, 0], 0.99, lambda_)
        assert_close(td_lambda(padded, values[:, 0], 0.99, lambda_)[:R], expected, rtol=1e-5, atol=1e-5)
        assert (td_lambda(padded, values[:, 0], 0.99, lambda_)[R:] == 0).all()
        advantages = gae(padded, values, 0.99, lambda_)
        assert_close(advantages[:R], gae(batch, values[:R], 0.99, lambda_), rtol=1e-5, atol=1e-5)
        assert (advantages[R:] == 0).all()
    assert_close(padded_mean(values[:, 0], padded), padded_mean(values[:R, 0], batch))


def test_long_episodes_are_summed_to_single_precision(ragged_batch, sizes):
    batch = ragged_batch(sizes, [400, 200, 3])
    values = torch.zeros(len(batch.padded().reward))
    expected = td_lambda(batch, values[: len(batch.reward)], 0.99, 1.0)
    assert_close(td_lambda(batch.padded(), values, 0.99, 1.0)[: len(batch.reward)], expected, rtol=1e-5, atol=1e-5)


def test_there_are_few_buckets_and_little_waste():
    rows = range(1, 5000)
    assert all(n <= bucket(n, LEAST_ROWS) <= max(LEAST_ROWS * -(-n // LEAST_ROWS), n * 9 / 8) for n in rows)
    assert len({bucket(n, LEAST_ROWS) for n in rows if n > 1000}) <= 20


def test_a_packing_moves_with_its_batch_and_grows_with_its_agents(ragged_batch, sizes):
    batch = ragged_batch(sizes, [3, 1]).padded()
    moved = batch.to("meta")
    assert moved.sizes.starts.device.type == moved.later.device.type == "meta"
    assert batch.sizes.times(3).sizes() == tuple(3 * n for n in batch.sizes.sizes())
    assert neighbours(batch.sizes.times(2), 40).later.tolist()[:4] == [4, 5, 40, 40]
