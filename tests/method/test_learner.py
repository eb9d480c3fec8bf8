"""One update computes equations 16 to 19, step by step, from what was played and nothing else."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch
from torch import Tensor

from macpf.experience.batch import EpisodeBatch
from macpf.learning.networks import agent_inputs, last_actions
from macpf.method import learner as learner_module

LENGTHS, CUT, ALPHA = [3, 1, 4, 4], [0, 3], 0.3


@pytest.fixture
def batch(sizes, ragged_batch):
    """Ragged; the first and one of the longest episodes are cut instead of terminated."""
    return ragged_batch(sizes, LENGTHS, CUT)


@pytest.fixture(autouse=True)
def same_noise(monkeypatch, fixed_noise):
    monkeypatch.setattr(learner_module, "gumbel", fixed_noise)


@pytest.fixture
def slow_losses(fixed_noise, slow_dependent, slow_choice, lambda_returns):
    """The four losses by loops over episodes, steps and agents."""

    @torch.no_grad()
    def losses(learner, batch: EpisodeBatch, alpha: float) -> dict[str, float]:
        sizes, critic, target = learner.sizes, learner.critic, learner.target
        steps = batch.length + 1
        inputs = agent_inputs(batch.obs, last_actions(batch.actions, steps), sizes.n_actions)
        noise = fixed_noise((2, *batch.available.shape))

        def softmax(logits: Tensor) -> Tensor:
            return logits.masked_fill(~batch.available, -torch.inf).softmax(dim=-1)

        features, _ = learner.actor.trunk(inputs)
        ind = learner.actor.independent(features)
        a_ind = (ind.masked_fill(~batch.available, -torch.inf) + noise[0]).argmax(dim=-1)
        a_dep = slow_choice(learner.actor, features, batch.available, noise[1])
        policy = {"independent": softmax(ind), "dependent": softmax(slow_dependent(learner.actor, features, a_dep))}
        next_actions = {"independent": a_ind, "dependent": a_dep}

        def values(network, at: Tensor) -> dict[str, Tensor]:
            h, _ = network.trunk(inputs)
            return {"independent": network.independent(h), "dependent": slow_dependent(network, h, at)}

        padded = torch.cat([batch.actions, batch.actions[:, :1]], dim=1)
        q_played = values(critic["agents"], padded)
        q_now = values(critic["agents"], a_dep)
        q_next = {name: values(target["agents"], next_actions[name])[name] for name in policy}

        def mixed(mixer, state: Tensor, agents: list[Tensor]) -> Tensor:
            w1, b1, w2, v = mixer.weights(state)
            return ((torch.stack(agents) @ w1 + b1) * w2).sum() + v

        def gain(state: Tensor, i: int) -> Tensor:
            w1, _, w2, _ = critic["mixer"].weights(state)
            return (w1[i] * w2).sum()

        result = {}
        count = sum(LENGTHS)
        for name in policy:
            td, fit = 0.0, 0.0
            for b, L in enumerate(LENGTHS):
                next_values = []
                for t in range(1, L + 1):
                    a = next_actions[name][b, t]
                    agents = [q_next[name][b, t, i, a[i]] for i in range(sizes.n_agents)]
                    log_joint = sum(policy[name][b, t, i, a[i]].log() for i in range(sizes.n_agents))
                    next_values.append((mixed(target["mixer"], batch.state[b, t], agents) - alpha * log_joint).item())
                rewards = batch.reward[b, :L].tolist()
                goal = lambda_returns(rewards, next_values, b not in CUT, learner.gamma, learner.td_lambda)
                for t in range(L):
                    agents = [q_played[name][b, t, i, batch.actions[b, t, i]] for i in range(sizes.n_agents)]
                    td += (mixed(critic["mixer"], batch.state[b, t], agents).item() - goal[t]) ** 2
                    for i in range(sizes.n_agents):
                        k = gain(batch.state[b, t], i).item() if learner.alpha_rule == "by_gain" else 1.0
                        for a, p in enumerate(policy[name][b, t, i]):
                            if batch.available[b, t, i, a]:
                                fit += (p * (alpha * p.log() - k * q_now[name][b, t, i, a])).item() / sizes.n_agents
            result[f"{name}_critic"], result[f"{name}_policy"] = td / count, fit / count
        return result

    return losses


@pytest.mark.parametrize("recurrent", [True, False], ids=["recurrent", "feed-forward"])
@pytest.mark.parametrize("alpha_rule", ["shared", "by_gain"])
@pytest.mark.parametrize("td_lambda", [0.0, 0.8])
def test_the_losses_equal_equations_16_to_19_written_out(
    make_macpf, batch, slow_losses, recurrent, alpha_rule, td_lambda
):
    learner = make_macpf(recurrent=recurrent, alpha_rule=alpha_rule, td_lambda=td_lambda)
    losses = learner.losses(batch, ALPHA)
    expected = slow_losses(learner, batch, ALPHA)
    for field in fields(losses):
        assert getattr(losses, field.name).item() == pytest.approx(expected[field.name], rel=1e-4), field.name


def test_a_terminal_target_is_just_the_reward(make_macpf, sizes, ragged_batch):
    """One step: with rewards shifted by 5, (Q - r)^2 changes as it must if nothing else is in the target."""
    learner = make_macpf()
    batch = ragged_batch(sizes, [1, 1, 1])

    def critics(reward: float) -> Tensor:
        batch.reward.fill_(reward)
        losses = learner.losses(batch, alpha=100.0)  # an entropy term of the successor would stand out
        return torch.stack([losses.dependent_critic, losses.independent_critic])

    with torch.no_grad():
        at0, at5 = critics(0.0), critics(5.0)
        actor_inputs = agent_inputs(batch.obs[:, :1], last_actions(batch.actions, 1), sizes.n_actions)
        q, _ = learner.critic["agents"](actor_inputs)
        mix = learner.critic["mixer"](batch.state[:, :1])
        for k, outputs in enumerate([q.dependent(batch.actions), q.independent]):
            joint = mix(outputs.gather(-1, batch.actions.unsqueeze(-1)).squeeze(-1))
            torch.testing.assert_close(at0[k], joint.square().mean())
            torch.testing.assert_close(at5[k], (joint - 5).square().mean())


@pytest.mark.parametrize("recurrent", [True, False], ids=["recurrent", "feed-forward"])
@pytest.mark.parametrize("independent_target", ["independent", "dependent"])
def test_more_padding_changes_no_loss(make_macpf, sizes, ragged_batch, recurrent, independent_target):
    learner = make_macpf(recurrent=recurrent, independent_target=independent_target)
    tight = learner.losses(ragged_batch(sizes, LENGTHS, CUT), ALPHA)
    padded = learner.losses(ragged_batch(sizes, LENGTHS, CUT, padding=3), ALPHA)
    for field in fields(tight):
        torch.testing.assert_close(getattr(padded, field.name), getattr(tight, field.name), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("independent_target", ["independent", "dependent"])
def test_padded_steps_carry_no_gradient_whatever_lies_there(make_macpf, batch, independent_target):
    learner = make_macpf(independent_target=independent_target)
    before = learner.losses(batch, ALPHA)
    for b, L in enumerate(LENGTHS):
        batch.obs[b, L + 1 :] = 3.0
        batch.state[b, L + 1 :] = -3.0
        batch.actions[b, L:] = 2
    after = learner.losses(batch, ALPHA)
    for field in fields(before):
        torch.testing.assert_close(getattr(after, field.name), getattr(before, field.name))
    batch.obs.requires_grad_()
    batch.state.requires_grad_()
    learner.losses(batch, ALPHA).total().backward()
    for b, L in enumerate(LENGTHS):
        assert (batch.obs.grad[b, :L] != 0).any(dim=-1).all()
        assert (batch.obs.grad[b, L:] == 0).all()
        assert (batch.state.grad[b, L:] == 0).all()


def test_the_temperature_weighs_the_entropy_of_the_policies(make_macpf, batch):
    """The policy losses are alpha sum p log p - sum p Q: linear in alpha, with a negative slope for both."""
    learner = make_macpf()
    at = {alpha: learner.losses(batch, alpha) for alpha in (0.0, 1.0, 2.0)}
    for name in ("dependent_policy", "independent_policy"):
        zero, one, two = (getattr(at[alpha], name).item() for alpha in (0.0, 1.0, 2.0))
        assert one < zero
        assert two - one == pytest.approx(one - zero, rel=1e-4)


def test_total_is_the_sum(make_macpf, batch):
    losses = make_macpf().losses(batch, ALPHA)
    total = sum(getattr(losses, field.name).item() for field in fields(losses))
    assert losses.total().item() == pytest.approx(total, rel=1e-5)
