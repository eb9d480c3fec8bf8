"""The mixer is the two-layer hypernetwork mixer without a non-linearity; the ablations' mixers are not linear."""

import pytest
import torch
from torch.nn import functional as F

from macpf.envs.base import EnvSpec
from macpf.method.mixer import AttentionMixer, LinearMixer, NonlinearMixer

N, A, S, O = 3, 2, 4, 5
SIZES = EnvSpec(N, A, O, S, episode_limit=9, score="return")


def made(mixer):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return mixer(SIZES, embed_dim=5, hypernet_dim=6).double()


@pytest.fixture
def random():
    generator = torch.Generator().manual_seed(1)
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)


def mixing(mixer, states, alpha=0.5, actions=None):
    """The mix as a function of the values [R, N] of the agents' action 0; their other action is worth 0."""
    R = len(states)
    mix = made(mixer)(states, torch.zeros(R, N, O, dtype=torch.float64))
    actions = torch.zeros(R, N, dtype=torch.long) if actions is None else actions
    return lambda values: mix(F.pad(values.unsqueeze(-1), (0, A - 1)), actions, alpha)[0]


@pytest.mark.parametrize(("mixer", "between"), [(LinearMixer, lambda h: h), (NonlinearMixer, F.elu)])
def test_equals_the_explicit_two_layers(mixer, between, random):
    states, values = random(7, S), random(7, N)
    mixed = mixing(mixer, states)(values)
    w1, b1, w2, v = made(mixer).weights(states)
    for r in range(7):
        total = v[r].clone()
        for e in range(5):
            hidden = b1[r, e] + sum(values[r, i] * w1[r, i, e] for i in range(N))
            total = total + between(hidden) * w2[r, e]
        torch.testing.assert_close(mixed[r], total)


def test_gains_are_the_derivatives_and_never_negative(random):
    states = 10 * random(200, S)
    mix = made(LinearMixer)(states, None)
    assert (mix.gains >= 0).all()
    values = random(200, N).requires_grad_()
    mixed = mixing(LinearMixer, states)(values)
    torch.testing.assert_close(torch.autograd.grad(mixed.sum(), values)[0], mix.gains)


def second_difference(mix, random):
    q, d, e = random(60, N), 100 * random(60, N), random(60, N)
    return mix(q + d + e) - mix(q + d) - mix(q + e) + mix(q)


def test_only_the_linear_mixer_is_linear_in_the_values(random):
    """Second differences are zero in every direction, whatever the step."""
    states = random(60, S)
    difference = second_difference(mixing(LinearMixer, states), random)
    torch.testing.assert_close(difference, torch.zeros_like(difference), atol=1e-9, rtol=0)
    for mixer in (NonlinearMixer, AttentionMixer):
        assert second_difference(mixing(mixer, states), random).abs().max() > 1e-2


@pytest.mark.parametrize("mixer", [NonlinearMixer, AttentionMixer])
def test_the_ablations_mixers_never_fall_as_a_value_rises(mixer, random):
    values = (5 * random(200, N)).requires_grad_()
    slopes = torch.autograd.grad(mixing(mixer, random(200, S))(values).sum(), values)[0]
    assert (slopes >= 0).all()
    assert (slopes > 0).any()


def test_only_the_attention_mixer_weighs_by_the_joint_action(random):
    """The same values for another joint action: only FOP's weights see the difference."""
    states, values = random(1, S).expand(2, -1), random(1, N).expand(2, -1)
    actions = torch.tensor([[0, 0, 0], [1, 0, 1]])
    for mixer, sees in ((LinearMixer, False), (NonlinearMixer, False), (AttentionMixer, True)):
        mix = made(mixer)(states, torch.zeros(2, N, O, dtype=torch.float64))
        one, other = mix(values.unsqueeze(-1).expand(-1, -1, A), actions, 0.5)[0]
        assert (abs(one - other).item() > 1e-6) is sees


def test_gains_depend_on_the_state(random):
    assert made(LinearMixer)(random(20, S), None).gains.std(dim=0).min() > 1e-3


def test_the_attention_has_as_many_heads_and_kernels_as_in_the_authors_code():
    duplex = made(AttentionMixer).duplex
    assert len(duplex.attention.queries) == 4
    assert duplex.kernels.shape == (4, N)
