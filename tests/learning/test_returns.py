"""Lambda-returns equal the forward view, episode by episode."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from macpf.experience.batch import EpisodeBatch
from macpf.learning.returns import entropy_bonus, masked_mean, padded_mean, td_lambda

NUMBERS = st.floats(-10, 10, width=32)


@st.composite
def episodes(draw):
    """Per episode: its rewards, the values of its next states, and whether it terminates (else it is cut)."""
    L = draw(st.integers(1, 6))
    rewards, values = (draw(st.lists(NUMBERS, min_size=L, max_size=L)) for _ in range(2))
    return rewards, values, draw(st.booleans())


def batch_of(drawn):
    """Rewards and endings of episodes as a batch that has nothing else, longest episode first."""
    n_rows = [len(rewards) + (not ends) for rewards, _, ends in drawn]
    rows = [(t, b) for t in range(max(n_rows)) for b in range(len(drawn)) if t < n_rows[b]]

    def by_row(value):
        return torch.tensor([value(b, t) for t, b in rows])

    nothing = torch.zeros(len(rows), 1, 1)
    batch = EpisodeBatch(
        sizes=tuple(sum(n > t for n in n_rows) for t in range(max(n_rows))),
        obs=nothing,
        state=nothing[:, 0],
        available=nothing.bool(),
        actions=nothing[:, 0].long(),
        reward=by_row(lambda b, t: drawn[b][0][t] if t < len(drawn[b][0]) else 0.0),
        terminated=by_row(lambda b, t: float(drawn[b][2] and t == len(drawn[b][0]) - 1)),
        filled=by_row(lambda b, t: float(t < len(drawn[b][0]))),
    )
    return batch, rows


def returns_of(drawn, gamma, lambda_):
    """Lambda-returns, as a list for each episode, and those of the rows that were not played."""
    batch, rows = batch_of(drawn)
    next_value = torch.tensor([drawn[b][1][t] if t < len(drawn[b][1]) else 1000.0 for t, b in rows])
    actual = td_lambda(batch, next_value, gamma, lambda_).tolist()
    result = [[0.0] * len(rewards) for rewards, _, _ in drawn]
    for (t, b), value, filled in zip(rows, actual, batch.filled, strict=True):
        if filled:
            result[b][t] = value
        else:
            assert value == 0.0
    return result


@given(
    drawn=st.lists(episodes(), min_size=1, max_size=4),
    gamma=st.sampled_from([0.0, 0.5, 0.99, 1.0]),
    lambda_=st.sampled_from([0.0, 0.3, 0.8, 1.0]),
)
def test_equals_the_forward_view_of_every_episode(lambda_returns, drawn, gamma, lambda_):
    drawn.sort(key=lambda episode: -len(episode[0]) - (not episode[2]))
    for actual, (rewards, values, ends) in zip(returns_of(drawn, gamma, lambda_), drawn, strict=True):
        assert actual == pytest.approx(lambda_returns(rewards, values, ends, gamma, lambda_), abs=1e-3, rel=1e-5)


def returns_by_hand(terminated, lambda_):
    """Rewards 1, 2, 3, next values 10, 20, 30, gamma 1/2."""
    (returns,) = returns_of([([1.0, 2.0, 3.0], [10.0, 20.0, 30.0], bool(terminated))], 0.5, lambda_)
    return returns


@pytest.mark.parametrize(
    ("terminated", "lambda_", "by_hand"),
    [
        (1.0, 0.0, [6.0, 12.0, 3.0]),  # 1 + 10/2, 2 + 20/2, 3
        (0.0, 0.0, [6.0, 12.0, 18.0]),  # the last: 3 + 30/2
        (1.0, 1.0, [2.75, 3.5, 3.0]),  # 1 + 3.5/2, 2 + 3/2, 3
        (0.0, 1.0, [6.5, 11.0, 18.0]),  # 1 + 11/2, 2 + 18/2, 3 + 30/2
        (1.0, 0.5, [5.4375, 7.75, 3.0]),  # 1 + (10 + 7.75)/4, 2 + (20 + 3)/4, 3
        (0.0, 0.5, [6.375, 11.5, 18.0]),  # 1 + (10 + 11.5)/4, 2 + (20 + 18)/4, 18
    ],
)
def test_an_example_worked_by_hand(terminated, lambda_, by_hand):
    assert returns_by_hand(terminated, lambda_) == by_hand


def test_masked_mean_counts_only_what_the_mask_keeps():
    values, mask = torch.tensor([1.0, 2.0, 5.0, 1e6]), torch.tensor([1.0, 1.0, 1.0, 0.0])
    assert masked_mean(values, mask).item() == pytest.approx(8 / 3)


def rows(sizes, filled, terminated):
    """A batch of which only the ends matter."""
    nothing = torch.zeros(sum(sizes))
    return EpisodeBatch(sizes, *[nothing] * 5, terminated=torch.tensor(terminated), filled=torch.tensor(filled))


@pytest.mark.parametrize(
    ("sizes", "filled", "mean"),
    [
        # Lengths 2 and 1, both with the row after the end: B x T = 4; the longer one's is outside, the other's inside.
        ((2, 2, 1), [1.0, 1.0, 1.0, 0.0, 0.0], (1 + 2 + 4 + 8) / 4),
        # The longer one was cut and has such a row, the other terminated and has none.
        ((2, 1, 1), [1.0, 1.0, 1.0, 0.0], (1 + 2 + 4) / 4),
        # Nobody has one.
        ((2, 1), [1.0, 1.0, 1.0], (1 + 2 + 4) / 4),
    ],
)
def test_a_padded_mean_counts_every_step_up_to_the_longest_episodes_last(sizes, filled, mean):
    batch = rows(sizes, filled, [0.0] * sum(sizes))
    assert padded_mean(2.0 ** torch.arange(sum(sizes)), batch).item() == pytest.approx(mean)


def test_the_entropy_bonus_is_that_of_the_next_state():
    """Lengths 2 and 1, the first one cut, with the row after each end; alpha 0.5, two agents."""
    batch = rows((2, 2, 1), [1.0, 1.0, 1.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0, 0.0])
    log_prob = -torch.tensor([[1.0, 3.0], [2.0, 4.0], [0.0, 1.0], [5.0, 7.0], [8.0, 8.0]])
    assert entropy_bonus(batch, log_prob, 0.5, at_the_end=True).tolist() == [0.25, 3.0, 4.0, 0.0, 0.0]
    assert entropy_bonus(batch, log_prob, 0.5, at_the_end=False).tolist() == [0.25, 0.0, 4.0, 0.0, 0.0]
