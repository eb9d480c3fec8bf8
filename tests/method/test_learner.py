"""One update computes equations 16 to 19, step by step, from what was played and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from macpf.experience.batch import EpisodeBatch
from macpf.learning.networks import pick
from macpf.learning.schedules import Clock
from macpf.method import learner as learner_module
from macpf.method.policy import UNMIXED, Mixing

LENGTHS, CUT, ALPHA = [4, 3, 4, 1], [0, 1], 0.3


@pytest.fixture
def batch(sizes, ragged_batch):
    """Ragged; one of the longest episodes and another one are cut instead of terminated."""
    return ragged_batch(sizes, LENGTHS, CUT)


@pytest.fixture(autouse=True)
def same_noise(monkeypatch, fixed_noise):
    monkeypatch.setattr(learner_module, "gumbel", fixed_noise)


@pytest.fixture
def slow_losses(fixed_noise, slow_dependent, slow_choice, lambda_returns, padded):
    """The four losses by loops over episodes, steps and agents."""

    @torch.no_grad()
    def losses(learner, batch: EpisodeBatch, alpha: float) -> dict[str, float]:
        sizes, critic, target = learner.sizes, learner.critic, learner.target
        inputs, available = learner.inputs_of(batch), batch.available
        noise = fixed_noise(available.shape)
        earlier = all_but_first = None
        if learner.reads_visibility:
            earlier = batch.visible & torch.ones(3, 3).tril(-1).bool()
            all_but_first = batch.visible & torch.tensor([[0], [1], [1]]).bool()

        def softmax(logits: Tensor) -> Tensor:
            return logits.masked_fill(~available, -torch.inf).softmax(dim=-1)

        features, _ = learner.actor.trunk(inputs, batch.sizes)
        ind = learner.actor.independent(features)
        a_ind = (ind.masked_fill(~available, -torch.inf) + noise).argmax(dim=-1)
        a_dep = slow_choice(learner.actor, features, available, noise, earlier)
        dep = slow_dependent(learner.actor, features, a_dep, earlier)
        policy = {"independent": softmax(ind), "dependent": softmax(dep)}
        next_actions = {"independent": a_ind, "dependent": a_dep}

        def values(network, at: Tensor) -> dict[str, Tensor]:
            h, _ = network.trunk(inputs, batch.sizes)
            return {"independent": network.independent(h), "dependent": slow_dependent(network, h, at, all_but_first)}

        q_played = values(critic["agents"], batch.actions)
        q_now = values(critic["agents"], a_dep)
        q_next = {name: values(target["agents"], next_actions[name])[name] for name in policy}

        def of(x: Tensor) -> Tensor:
            return padded(batch, x)

        state, reward, actions, allowed = (of(x) for x in (batch.state, batch.reward, batch.actions, available))

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
            pi, nexts, played, now = of(policy[name]), of(q_next[name]), of(q_played[name]), of(q_now[name])
            for b, L in enumerate(LENGTHS):
                next_values, bonuses = [], []
                for t in range(1, L + 1):
                    if t == L and b not in CUT:
                        next_values.append(0.0)
                        bonuses.append(0.0)
                        continue
                    a = of(next_actions[name])[b, t]
                    agents = [nexts[b, t, i, a[i]] for i in range(sizes.n_agents)]
                    log_joint = sum(pi[b, t, i, a[i]].log() for i in range(sizes.n_agents)).item()
                    value = mixed(target["mixer"], state[b, t], agents).item()
                    next_values.append(value - alpha * log_joint if learner.entropy == "joint" else value)
                    bonuses.append(0.0 if learner.entropy == "joint" else -alpha * log_joint / sizes.n_agents)
                rewards = reward[b, :L].tolist()
                goal = lambda_returns(rewards, next_values, b not in CUT, learner.gamma, learner.td_lambda)
                for t in range(L):
                    agents = [played[b, t, i, actions[b, t, i]] for i in range(sizes.n_agents)]
                    td += (mixed(critic["mixer"], state[b, t], agents).item() - goal[t] - bonuses[t]) ** 2
                    for i in range(sizes.n_agents):
                        k = gain(state[b, t], i).item() if learner.alpha_rule == "by_gain" else 1.0
                        for a, p in enumerate(pi[b, t, i]):
                            if allowed[b, t, i, a]:
                                fit += (p * (alpha * p.log() - k * now[b, t, i, a])).item() / sizes.n_agents
            result[f"{name}_critic"], result[f"{name}_policy"] = td / count, fit / count
        return result

    return losses


@pytest.mark.parametrize("recurrent", [True, False], ids=["recurrent", "feed-forward"])
@pytest.mark.parametrize("alpha_rule", ["shared", "by_gain"])
@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"td_lambda": 0.8},
        {"entropy": "mean"},
        {"dependency_set": "visible"},
        {"td_lambda": 0.8, "entropy": "mean", "dependency_set": "visible", "trunk_gradient": True},
    ],
    ids=lambda switches: "+".join(switches) or "paper",
)
def test_the_losses_equal_equations_16_to_19_written_out(
    make_macpf, batch, slow_losses, recurrent, alpha_rule, switches
):
    learner = make_macpf(recurrent=recurrent, alpha_rule=alpha_rule, **switches)
    expected = slow_losses(learner, batch, ALPHA)
    assert {name: loss.item() for name, loss in learner.losses(batch, ALPHA).items()} == pytest.approx(
        expected, rel=1e-4
    )


@pytest.mark.parametrize("switch", ["entropy", "dependency_set", "td_lambda", "epsilon"])
def test_each_switch_of_the_authors_code_makes_a_difference(make_macpf, batch, switch):
    """The gradient into the trunk, the sixth switch, is seen in test_gradient_isolation.py."""
    value = {"entropy": "mean", "dependency_set": "visible", "td_lambda": 0.8}.get(switch)
    learner = make_macpf(**({} if value is None else {switch: value}))
    mixing = Mixing(0.3) if switch == "epsilon" else UNMIXED
    changed = learner.losses(batch, ALPHA, mixing)
    paper = make_macpf().losses(batch, ALPHA)
    moved = {name for name in paper if not torch.allclose(paper[name], changed[name], rtol=1e-3)}
    critics = {"dependent_critic", "independent_critic"}
    dependent = {"dependent_critic", "dependent_policy"}
    expected = {"entropy": critics, "td_lambda": critics, "dependency_set": dependent, "epsilon": set(paper)}
    assert moved == expected[switch]


def test_a_terminal_target_is_just_the_reward(make_macpf, sizes, ragged_batch):
    """One step: with rewards shifted by 5, (Q - r)^2 changes as it must if nothing else is in the target."""
    batch = ragged_batch(sizes, [1, 1, 1])
    for entropy in ("joint", "mean"):
        learner = make_macpf(entropy=entropy)

        def critics(reward: float, learner=learner) -> dict[str, Tensor]:
            batch.reward.fill_(reward)
            return learner.losses(batch, alpha=100.0)  # an entropy term of the successor would stand out

        with torch.no_grad():
            at0, at5 = critics(0.0), critics(5.0)
            q, _ = learner.critic["agents"](learner.inputs_of(batch), batch.sizes)
            mix = learner.critic["mixer"](batch.state, batch.obs)
            for policy in learner.policies:
                joint = (mix.gains * pick(q.of(policy, batch.actions), batch.actions)).sum(dim=-1) + mix.constant
                torch.testing.assert_close(at0[f"{policy}_critic"], joint.square().mean())
                torch.testing.assert_close(at5[f"{policy}_critic"], (joint - 5).square().mean())


@pytest.mark.parametrize("changes", [{}, {"independent_target": "dependent"}, {"mixer": "attention"}], ids=str)
def test_a_row_that_was_not_played_carries_no_gradient(make_macpf, batch, changes):
    """What was seen after a cut episode's last action is bootstrapped from, and trains nothing itself."""
    learner = make_macpf(**changes)
    batch.obs.requires_grad_()
    batch.state.requires_grad_()
    sum(learner.losses(batch, ALPHA).values()).backward()
    played = batch.filled.bool()
    assert (~played).sum() == len(CUT)
    assert (batch.obs.grad[played] != 0).any(dim=-1).all()
    assert (batch.obs.grad[~played] == 0).all()
    assert (batch.state.grad[~played] == 0).all()


def test_the_temperature_weighs_the_entropy_of_the_policies(make_macpf, batch):
    """The policy losses are alpha sum p log p - sum p Q: linear in alpha, with a negative slope for both."""
    learner = make_macpf()
    at = {alpha: learner.losses(batch, alpha) for alpha in (0.0, 1.0, 2.0)}
    for name in ("dependent_policy", "independent_policy"):
        zero, one, two = (at[alpha][name].item() for alpha in (0.0, 1.0, 2.0))
        assert one < zero
        assert two - one == pytest.approx(one - zero, rel=1e-4)


@pytest.mark.parametrize("mixer", ["nonlinear", "attention"])
def test_the_ablations_mix_both_halves_in_their_own_way(make_macpf, batch, mixer):
    learner = make_macpf(mixer=mixer)
    losses = learner.losses(batch, ALPHA)
    assert all(torch.isfinite(loss) for loss in losses.values())
    q, _ = learner.critic["agents"](learner.inputs_of(batch), batch.sizes)
    mix = learner.critic["mixer"](batch.state, batch.obs)
    _, extra = mix(q.dependent(batch.actions), batch.actions, ALPHA)
    assert (extra is not None) is (mixer == "attention")
    parameters = [*learner.critic["mixer"].parameters()]
    grads = torch.autograd.grad(losses["dependent_critic"], parameters, allow_unused=True)
    assert sum(g is not None and bool((g != 0).any()) for g in grads) >= len(parameters) - 2


def test_a_terminal_target_can_have_the_entropy_of_the_state_after_the_end(make_macpf, sizes, ragged_batch):
    """One step and the row after it; by the authors' code the target is r - alpha mean_i log pi_i(a'|s')."""
    batch = ragged_batch(sizes, [1, 1, 1], cut=[0, 1, 2])  # rows after the end, which now terminates
    batch.terminated[:3] = 1.0
    learner = make_macpf(entropy="mean", terminal_entropy=True, td_lambda=0.8)
    assert learner.reads_after_end
    assert not make_macpf(entropy="mean").reads_after_end
    with torch.no_grad():
        logits, _ = learner.actor(learner.inputs_of(batch), batch.sizes)
        masked = logits.independent.masked_fill(~batch.available, -torch.inf)
        sampled = (masked + learner_module.gumbel(masked.shape, learner.generator)).argmax(dim=-1)
        log_prob = pick(masked.log_softmax(dim=-1), sampled)[3:].mean(dim=-1)
        q, _ = learner.critic["agents"](learner.inputs_of(batch), batch.sizes)
        mix = learner.critic["mixer"](batch.state, batch.obs)
        joint = (mix.gains * pick(q.independent, batch.actions)).sum(dim=-1) + mix.constant
        loss = learner.losses(batch, 2.0)["independent_critic"]
    expected = (joint[:3] - (batch.reward[:3] - 2.0 * log_prob)).square().mean()
    torch.testing.assert_close(loss, expected)


def test_the_plan_in_turn_moves_as_its_steps_say(make_macpf, batch):
    """Four steps by hand: each step's losses at the weights that the steps before it left."""
    learner, by_hand = make_macpf(plan="in_turn", lr=0.01), make_macpf(plan="in_turn", lr=0.01)
    learner.learn(batch, Clock())
    for name, group in [
        ("independent_policy", "actor"),
        ("dependent_policy", "actor"),
        ("independent_critic", "critic"),
        ("dependent_critic", "critic"),
    ]:
        loss = by_hand.losses(batch, by_hand.alpha(Clock()), wanted=[name])[name]
        by_hand.optimiser.step(loss, [group])
    together = make_macpf(lr=0.01)
    together.learn(batch, Clock())
    for name, p in learner.named_parameters():
        torch.testing.assert_close(p, by_hand.get_parameter(name))
    assert any(not torch.allclose(p, together.get_parameter(name)) for name, p in learner.named_parameters())


def test_losses_that_are_asked_for_alone_are_those_of_all_together(make_macpf, batch):
    learner = make_macpf()
    together = learner.losses(batch, ALPHA)
    for name in together:
        (alone,) = learner.losses(batch, ALPHA, wanted=[name]).values()
        torch.testing.assert_close(alone, together[name])


def test_a_pass_is_made_again_only_when_its_weights_have_moved(make_macpf, batch):
    """In turn: the actor twice with a graph and once without, the critic the other way round, the target once."""
    learner, made = make_macpf(plan="in_turn"), []
    for name, module in {
        "actor": learner.actor,
        "critic": learner.critic["agents"],
        "target": learner.target["agents"],
    }.items():
        module.register_forward_hook(lambda *_, name=name: made.append((name, torch.is_grad_enabled())))
    learner.learn(batch, Clock())
    assert sorted(made) == [
        ("actor", False),
        ("actor", True),
        ("actor", True),
        ("critic", False),
        ("critic", True),
        ("critic", True),
        ("target", False),
    ]


@pytest.mark.parametrize(("gain", "tie"), [(4.0, ALPHA / 4.0), (0.0, ALPHA / 1e-6)])
def test_ties_are_alpha_over_the_gain_of_which_at_least_a_millionth_counts(make_macpf, batch, monkeypatch, gain, tie):
    learner, seen = make_macpf(independent_target="dependent"), []
    passes = learner.passes(batch)
    q, mix = passes.values(True)
    equal = replace(mix, gains=torch.full_like(mix.gains, gain))
    monkeypatch.setattr(passes, "values", lambda gradient: (q, equal))
    greedy = learner_module.greedy_joint_action
    monkeypatch.setattr(learner_module, "greedy_joint_action", lambda *a: seen.append(a[-1]) or greedy(*a))
    learner.losses(batch, ALPHA, wanted=["independent_policy"], passes=passes)
    torch.testing.assert_close(seen[0], torch.full_like(seen[0], tie))
