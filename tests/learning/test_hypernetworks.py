"""The mixer's weights are the absolute values of small networks of the state."""

import torch
from torch import Tensor

from macpf.learning.hypernetworks import MixingWeights


def two_layers_by_hand(network, state: Tensor) -> Tensor:
    first, _, second = network
    return second.weight @ (first.weight @ state + first.bias).clamp(min=0) + second.bias


def test_weights_equal_the_formulas_at_every_state():
    weights = MixingWeights(state_dim=4, n_agents=3, embed_dim=5, hypernet_dim=6)
    states = torch.randn(2, 7, 4, generator=torch.Generator().manual_seed(0))
    w1, b1, w2, v = weights(states)
    assert (w1.shape, b1.shape, w2.shape, v.shape) == ((2, 7, 3, 5), (2, 7, 5), (2, 7, 5), (2, 7))
    for b in range(2):
        for t in range(7):
            s = states[b, t]
            torch.testing.assert_close(w1[b, t], two_layers_by_hand(weights.first, s).abs().view(3, 5))
            torch.testing.assert_close(b1[b, t], weights.first_bias.weight @ s + weights.first_bias.bias)
            torch.testing.assert_close(w2[b, t], two_layers_by_hand(weights.second, s).abs())
            torch.testing.assert_close(v[b, t], two_layers_by_hand(weights.value, s)[0])


def test_layer_sizes_are_pymarls():
    weights = MixingWeights(state_dim=4, n_agents=3, embed_dim=5, hypernet_dim=6)
    shapes = {name: tuple(p.shape) for name, p in weights.named_parameters() if name.endswith("weight")}
    assert shapes == {
        "first.0.weight": (6, 4),
        "first.2.weight": (15, 6),
        "first_bias.weight": (5, 4),
        "second.0.weight": (6, 4),
        "second.2.weight": (5, 6),
        "value.0.weight": (5, 4),
        "value.2.weight": (1, 5),
    }
