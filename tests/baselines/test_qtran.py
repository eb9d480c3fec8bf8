"""QTRAN-base: a free joint value, and utilities whose sum touches it at the greedy joint action only."""

import copy
from dataclasses import replace

import pytest
import torch

from macpf.experience.batch import EpisodeBatch
from macpf.learning.schedules import Clock


@pytest.mark.parametrize("recurrent", [True, False], ids=["recurrent", "feed-forward"])
@pytest.mark.parametrize("td_lambda", [0.0, 0.6])
def test_losses_and_gradients_equal_the_formulas_written_out(
    make_value_based, batch, slow_goals, assert_gradients_of_last_update, recurrent, td_lambda
):
    """L_td, L_opt at the greedy joint action and L_nopt at the played one, row by row."""
    learner = make_value_based("qtran", recurrent=recurrent, td_lambda=td_lambda)
    for parameter in learner.live["mixer"].parameters():
        parameter.data.mul_(3.0)  # so that the joint values differ more than the sums of utilities
    live, target, inputs = copy.deepcopy(learner.live), learner.target, learner.inputs_of(batch)
    h, _ = live["agents"].trunk(inputs, batch.sizes)
    q = live["agents"].head(h)

    def joint(mixer, h, actions, r):
        g = sum(mixer.encode(torch.cat([h[r, i], torch.eye(4)[a]])) for i, a in enumerate(actions))
        return mixer.q(torch.cat([batch.state[r], g])).squeeze()

    greedy = [
        [max((a for a in range(4) if batch.available[r, i, a]), key=lambda a: q[r, i, a].item()) for i in range(3)]
        for r in range(len(q))
    ]
    with torch.no_grad():
        target_h, _ = target["agents"].trunk(inputs, batch.sizes)
        value = torch.stack([joint(target["mixer"], target_h, a, r) for r, a in enumerate(greedy)])
    goal = slow_goals(batch, value, gamma=0.9, lambda_=td_lambda)
    td, opt, nopt, below = 0.0, 0.0, 0.0, 0
    for r in batch.filled.nonzero().flatten().tolist():
        played, v = batch.actions[r].tolist(), live["mixer"].v(batch.state[r]).squeeze()
        td = td + (joint(live["mixer"], h, played, r) - goal[r]) ** 2 / 12
        best = sum(q[r, i, a] for i, a in enumerate(greedy[r]))
        opt = opt + (best - joint(live["mixer"], h, greedy[r], r).detach() + v) ** 2 / 12
        error = sum(q[r, i, a] for i, a in enumerate(played)) - joint(live["mixer"], h, played, r).detach() + v
        if error < 0:
            below += 1
            nopt = nopt + 0.1 * error**2 / 12
    assert 0 < below < 12  # both sides of the minimum are met
    metrics = learner.learn(batch, Clock())
    losses = {name: metrics[f"train/loss/{name}"].item() for name in ("td", "opt", "nopt")}
    assert losses == pytest.approx({"td": td.item(), "opt": opt.item(), "nopt": nopt.item()}, rel=1e-4)
    assert_gradients_of_last_update(td + opt + nopt, learner.live, list(live.parameters()))


def test_only_the_td_loss_moves_the_joint_value(make_value_based, batch):
    learner = make_value_based("qtran")
    joint = [*learner.live["mixer"].encode.parameters(), *learner.live["mixer"].q.parameters()]
    for name, loss in learner.losses(batch).items():
        grads = torch.autograd.grad(loss, joint, retain_graph=True, allow_unused=True)
        assert any(g is not None and bool((g != 0).any()) for g in grads) is (name == "td")


def test_its_constraints_hold_at_its_optimum(make_value_based, sizes):
    """A game of two agents with two actions, all joint actions equally often: sum Q_i + V touches Q at the greedy
    joint action and lies above it elsewhere, although the payoff is not additive."""
    payoff = torch.tensor([[8.0, -12.0], [-12.0, 0.0]])
    two = replace(sizes, n_agents=2, n_actions=2)
    learner = make_value_based("qtran", sizes=two, recurrent=False, lr=3e-3, hidden_dim=32, embed_dim=32)
    actions = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
    batch = EpisodeBatch(
        sizes=(4,),
        obs=torch.ones(4, 2, two.obs_dim),
        state=torch.ones(4, two.state_dim),
        available=torch.ones(4, 2, 2, dtype=torch.bool),
        actions=actions,
        reward=payoff[actions[:, 0], actions[:, 1]],
        terminated=torch.ones(4),
        filled=torch.ones(4),
    )
    for step in range(2500):
        learner.optimiser.rule.param_groups[0]["lr"] = 3e-3 * (1 - step / 2500)
        learner.learn(batch, Clock())
    losses = learner.losses(batch)
    assert losses["td"] < 0.1
    assert losses["opt"] < 0.1
    assert losses["nopt"] < 0.01
    q, _ = learner.live["agents"](learner.inputs_of(batch), batch.sizes)
    transformed, _ = learner.joint_value(learner.live["mixer"], q, actions, batch)
    assert q[0].argmax(dim=-1).tolist() == [0, 0]
    assert transformed[0].item() == pytest.approx(8.0, abs=0.5)
    assert (transformed >= batch.reward - 0.5).all()
