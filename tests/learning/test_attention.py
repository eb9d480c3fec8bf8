"""The mixer of FOP, QPLEX and MACPF_ATT: the paper's equation 2, with weights from attention or equal to one."""

import math
from dataclasses import replace

import pytest
import torch

from macpf.learning.attention import DuplexMixer

N, A, R = 3, 4, 10


@pytest.fixture
def random():
    generator = torch.Generator().manual_seed(1)
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.fixture
def given_values(random, sizes):
    """Arguments of a mixer's forward pass."""
    return {
        "values": random(R, N).requires_grad_(),
        "baselines": random(R, N),
        "actions": torch.randint(A, (R, N), generator=torch.Generator().manual_seed(2)),
        "state": random(R, sizes.state_dim),
        "obs": random(R, N, sizes.obs_dim),
    }


@pytest.fixture
def make_mixer(sizes):
    def make(n_heads=2, agent_feature_dim=0, **switches):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return DuplexMixer(
                replace(sizes, agent_feature_dim=agent_feature_dim),
                embed_dim=7,
                hypernet_dim=6,
                n_heads=n_heads,
                n_kernels=3,
                **switches,
            ).double()

    return make


def slow_weights(attention, state, features):
    """w_i = sum over heads of h_k softmax_i(q_k(s) . K_k f_i / sqrt(E)), for one step; h_k = 1 or |h_k(s)|."""
    weights, squares = torch.zeros(N, dtype=torch.float64), 0.0
    for k, query in enumerate(attention.queries):
        q = query[2].weight @ (query[0].weight @ state + query[0].bias).clamp(min=0)
        E = attention.embed_dim
        key_matrix = attention.keys.weight[k * E : (k + 1) * E]
        logits = torch.stack([q @ (key_matrix @ features[i]) for i in range(N)])
        of_head = (logits / math.sqrt(E)).softmax(dim=0)
        weights = weights + (of_head if attention.heads is None else attention.heads(state)[k].abs() * of_head)
        squares = squares + logits.square().mean()
    return weights, squares


def slow_kernels(kernels, state, actions):
    """lambda_i = sum over kernels of |key(s)| sigmoid(agent_i(s)) sigmoid(action_i(s, a)), for one step."""
    one_hot = torch.zeros(N * A, dtype=torch.float64)
    for i, a in enumerate(actions.tolist()):
        one_hot[i * A + a] = 1.0
    key, agents, of_actions = kernels.key(state), kernels.agents(state), kernels.actions(torch.cat([state, one_hot]))
    return torch.stack(
        [
            sum(
                (key[k].abs() + 1e-10) * agents[k * N + i].sigmoid() * of_actions[k * N + i].sigmoid()
                for k in range(kernels.shape[0])
            )
            for i in range(N)
        ]
    )


@pytest.mark.parametrize(
    ("n_heads", "feature_dim", "switches"),
    [
        (0, 0, {}),
        (0, 0, {"state_weights": True}),
        (2, 0, {}),
        (2, 2, {}),
        (2, 2, {"weighted_heads": True}),
        (2, 0, {"values_in_keys": True}),
        (2, 2, {"values_in_keys": True, "weighted_heads": True}),
    ],
    ids=str,
)
def test_equals_the_formula_step_by_step(make_mixer, given_values, n_heads, feature_dim, switches):
    """Q_jt = sum w_i Q_i + V(s) + sum (lambda_i - 1) w_i (Q_i - V_i); features from the state if it has any."""
    mixer = make_mixer(n_heads, feature_dim, **switches)
    joint, regulariser = mixer(**given_values)
    for r in range(R):
        square, state = 0.0, given_values["state"][r]
        if feature_dim:
            features = [state[i * feature_dim : (i + 1) * feature_dim] for i in range(N)]
        else:
            features = given_values["obs"][r]
        if "values_in_keys" in switches:
            own = given_values["values"][r].detach()
            features = [torch.cat([feature, own[i, None]]) for i, feature in enumerate(features)]
        weights = torch.ones(N, dtype=torch.float64)
        if "state_weights" in switches:
            weights = mixer.weights(state).abs() + 1e-10
        if n_heads:
            weights, square = slow_weights(mixer.attention, state, features)
        lambdas = slow_kernels(mixer.kernels, state, given_values["actions"][r])
        first, _, second = mixer.value
        total = (second.weight @ (first.weight @ state + first.bias).clamp(min=0) + second.bias)[0]
        for i in range(N):
            q, v = given_values["values"][r, i], given_values["baselines"][r, i]
            total = total + weights[i] * q + (lambdas[i] - 1) * weights[i] * (q - v)
        torch.testing.assert_close(joint[r], total, atol=1e-8, rtol=1e-8)
        assert regulariser[r].item() == pytest.approx(float(torch.as_tensor(square).detach()))


@pytest.mark.parametrize("n_heads", [0, 2])
def test_the_gradient_to_an_agents_value_is_its_weight(make_mixer, given_values, n_heads):
    """The advantages' share is stopped: dQ_jt / dQ_i = w_i, whatever lambda_i is."""
    mixer = make_mixer(n_heads)
    joint, _ = mixer(**given_values)
    gradient = torch.autograd.grad(joint.sum(), given_values["values"])[0]
    for r in range(R):
        weights = torch.ones(N, dtype=torch.float64)
        if n_heads:
            weights, _ = slow_weights(mixer.attention, given_values["state"][r], given_values["obs"][r])
        torch.testing.assert_close(gradient[r], weights, atol=1e-8, rtol=1e-8)


def test_soft_values_take_no_gradient(make_mixer, given_values):
    given_values["baselines"].requires_grad_()
    joint, _ = make_mixer()(**given_values)
    assert torch.autograd.grad(joint.sum(), given_values["baselines"], allow_unused=True) == (None,)


def test_weights_are_positive_and_sum_to_the_number_of_heads(make_mixer, random, sizes):
    weights, _ = make_mixer(n_heads=2).attention(10 * random(200, sizes.state_dim), 10 * random(200, N, sizes.obs_dim))
    assert (weights > 0).all()
    torch.testing.assert_close(weights.sum(dim=-1), torch.full((200,), 2.0, dtype=torch.float64))


def test_weights_from_the_state_are_positive(make_mixer, random, sizes):
    state, obs = 10 * random(200, sizes.state_dim), 10 * random(200, N, sizes.obs_dim)
    for n_heads, switch in [(0, "state_weights"), (2, "weighted_heads")]:
        weights, _ = make_mixer(n_heads, **{switch: True})._weights(random(200, N), state, obs)
        assert (weights > 0).all()
        assert weights.sum(dim=-1).std() > 0.1


def test_lambdas_are_positive(make_mixer, random, sizes):
    actions = torch.randint(A, (200, N), generator=torch.Generator().manual_seed(2))
    joint_actions = torch.nn.functional.one_hot(actions, A).flatten(1).double()
    assert (make_mixer().kernels(5 * random(200, sizes.state_dim), joint_actions) > 0).all()


def test_with_lambda_one_the_values_decompose_as_under_igo(make_mixer, given_values, monkeypatch):
    """lambda_i = 1 leaves Q_jt = sum w_i Q_i + V(s): the greedy actions of all Q_i are then jointly best."""
    mixer = make_mixer()
    monkeypatch.setattr(mixer.kernels, "forward", lambda state, actions: torch.ones(R, N, dtype=torch.float64))
    joint, _ = mixer(**given_values)
    weights, _ = mixer.attention(given_values["state"], given_values["obs"])
    expected = (weights * given_values["values"]).sum(dim=-1) + mixer.value(given_values["state"]).squeeze(-1)
    torch.testing.assert_close(joint, expected)


def test_advantages_of_zero_leave_no_trace_of_the_kernels(make_mixer, given_values):
    """Where Q_i = V_i the correction vanishes."""
    mixer = make_mixer(n_heads=0)
    given_values["baselines"] = given_values["values"].detach()
    joint, _ = mixer(**given_values)
    expected = given_values["values"].sum(dim=-1) + mixer.value(given_values["state"]).squeeze(-1)
    torch.testing.assert_close(joint, expected)


def test_without_heads_there_is_no_attention_and_no_regulariser(make_mixer, given_values):
    mixer = make_mixer(n_heads=0)
    assert mixer.attention is None
    assert (mixer(**given_values)[1] == 0).all()


def test_a_value_of_each_agent_is_summed_and_moves_as_many_times_as_far(make_mixer, given_values):
    """The same gradient in each of N outputs: RMSprop, which divides it by its size, moves their sum N times as far."""
    mixer = make_mixer(0, state_weights=True, value_per_agent=True)
    assert mixer.value[2].out_features == N
    before = mixer(**given_values)[0].detach()
    optimiser = torch.optim.RMSprop([mixer.value[2].bias], lr=0.01, alpha=0.99, eps=0.0)
    mixer(**given_values)[0].sum().backward()
    optimiser.step()
    torch.testing.assert_close(mixer(**given_values)[0] - before, torch.full_like(before, -0.1 * N))
