"""QPLEX: double Q-learning of a duplex mixture, which has all of IGM."""

import copy
import itertools
from dataclasses import replace

import pytest
import torch

from macpf.learning.networks import pick
from macpf.learning.schedules import Clock


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"td_lambda": 0.6},
        {"recurrent": False},
        {"n_heads": 0},
        {"weighted_heads": True, "attention_cost": 0.5},
        {"weighted_heads": True, "values_in_keys": True, "attention_cost": 0.5},
    ],
    ids=str,
)
def test_losses_and_gradients_equal_double_q_learning_written_out(
    make_value_based, batch, slow_values, slow_goals, assert_gradients_of_last_update, settings
):
    """The mixer's formula by its parts, which tests/learning/test_attention.py holds against loops of their own."""
    learner = make_value_based("qplex", **settings)
    live = copy.deepcopy(learner.live)
    q, _ = live["agents"](learner.inputs_of(batch), batch.sizes)

    def weights_of(mixer, chosen, r):
        if mixer.attention is None:
            return mixer.weights(batch.state[r][None]).abs() + 1e-10, 0.0
        features = batch.obs[r]
        if learner.live["mixer"].values_in_keys:
            features = torch.cat([features, torch.stack(chosen).detach()[:, None]], dim=1)
        return mixer.attention(batch.state[r][None], features[None])

    def joint(mixer, q, actions, r):
        chosen = [q[r, i, a] for i, a in enumerate(actions)]
        best = [max(q[r, i, a].item() for a in range(4) if batch.available[r, i, a]) for i in range(3)]
        weights, _ = weights_of(mixer, chosen, r)
        one_hot = torch.zeros(12)
        for i, a in enumerate(actions):
            one_hot[4 * i + a] = 1.0
        lambdas = mixer.kernels(batch.state[r][None], one_hot[None])
        total = mixer.value(batch.state[r]).squeeze()
        for i in range(3):
            advantage = weights[0, i] * (chosen[i] - best[i])
            total = total + weights[0, i] * chosen[i] + (lambdas[0, i] - 1) * advantage.detach()
        return total

    goal = slow_goals(batch, slow_values(learner, q, batch, joint), gamma=0.9, lambda_=learner.td_lambda)
    td, regulariser, rows = 0.0, 0.0, range(len(batch.reward))
    for r in rows:
        actions = batch.actions[r].tolist()
        td = td + batch.filled[r] * (joint(live["mixer"], q, actions, r) - goal[r]) ** 2 / batch.filled.sum()
        chosen = [q[r, i, a] for i, a in enumerate(actions)]
        regulariser = regulariser + batch.filled[r] * weights_of(live["mixer"], chosen, r)[1] / batch.filled.sum()
    cost = learner.attention_cost * regulariser
    metrics = learner.learn(batch, Clock())
    assert metrics["train/loss/td"].item() == pytest.approx(td.item(), rel=1e-4)
    assert metrics["train/loss/mixer"].item() == pytest.approx(torch.as_tensor(cost).item(), rel=1e-4)
    assert_gradients_of_last_update(td + cost, learner.live, list(live.parameters()))


@pytest.mark.parametrize("settings", [{}, {"n_heads": 0}, {"weighted_heads": True}], ids=str)
@pytest.mark.parametrize("feature_dim", [0, 2])
def test_individual_and_global_maxima_agree(make_value_based, sizes, ragged_batch, settings, feature_dim):
    """Among all joint actions of available ones, Q_tot is greatest where each agent's Q_i is."""
    learner = make_value_based("qplex", sizes=replace(sizes, agent_feature_dim=feature_dim), **settings)
    one = ragged_batch(sizes, [40])
    rows = len(one.reward)
    q = 3 * torch.randn(rows, 3, 4, generator=torch.Generator().manual_seed(1))
    joint_actions = list(itertools.product(range(4), repeat=3))
    values = torch.full((rows, len(joint_actions)), -torch.inf)
    for k, actions in enumerate(joint_actions):
        chosen = torch.tensor(actions).expand(rows, -1)
        joint, _ = learner.joint_value(learner.live["mixer"], q, chosen, one)
        allowed = pick(one.available, chosen).all(dim=-1)
        values[allowed, k] = joint.detach()[allowed]
    best = q.masked_fill(~one.available, -torch.inf).argmax(dim=-1)
    assert [joint_actions[k] for k in values.argmax(dim=-1)] == [tuple(actions) for actions in best.tolist()]
    assert values[values > -torch.inf].std() > 0.1


def test_the_attention_cost_weighs_its_regulariser(make_value_based, batch):
    without, with_cost = (make_value_based("qplex", attention_cost=cost).losses(batch) for cost in (0.0, 0.5))
    assert without["mixer"] == 0
    assert with_cost["mixer"] > 0
    torch.testing.assert_close(with_cost["td"], without["td"])


def test_values_in_keys_reach_the_weights_but_take_no_gradient(make_value_based, batch):
    learner = make_value_based("qplex", values_in_keys=True)
    q = torch.randn(len(batch.reward), 3, 4, generator=torch.Generator().manual_seed(1)).requires_grad_()
    mixer = learner.live["mixer"]
    weights = [mixer._weights(pick(x, batch.actions), batch.state, batch.obs)[0] for x in (q, q + 5 * q.sign())]
    assert (weights[0] - weights[1]).abs().max() > 1e-3
    assert torch.autograd.grad(weights[0].sum(), q, allow_unused=True) == (None,)
