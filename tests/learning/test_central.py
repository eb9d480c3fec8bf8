"""The split layer equals LayerNorm and linear layer on the joined inputs, values and gradients."""

from dataclasses import replace

import pytest
import torch

from macpf.learning.central_inputs import CentralInputs, CentralLinear

R, N, S, I, H = 6, 3, 5, 4, 7


@pytest.fixture
def layer():
    generator = torch.Generator().manual_seed(1)
    layer = CentralLinear(S, I, H).double()
    for p in layer.parameters():
        p.data = torch.randn(p.shape, generator=generator, dtype=torch.float64)
    return layer


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(2)
    return CentralInputs(
        state=3 * torch.randn(R, S, generator=generator, dtype=torch.float64) + 1,
        row=torch.arange(R).repeat_interleave(N),
        playing=(torch.arange(R * N) % 4 > 0).double(),
        own=torch.randn(R * N, I, generator=generator, dtype=torch.float64),
    )


@pytest.mark.parametrize("entries", [range(R * N), [4, 0, 17, 8, 9]], ids=["all", "some"])
def test_equals_the_layer_on_joined_inputs(layer, inputs, entries):
    entries = torch.tensor(list(entries))
    joined = torch.cat([inputs.state[inputs.row] * inputs.playing.unsqueeze(1), inputs.own], dim=1)[entries]
    expected = layer.linear(layer.norm(joined))
    actual = layer(inputs[entries])
    torch.testing.assert_close(actual, expected)
    weights = torch.randn(expected.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    one, other = (torch.autograd.grad((weights * out).sum(), list(layer.parameters())) for out in (actual, expected))
    torch.testing.assert_close(one, other)
    assert 0 < inputs.playing.mean() < 1


def test_equal_inputs_are_no_division_by_zero(layer):
    ones = CentralInputs(torch.ones(1, S), torch.zeros(1, dtype=torch.long), torch.ones(1), torch.ones(1, I))
    torch.testing.assert_close(layer.float()(ones), layer.linear(layer.norm.bias).unsqueeze(0), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("offset", [0.0, 1000.0, -3e4])
@pytest.mark.parametrize("where", ["everywhere", "state", "own"])
def test_inputs_far_from_zero_keep_their_digits_in_float32(layer, inputs, offset, where):
    """A variance as E[x^2] - E[x]^2 is wrong by 11 % at an offset of 1000. The measure: float64 with joined inputs.

    What is left are roundings of 6e-8 of numbers as large as the offset, beside deviations of about 3.
    """
    moved = replace(
        inputs,
        state=(inputs.state + offset * (where != "own")).float().double(),
        own=(inputs.own + offset * (where != "state")).float().double(),
    )
    joined = torch.cat([moved.state[moved.row] * moved.playing.unsqueeze(1), moved.own], dim=1)
    expected = layer.linear(layer.norm(joined))
    single = CentralInputs(moved.state.float(), moved.row, moved.playing.float(), moved.own.float())
    actual = layer.float()(single).double()
    assert (actual - expected).abs().max() / expected.abs().max() < 1e-5 + 1e-7 * abs(offset)
