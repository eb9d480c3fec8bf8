"""FOP: soft policies on the smaller of two critics, lambda-returns of the smaller of two targets."""

import copy
import itertools

import pytest
import torch
from pydantic import ValidationError

from baselines import fop as fop_module
from macpf.experience.batch import Observation
from macpf.learning.networks import pick
from macpf.learning.schedules import Clock, Schedule

N, A, ALPHA = 3, 4, 0.5


def slow_soft_value(q, alpha):
    return alpha * (q / alpha).exp().sum().log()


def slow_joint(critic, q, actions, batch, r, alpha):
    """Q_jt in one row: V_i = alpha log sum exp(Q_i / alpha) over all actions, without gradient."""
    values = torch.stack([q[r, i, a] for i, a in enumerate(actions)])
    soft = torch.stack([slow_soft_value(q[r, i].detach(), alpha) for i in range(N)])
    return critic.mixer(values[None], soft[None], torch.tensor([actions]), batch.state[r][None], batch.obs[r][None])[
        0
    ].squeeze()


@pytest.fixture
def slow_losses(fixed_noise, slow_goals, rows_of):
    """Actor's and critics' losses by loops, with gradients to the given copies."""

    def losses(learner, actor, critics, batch, alpha):
        inputs = learner.inputs_of(batch)
        logits, _ = actor(inputs, batch.sizes)
        policy = logits.masked_fill(~batch.available, -torch.inf).softmax(dim=-1)
        played = batch.filled.nonzero().flatten().tolist()
        with torch.no_grad():
            noise = fixed_noise(batch.available.shape)
            sampled = (logits.masked_fill(~batch.available, -torch.inf) + noise).argmax(dim=-1)
            target_qs = [target.agents(inputs, batch.sizes)[0] for target in learner.targets]
            value, bonus = torch.zeros_like(batch.reward), torch.zeros_like(batch.reward)
            for rows in rows_of(batch):
                for r, following in itertools.pairwise(rows):
                    a = sampled[following].tolist()
                    value[following] = min(
                        slow_joint(target, q, a, batch, following, alpha)
                        for target, q in zip(learner.targets, target_qs, strict=True)
                    )
                    bonus[r] = -alpha * sum(policy[following, i, a[i]].log() for i in range(N)) / N
            goal = slow_goals(batch, value, learner.gamma, learner.td_lambda) + bonus
        actor_loss, critic_loss = 0.0, 0.0
        qs = [critic.agents(inputs, batch.sizes)[0] for critic in critics]
        for r in played:
            for critic, q in zip(critics, qs, strict=True):
                joint = slow_joint(critic, q, batch.actions[r].tolist(), batch, r, alpha)
                critic_loss = critic_loss + (joint - goal[r]) ** 2 / len(played)
            for i in range(N):
                for a in range(A):
                    if batch.available[r, i, a]:
                        p = policy[r, i, a]
                        least = min(q[r, i, a].item() for q in qs)
                        actor_loss = actor_loss + p * (alpha * p.log() - least) / N / len(played)
        return actor_loss, critic_loss

    return losses


@pytest.mark.parametrize(
    ("recurrent", "n_heads", "td_lambda"), [(True, 2, 0.8), (False, 2, 0.8), (True, 0, 0.8), (True, 2, 0.0)]
)
def test_losses_and_gradients_equal_the_formulas_written_out(
    make_fop,
    batch,
    slow_losses,
    assert_gradients_of_last_update,
    monkeypatch,
    fixed_noise,
    recurrent,
    n_heads,
    td_lambda,
):
    """The actor's gradient is that of its own loss alone, the critics' that of theirs: they are isolated."""
    monkeypatch.setattr(fop_module, "gumbel", fixed_noise)
    learner = make_fop(recurrent=recurrent, n_heads=n_heads, td_lambda=td_lambda)
    actor, critics = copy.deepcopy(learner.actor), copy.deepcopy(learner.critics)
    actor_loss, critic_loss = slow_losses(learner, actor, critics, batch, ALPHA)
    metrics = learner.learn(batch, Clock())
    assert metrics["train/loss/policy"].item() == pytest.approx(actor_loss.item(), rel=1e-4)
    assert metrics["train/loss/critics"].item() == pytest.approx(critic_loss.item(), rel=1e-4)
    assert_gradients_of_last_update(actor_loss, learner.actor, list(actor.parameters()))
    assert_gradients_of_last_update(critic_loss, learner.critics, list(critics.parameters()))


def test_the_smaller_target_counts_and_not_always_the_same(make_fop, batch):
    """Otherwise the test above would pass with one target only."""
    learner = make_fop()
    inputs = learner.inputs_of(batch)
    first, second = (target(inputs, batch, batch.actions, ALPHA)[1] for target in learner.targets)
    assert (first < second).any()
    assert (second < first).any()


def test_both_critics_differ_and_every_part_moves(make_fop, batch):
    learner = make_fop(attention_cost=0.1)
    before = copy.deepcopy(learner.state_dict())
    learner.learn(batch, Clock(episodes=1))
    for name, value in learner.named_parameters():
        moved = not torch.equal(value, before[name])
        assert moved is not name.startswith("targets"), name
    one, other = learner.critics
    assert not torch.equal(one.agents.head.weight, other.agents.head.weight)
    assert not any(p.requires_grad for p in learner.targets.parameters())


def test_the_attention_cost_weighs_the_regulariser_of_both_critics(make_fop, batch, monkeypatch, fixed_noise):
    """The gradients with and without it differ by the cost times the regulariser's."""
    monkeypatch.setattr(fop_module, "gumbel", fixed_noise)
    without, with_cost = make_fop(attention_cost=0.0), make_fop(attention_cost=0.5)
    critics = copy.deepcopy(without.critics)
    of_rows = sum(critic(without.inputs_of(batch), batch, batch.actions, ALPHA)[2] for critic in critics)
    regulariser = of_rows[batch.filled.bool()].mean()
    expected = torch.autograd.grad(regulariser, list(critics.parameters()), allow_unused=True)
    without.learn(batch, Clock())
    with_cost.learn(batch, Clock())
    for p, q, gradient in zip(with_cost.critics.parameters(), without.critics.parameters(), expected, strict=True):
        wanted = torch.zeros_like(p) if gradient is None else 0.5 * gradient
        torch.testing.assert_close(p.grad - q.grad, wanted, atol=1e-5, rtol=1e-3)


def test_targets_are_copied_after_the_interval(make_fop, batch):
    learner = make_fop()
    for episodes, copied in [(199, False), (200, True), (399, False), (400, True)]:
        learner.learn(batch, Clock(episodes=episodes))
        live = learner.critics.state_dict()
        assert all(torch.equal(v, live[k]) for k, v in learner.targets.state_dict().items()) is copied


def test_a_row_that_was_not_played_carries_no_gradient(make_fop, batch):
    batch.obs.requires_grad_()
    make_fop(attention_cost=0.5).learn(batch, Clock())
    played = batch.filled.bool()
    assert (batch.obs.grad[played] != 0).any(dim=-1).all()
    assert (batch.obs.grad[~played] == 0).all()


@pytest.fixture
def observation(sizes):
    B = 20_000
    obs = torch.randn(1, N, sizes.obs_dim, generator=torch.Generator().manual_seed(0)).expand(B, -1, -1)
    available = torch.ones(B, N, A, dtype=torch.bool)
    available[:, 0, 2] = False
    return Observation(obs, torch.zeros(B, sizes.state_dim), available)


def test_exploring_samples_the_product_of_the_agents_policies(make_fop, observation):
    learner = make_fop()
    for p in learner.actor.parameters():
        p.data.mul_(3.0)
    B = len(observation.obs)
    actions, memory = learner.act(observation, learner.start(B), Clock())
    assert torch.equal(memory.last_actions, actions)
    one = Observation(observation.obs[:1], observation.state[:1], observation.available[:1])
    joint = learner.joint_policies(one)["independent"]
    assert joint.shape == (1, A, A, A)
    assert joint.sum().item() == pytest.approx(1.0, abs=1e-5)
    assert (joint[0, 2] == 0).all()
    counts = torch.zeros(A, A, A)
    counts.index_put_(tuple(actions.T), torch.ones(B), accumulate=True)
    assert (counts[2] == 0).all()
    p = joint[0]
    assert ((counts / B - p).abs() <= 4.5 * (p * (1 - p) / B).sqrt() + 1 / B).all()
    best = p.flatten().argmax()
    greedy, _ = learner.act_greedily(one, learner.start(1), "independent")
    assert int(best) == int(greedy[0, 0] * A * A + greedy[0, 1] * A + greedy[0, 2])


@pytest.mark.parametrize(
    ("alpha", "lambdas"), [(0.5, "of the state"), (1e-4, "learned")], ids=["soft", "in the limit of alpha"]
)
def test_the_greedy_joint_action_is_the_tuple_of_greedy_actions(
    make_fop, sizes, ragged_batch, monkeypatch, alpha, lambdas
):
    """Under IGO: for positive lambda_i(s), whatever alpha; for lambda_i(s, a) once V_i is the maximum."""
    mixer = make_fop().critics[0].mixer
    batch = ragged_batch(sizes, [40])
    R = len(batch.reward)
    generator = torch.Generator().manual_seed(1)
    q, positive = 3 * torch.randn(R, N, A, generator=generator), 3 * torch.rand(R, N, generator=generator) + 1e-3
    if lambdas == "of the state":
        monkeypatch.setattr(mixer.kernels, "forward", lambda state, actions: positive)
    soft_values = alpha * (q / alpha).logsumexp(dim=-1)
    joint_actions = list(itertools.product(range(A), repeat=N))
    values = torch.stack(
        [
            mixer(pick(q, chosen), soft_values, chosen, batch.state, batch.obs)[0].detach()
            for chosen in (torch.tensor(actions).expand(R, -1) for actions in joint_actions)
        ],
        dim=1,
    )
    greedy = [tuple(actions) for actions in q.argmax(dim=-1).tolist()]
    assert [joint_actions[k] for k in values.argmax(dim=1)] == greedy
    assert len(set(greedy)) > 10


def test_unavailable_actions_are_never_taken(make_fop, sizes, random_available):
    B, learner = 100_000, make_fop()
    generator = torch.Generator().manual_seed(0)
    available = random_available(B, N, A, generator=generator)
    obs = torch.randn(B, N, sizes.obs_dim, generator=generator)
    observation = Observation(obs, torch.zeros(B, sizes.state_dim), available)
    for actions in (
        learner.act(observation, learner.start(B), Clock())[0],
        learner.act_greedily(observation, learner.start(B), "independent")[0],
    ):
        assert available.gather(-1, actions.unsqueeze(-1)).all()


def test_a_loaded_learner_goes_on_as_the_saved_one(make_fop, batch, through_a_file, assert_same):
    one, other = make_fop(seed=0, target_interval=3), make_fop(seed=1, target_interval=3)
    for k in range(4):
        one.learn(batch, Clock(episodes=k))
    other.load_state_dict(through_a_file(one.state_dict()))
    for k in range(4, 9):
        assert_same(one.learn(batch, Clock(episodes=k)), other.learn(batch, Clock(episodes=k)))
    assert_same(through_a_file(one.state_dict()), through_a_file(other.state_dict()))


@pytest.mark.parametrize(("start", "end"), [(0.5, 0.0), (0.0, 0.5), (0.0, 0.0)])
def test_a_temperature_of_zero_is_refused(make_fop, start, end):
    with pytest.raises(ValueError, match="keep it above 0"):
        make_fop(alpha=Schedule(start=start, end=end, per="episodes", duration=10, factor=None))


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("gamma", -0.5),
        ("td_lambda", 1.1),
        ("lr", -1.0),
        ("clip", "tight"),
        ("hidden_dim", 0),
        ("recurrent", 2),
        ("embed_dim", 0),
        ("hypernet_dim", 0),
        ("n_heads", -1),
        ("n_kernels", 0),
        ("attention_cost", -0.1),
        ("target_interval", 0),
        ("alpha", 0.5),
        ("colour", "red"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(make_fop, argument, value):
    with pytest.raises(ValidationError, match=argument):
        make_fop(**{argument: value})


def test_the_plan_in_turn_lets_the_critics_sample_the_policy_that_has_moved(make_fop, batch):
    """Step by step by hand, and different from one step on everything."""
    learner, by_hand, together = (make_fop(plan=plan, lr=0.05) for plan in ("in_turn", "in_turn", "together"))
    for one in (learner, together):
        one.learn(batch, Clock())
    alpha = by_hand.alpha(Clock())
    by_hand.optimiser.step(by_hand.losses(batch, alpha, ["policy"])["policy"], ["actor"])
    by_hand.optimiser.step(
        sum(by_hand.losses(batch, alpha, ["critics", "attention"]).values()), ["critic_1", "critic_2"]
    )
    for name, p in learner.named_parameters():
        torch.testing.assert_close(p, by_hand.get_parameter(name))
        if name.startswith("actor"):
            torch.testing.assert_close(p, together.get_parameter(name))
    assert any(not torch.equal(p, together.get_parameter(name)) for name, p in learner.named_parameters())


def test_it_asks_for_the_rows_after_the_end_where_it_needs_them(make_fop):
    assert not make_fop().reads_after_end
    assert make_fop(terminal_entropy=True).reads_after_end
    assert make_fop(attention_mean="padded").reads_after_end
