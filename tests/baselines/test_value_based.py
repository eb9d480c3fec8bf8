"""What QMIX, VDN, QPLEX and QTRAN share, and the joint values of the last three (QMIX has a file of its own)."""

import copy
import itertools
from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError

from macpf.experience.batch import EpisodeBatch, Observation
from macpf.learning.networks import pick
from macpf.learning.schedules import Clock, Schedule

NAMES = ["qmix", "vdn", "qplex", "qtran"]


def constant(epsilon):
    return Schedule(start=epsilon, end=epsilon, per="env_steps", duration=1, factor=None)


@pytest.mark.parametrize("name", NAMES)
def test_a_hundred_thousand_random_masks_are_never_broken(make_value_based, sizes, random_available, name):
    B, learner = 100_000, make_value_based(name, epsilon=constant(0.5))
    generator = torch.Generator().manual_seed(0)
    available = random_available(B, 3, 4, generator=generator)
    obs = torch.randn(B, 3, sizes.obs_dim, generator=generator)
    observation = Observation(obs, torch.zeros(B, sizes.state_dim), available)
    for actions in (
        learner.act(observation, learner.start(B), Clock())[0],
        learner.act_greedily(observation, learner.start(B), "independent")[0],
    ):
        assert available.gather(-1, actions.unsqueeze(-1)).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_row_that_was_not_played_carries_no_gradient(make_value_based, batch, name):
    batch.obs.requires_grad_()
    sum(make_value_based(name).losses(batch).values()).backward()
    played = batch.filled.bool()
    assert (batch.obs.grad[played] != 0).any(dim=-1).all()
    assert (batch.obs.grad[~played] == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_loaded_learner_goes_on_as_the_saved_one(make_value_based, batch, through_a_file, assert_same, name):
    one, other = (make_value_based(name, seed=seed, target_interval=3) for seed in (0, 1))
    for k in range(4):
        one.learn(batch, Clock(episodes=k))
    other.load_state_dict(through_a_file(one.state_dict()))
    for k in range(4, 8):
        assert_same(one.learn(batch, Clock(episodes=k)), other.learn(batch, Clock(episodes=k)))
    assert_same(through_a_file(one.state_dict()), through_a_file(other.state_dict()))


@pytest.mark.parametrize(
    ("name", "argument", "value"),
    [
        ("vdn", "gamma", 2.0),
        ("vdn", "embed_dim", 32),
        ("qplex", "n_heads", -1),
        ("qplex", "attention_cost", -1.0),
        ("qplex", "values_in_keys", 3),
        ("qplex", "lr", 0.0),
        ("qtran", "opt_cost", -1.0),
        ("qtran", "hidden_dim", 0),
        ("qtran", "colour", "red"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(make_value_based, name, argument, value):
    with pytest.raises(ValidationError, match=argument):
        make_value_based(name, **{argument: value})


def test_vdn_adds(make_value_based, batch):
    learner = make_value_based("vdn")
    q, _ = learner.live["agents"](learner.inputs_of(batch), batch.sizes)
    joint, extra = learner.joint_value(learner.live["mixer"], q, batch.actions, batch)
    for r, actions in enumerate(batch.actions.tolist()):
        assert joint[r].item() == pytest.approx(sum(q[r, i, a].item() for i, a in enumerate(actions)), abs=1e-6)
    assert extra is None
    assert not list(learner.live["mixer"].parameters())


@pytest.mark.parametrize("name", ["vdn", "qplex"])
@pytest.mark.parametrize("td_lambda", [0.0, 0.6])
def test_loss_and_gradients_equal_double_q_learning_written_out(
    make_value_based, batch, slow_goals, assert_gradients_of_last_update, name, td_lambda
):
    learner = make_value_based(name, td_lambda=td_lambda)
    live, inputs = copy.deepcopy(learner.live), learner.inputs_of(batch)
    q, _ = live["agents"](inputs, batch.sizes)

    def joint(mixer, q, actions, r):
        """QPLEX's formula by its parts; VDN's sum."""
        chosen = [q[r, i, a] for i, a in enumerate(actions)]
        if name == "vdn":
            return sum(chosen)
        state, allowed = batch.state[r], batch.available[r]
        best = [max(q[r, i, a].item() for a in range(4) if allowed[i, a]) for i in range(3)]
        weights, _ = mixer.attention(state[None], batch.obs[r][None])
        one_hot = torch.zeros(12)
        for i, a in enumerate(actions):
            one_hot[4 * i + a] = 1.0
        lambdas = mixer.kernels(state[None], one_hot[None])
        total = mixer.value(state).squeeze()
        for i in range(3):
            advantage = weights[0, i] * (chosen[i] - best[i])
            total = total + weights[0, i] * chosen[i] + (lambdas[0, i] - 1) * advantage.detach()
        return total

    with torch.no_grad():
        target_q, _ = learner.target["agents"](inputs, batch.sizes)
        value = torch.zeros_like(batch.reward)
        for r in range(len(value)):
            best = [max((a for a in range(4) if batch.available[r, i, a]), key=lambda a: q[r, i, a]) for i in range(3)]
            value[r] = joint(learner.target["mixer"], target_q, best, r)
    goal = slow_goals(batch, value, gamma=0.9, lambda_=td_lambda)
    loss = 0.0
    for r in batch.filled.nonzero().flatten().tolist():
        loss = loss + (joint(live["mixer"], q, batch.actions[r].tolist(), r) - goal[r]) ** 2 / 12
    metrics = learner.learn(batch, Clock())
    assert metrics["train/loss/td"].item() == pytest.approx(loss.item(), rel=1e-4)
    assert_gradients_of_last_update(loss, learner.live, list(live.parameters()))


@pytest.mark.parametrize("settings", [{}, {"n_heads": 0}, {"weighted_heads": True}], ids=str)
@pytest.mark.parametrize("feature_dim", [0, 2])
def test_qplex_satisfies_igm(make_value_based, sizes, ragged_batch, settings, feature_dim):
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


class TestQTRAN:
    def test_losses_equal_the_formulas_written_out(self, make_value_based, batch, slow_goals):
        """L_td, L_opt at the greedy joint action and L_nopt at the played one, row by row."""
        learner = make_value_based("qtran", td_lambda=0.0)
        live, target, inputs = learner.live, learner.target, learner.inputs_of(batch)
        with torch.no_grad():
            h, _ = live["agents"].trunk(inputs, batch.sizes)
            q, (target_h, _) = live["agents"].head(h), target["agents"].trunk(inputs, batch.sizes)

            def joint(mixer, h, actions, r):
                g = 0.0
                for i, a in enumerate(actions):
                    g = g + mixer.encode(torch.cat([h[r, i], torch.eye(4)[a]]))
                return mixer.q(torch.cat([batch.state[r], g])).item()

            greedy = [
                [max((a for a in range(4) if batch.available[r, i, a]), key=lambda a: q[r, i, a]) for i in range(3)]
                for r in range(len(q))
            ]
            value = torch.tensor([joint(target["mixer"], target_h, a, r) for r, a in enumerate(greedy)])
            goal = slow_goals(batch, value, gamma=0.9, lambda_=0.0)
            td = opt = nopt = 0.0
            for r in batch.filled.nonzero().flatten().tolist():
                v = live["mixer"].v(batch.state[r]).item()
                played = batch.actions[r].tolist()
                td += (joint(live["mixer"], h, played, r) - goal[r].item()) ** 2 / 12
                best = sum(q[r, i, a].item() for i, a in enumerate(greedy[r]))
                opt += (best - joint(live["mixer"], h, greedy[r], r) + v) ** 2 / 12
                chosen = sum(q[r, i, a].item() for i, a in enumerate(played))
                nopt += 0.1 * min(chosen - joint(live["mixer"], h, played, r) + v, 0.0) ** 2 / 12
        losses = {name: loss.item() for name, loss in learner.losses(batch).items()}
        assert losses == pytest.approx({"td": td, "opt": opt, "nopt": nopt}, rel=1e-4)

    def test_only_the_td_loss_moves_the_joint_value(self, make_value_based, batch):
        learner = make_value_based("qtran")
        joint = [*learner.live["mixer"].encode.parameters(), *learner.live["mixer"].q.parameters()]
        for name, loss in learner.losses(batch).items():
            grads = torch.autograd.grad(loss, joint, retain_graph=True, allow_unused=True)
            assert any(g is not None and bool((g != 0).any()) for g in grads) is (name == "td")

    def test_its_constraints_hold_at_its_optimum(self, make_value_based, sizes):
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
