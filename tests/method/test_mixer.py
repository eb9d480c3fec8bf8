"""The mixer is the two-layer hypernetwork mixer without a non-linearity."""

import pytest
import torch

from macpf.method.mixer import LinearMixer

N, S = 3, 4


@pytest.fixture
def mixer():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LinearMixer(S, N, embed_dim=5, hypernet_dim=6).double()


@pytest.fixture
def random():
    generator = torch.Generator().manual_seed(1)
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_equals_the_explicit_two_layers(mixer, random):
    states, values = random(2, 7, S), random(2, 7, N)
    mixed = mixer(states)(values)
    w1, b1, w2, v = mixer.weights(states)
    for b in range(2):
        for t in range(7):
            total = v[b, t].clone()
            for e in range(5):
                hidden = b1[b, t, e] + sum(values[b, t, i] * w1[b, t, i, e] for i in range(N))
                total = total + hidden * w2[b, t, e]
            torch.testing.assert_close(mixed[b, t], total)


def test_gains_are_the_derivatives_and_never_negative(mixer, random):
    mix = mixer(10 * random(50, 4, S))
    assert (mix.gains >= 0).all()
    values = random(50, 4, N).requires_grad_()
    torch.testing.assert_close(torch.autograd.grad(mix(values).sum(), values)[0], mix.gains)


def test_linear_in_the_values(mixer, random):
    """Second differences are zero in every direction, whatever the step."""
    mix = mixer(random(20, 3, S))
    q, d, e = random(20, 3, N), 100 * random(20, 3, N), random(20, 3, N)
    second = mix(q + d + e) - mix(q + d) - mix(q + e) + mix(q)
    torch.testing.assert_close(second, torch.zeros_like(second), atol=1e-9, rtol=0)


def test_gains_depend_on_the_state(mixer, random):
    gains = mixer(random(20, 1, S)).gains
    assert gains.std(dim=0).min() > 1e-3
