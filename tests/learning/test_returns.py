"""Lambda-returns equal the forward view, episode by episode."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from macpf.learning.returns import masked_mean, td_lambda

NUMBERS = st.floats(-10, 10, width=32)


@st.composite
def episodes(draw):
    """Per episode: its rewards, the values of its next states, and whether it terminates (else it is cut)."""
    L = draw(st.integers(1, 6))
    rewards, values = (draw(st.lists(NUMBERS, min_size=L, max_size=L)) for _ in range(2))
    return rewards, values, draw(st.booleans())


def padded(rows, T, fill=0.0):
    return torch.tensor([[*row, *[fill] * (T - len(row))] for row in rows])


@given(
    drawn=st.lists(episodes(), min_size=1, max_size=4),
    gamma=st.sampled_from([0.0, 0.5, 0.99, 1.0]),
    lambda_=st.sampled_from([0.0, 0.3, 0.8, 1.0]),
    padding=st.integers(0, 2),
)
def test_equals_the_forward_view_of_every_episode(lambda_returns, drawn, gamma, lambda_, padding):
    T = max(len(rewards) for rewards, _, _ in drawn) + padding
    actual = td_lambda(
        reward=padded([r for r, _, _ in drawn], T),
        next_value=padded([v for _, v, _ in drawn], T, fill=1000.0),
        terminated=padded([[0.0] * (len(r) - 1) + [float(ends)] for r, _, ends in drawn], T),
        filled=padded([[1.0] * len(r) for r, _, _ in drawn], T),
        gamma=gamma,
        lambda_=lambda_,
    )
    expected = padded([lambda_returns(r, v, ends, gamma, lambda_) for r, v, ends in drawn], T)
    torch.testing.assert_close(actual, expected, atol=1e-3, rtol=1e-5)
    assert (actual[expected.new_tensor([[t >= len(r) for t in range(T)] for r, _, _ in drawn]).bool()] == 0).all()


def returns_by_hand(terminated, lambda_):
    """Rewards 1, 2, 3, next values 10, 20, 30, gamma 1/2, one step of padding."""
    return td_lambda(
        reward=torch.tensor([[1.0, 2.0, 3.0, 0.0]]),
        next_value=torch.tensor([[10.0, 20.0, 30.0, 40.0]]),
        terminated=torch.tensor([[0.0, 0.0, terminated, 0.0]]),
        filled=torch.tensor([[1.0, 1.0, 1.0, 0.0]]),
        gamma=0.5,
        lambda_=lambda_,
    ).tolist()[0]


@pytest.mark.parametrize(
    ("terminated", "lambda_", "by_hand"),
    [
        (1.0, 0.0, [6.0, 12.0, 3.0, 0.0]),  # 1 + 10/2, 2 + 20/2, 3
        (0.0, 0.0, [6.0, 12.0, 18.0, 0.0]),  # the last: 3 + 30/2
        (1.0, 1.0, [2.75, 3.5, 3.0, 0.0]),  # 1 + 3.5/2, 2 + 3/2, 3
        (0.0, 1.0, [6.5, 11.0, 18.0, 0.0]),  # 1 + 11/2, 2 + 18/2, 3 + 30/2
        (1.0, 0.5, [5.4375, 7.75, 3.0, 0.0]),  # 1 + (10 + 7.75)/4, 2 + (20 + 3)/4, 3
        (0.0, 0.5, [6.375, 11.5, 18.0, 0.0]),  # 1 + (10 + 11.5)/4, 2 + (20 + 18)/4, 18
    ],
)
def test_an_example_worked_by_hand(terminated, lambda_, by_hand):
    assert returns_by_hand(terminated, lambda_) == by_hand


def test_masked_mean_counts_only_what_the_mask_keeps():
    values, mask = torch.tensor([[1.0, 2.0], [5.0, 1e6]]), torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    assert masked_mean(values, mask).item() == pytest.approx(8 / 3)
