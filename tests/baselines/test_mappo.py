"""MAPPO: what it sees, how it acts, what its updates move, and that saving loses nothing."""

import copy
from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn import functional as F

from baselines.mappo import MAPPO
from macpf.experience.batch import Observation
from macpf.learning.central_inputs import CentralLinear
from macpf.learning.chunks import Chunks
from macpf.learning.schedules import Clock

SETTINGS = {
    "gamma": 0.9,
    "gae_lambda": 0.8,
    "lr": 1e-3,
    "clip": 1e9,  # so that the gradients after an update are those of the loss
    "ratio_clip": 0.2,
    "entropy": 0.05,
    "huber_delta": 10.0,
    "ppo_epochs": 1,
    "num_minibatches": 1,
    "hidden_dim": 8,
    "hidden_layers": 2,
    "activation": "relu",
    "gain": 1.0,
    "recurrent": True,
    "chunk_length": 2,
    "stacked_frames": 1,
    "value_active_masks": False,
}
LENGTHS, CUT = [6, 5, 4, 1], [1]


@pytest.fixture
def make(sizes):
    def made(seed=0, **changes):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return MAPPO(sizes, "cpu", seed, **(SETTINGS | changes))

    return made


@pytest.fixture
def batch(sizes, ragged_batch):
    """Ragged; one episode is cut; agent 2 of the first one is out of the game from time 2 on."""
    batch = ragged_batch(sizes, LENGTHS, cut=CUT)
    starts = [sum(batch.sizes[:t]) for t in range(len(batch.sizes))]
    for t in range(2, 6):
        batch.available[starts[t], 2] = torch.tensor([True, False, False, False])
        batch.actions[starts[t], 2] = 0
    return batch


@pytest.fixture
def row(batch):
    starts = [sum(batch.sizes[:t]) for t in range(len(batch.sizes))]
    return lambda b, t: starts[t] + b


def see_slowly(learner, batch, row, b, i, T):
    """What actor and critic read of agent i in episode b, frames joined, step by step."""
    K = learner.stacked_frames
    own, central, states, present = [], [], [], []
    for t in range(T):
        last = torch.zeros(4)
        if t:
            last[batch.actions[row(b, t - 1), i]] = 1.0
        identity = F.one_hot(torch.tensor(i), 3).float()
        playing = float(batch.available[row(b, t), i].sum() > 1)
        seen = torch.cat([batch.obs[row(b, t), i], last])
        own.append(torch.cat([seen, identity]))
        central.append(torch.cat([playing * seen, identity]))
        states.append(batch.state[row(b, t)])
        present.append(playing)

    def frames(one):
        times = [[*(t - k for k in range(1, K)), t] for t in range(T)]
        return [torch.cat([one[s] if s >= 0 else torch.zeros_like(one[0]) for s in at]) for at in times]

    joined = zip(present, frames(states), frames(central), strict=True)
    return frames(own), [torch.cat([playing * state, seen]) for playing, state, seen in joined]


def run_slowly(network, inputs, chunk, states):
    """Outputs of one sequence through PyTorch's GRU, restarted from `states` (before each step) at every chunk."""
    outputs, after = [], []
    for t, x in enumerate(inputs):
        first, *rest = network.body
        if isinstance(first, CentralLinear):
            first = nn.Sequential(first.norm, first.linear)
        x = nn.Sequential(first, *rest)(x)
        if network.gru is not None:
            if t % chunk == 0:
                hidden = states[t].detach() if states is not None and t else torch.zeros(1, 8)
            _, hidden = network.gru(x.unsqueeze(0), hidden)
            x = network.norm(hidden[0])
            after.append(hidden)
        outputs.append(network.head(x))
    return torch.stack(outputs), [None, *after]


def losses_slowly(learner, old, batch, row, n_updates):
    """All three losses, agent by agent and step by step, `n_updates` counting the value normaliser's updates."""
    C = learner.chunk_length
    entries = []
    for b, L in enumerate(LENGTHS):
        for i in range(3):
            own, central = see_slowly(learner, batch, row, b, i, L + (b in CUT))
            with torch.no_grad():
                old_logits, actor_states = run_slowly(old.actor, own, 10**9, None)
                old_values, critic_states = run_slowly(old.critic, central, 10**9, None)
            logits, _ = run_slowly(learner.actor, own, C, actor_states)
            values, _ = run_slowly(learner.critic, central, C, critic_states)
            v = 0.1 * old_values[:, 0]  # nothing normalised yet: mean 0, variance at its floor
            for t in range(L):
                advantage = 0.0
                for k in range(t, L):
                    later = v[k + 1] if k + 1 < L or b in CUT else 0.0
                    advantage += 0.72 ** (k - t) * (batch.reward[row(b, k)] + 0.9 * later - v[k])
                allowed, a = batch.available[row(b, t), i], batch.actions[row(b, t), i]
                log_p = logits[t][allowed].log_softmax(dim=0)
                place = int(allowed[:a].sum())
                old_log_p = old_logits[t][allowed].log_softmax(dim=0)[place]
                entries.append(
                    {
                        "ratio": (log_p[place] - old_log_p).exp(),
                        "entropy": -(log_p.exp() * log_p).sum(),
                        "value": values[t, 0],
                        "old": old_values[t, 0],
                        "advantage": advantage,
                        "return": advantage + v[t],
                        "active": allowed.sum() > 1,
                    }
                )
    returns = torch.stack([e["return"] for e in entries])
    mean, deviation = returns.mean(), returns.std(unbiased=False)
    active = [e for e in entries if e["active"]]
    advantages = torch.stack([e["advantage"] for e in active])
    policy, entropy, value = 0.0, 0.0, 0.0
    for e in active:
        A = (e["advantage"] - advantages.mean()) / (advantages.std(unbiased=False) + 1e-5)
        policy = policy - min(e["ratio"] * A, e["ratio"].clamp(0.8, 1.2) * A) / len(active)
        entropy = entropy + e["entropy"] / len(active)
    counted = active if learner.value_active_masks else entries
    for e in counted:
        target = (e["return"] - mean) / deviation
        moved = e["old"] + (e["value"] - e["old"]).clamp(-0.2, 0.2)
        value = value + max((e["value"] - target) ** 2, (moved - target) ** 2) / 2 / len(counted)
    assert len(active) < len(entries)
    return policy, entropy, value


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"chunk_length": 3, "value_active_masks": True},
        {"chunk_length": 100},
        {"recurrent": False},
        {"recurrent": False, "stacked_frames": 4, "activation": "tanh"},
        {"stacked_frames": 2, "hidden_layers": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("epochs_before", [0, 2])
def test_losses_and_gradients_equal_a_slow_loop(make, batch, row, changes, epochs_before):
    """In later epochs too, when ratios and values are clipped."""
    old = make(lr=0.03, **changes)
    before = make(lr=0.03, **changes, ppo_epochs=max(epochs_before, 1))
    if epochs_before:
        before.learn(batch, Clock())
    policy, entropy, value = losses_slowly(before, old, batch, row, epochs_before + 1)
    expected = torch.autograd.grad(
        policy - 0.05 * entropy + value, [*before.actor.parameters(), *before.critic.parameters()]
    )
    learner = make(lr=0.03, **changes, ppo_epochs=epochs_before + 1)
    metrics = learner.learn(batch, Clock())
    if not epochs_before:
        assert metrics["train/loss/policy"].item() == pytest.approx(policy.item(), abs=1e-5)
        assert metrics["train/entropy"].item() == pytest.approx(entropy.item(), rel=1e-4)
        assert metrics["train/loss/value"].item() == pytest.approx(value.item(), rel=1e-2)
    else:
        assert metrics["train/clipped"] > 0
    parameters = [*learner.actor.parameters(), *learner.critic.parameters()]
    for p, gradient in zip(parameters, expected, strict=True):
        torch.testing.assert_close(p.grad, gradient, atol=2e-3 * float(gradient.abs().max()) + 1e-6, rtol=1e-2)


def test_what_was_played_is_found_again(make, sizes, ragged_batch, row, batch):
    """Log-probabilities of the update are those of acting step by step, frames and recurrent states included."""
    for changes in ({}, {"stacked_frames": 3}, {"stacked_frames": 4, "recurrent": False}):
        learner = make(**changes)
        log_probs = learner.samples_of(batch).log_probs.view(-1, 3)
        memory = learner.start(1)
        for t in range(LENGTHS[0]):
            r = row(0, t)
            observation = Observation(batch.obs[r : r + 1], batch.state[r : r + 1], batch.available[r : r + 1])
            logits, *_ = learner._logits(observation, memory)
            expected = logits.log_softmax(dim=-1).gather(-1, batch.actions[r].view(1, 3, 1))
            torch.testing.assert_close(log_probs[r], expected.view(3))
            _, memory = learner.act_greedily(observation, memory, "independent")
            memory = replace(memory, last_actions=batch.actions[r : r + 1])


def test_agents_out_of_the_game_and_rows_not_played_move_no_policy(make, batch, row):
    """Their actions' inputs may be anything: gradients of the actor stay as they are."""
    changed = copy.deepcopy(batch)
    changed.obs[row(1, 5)] += 5.0  # behind the cut: bootstrapped from, so the critic's gradients do change
    one, other = make(gae_lambda=0.0, chunk_length=1), make(gae_lambda=0.0, chunk_length=1)
    samples, disturbed = one.samples_of(batch), other.samples_of(batch)
    dead = [row(0, t) * 3 + 2 for t in range(2, 6)]
    assert (samples.active[dead] == 0).all()
    unplayed = [row(1, 5) * 3 + i for i in range(3)]
    assert (samples.active[unplayed] == 0).all()
    for entry in (*dead, *unplayed):
        disturbed.actor_inputs[entry] += 10.0
        disturbed.advantages[entry] += 100.0
        disturbed.log_probs[entry] -= 1.0
    chunks = Chunks.of(batch, 1)
    assert not set(unplayed) & set(chunks.entries.tolist())
    one._step(samples, chunks)
    other._step(disturbed, chunks)
    for p, q in zip(one.actor.parameters(), other.actor.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad)
    advantages = one.samples_of(changed).returns.view(-1, 3)
    assert not torch.equal(advantages[row(1, 4)], samples.returns.view(-1, 3)[row(1, 4)])


def test_minibatches_are_dealt_and_all_used(make, batch):
    learner = make(num_minibatches=3, ppo_epochs=2)
    sizes = []
    step = learner._step
    learner._step = lambda samples, part: sizes.append(len(part.entries)) or step(samples, part)
    learner.learn(batch, Clock())
    assert len(sizes) == 6
    assert sum(sizes[:3]) == sum(sizes[3:]) == sum(LENGTHS) * 3


def test_every_parameter_of_both_networks_moves(make, batch):
    learner = make(ppo_epochs=3)
    before = copy.deepcopy(learner.state_dict())
    learner.learn(batch, Clock())
    for name, p in learner.named_parameters():
        assert not torch.equal(p, before[name]), name
    assert learner.value_norm.weight > 0


def test_a_game_without_choices_gives_no_nan(make, batch):
    batch.available.copy_(torch.tensor([True, False, False, False]))
    batch.actions.zero_()
    metrics = make().learn(batch, Clock())
    assert all(value.isfinite() for value in metrics.values())


def test_sampled_actions_follow_the_masked_softmax(make, sizes):
    B, learner = 20_000, make()
    obs = torch.randn(1, 3, sizes.obs_dim, generator=torch.Generator().manual_seed(0)).expand(B, -1, -1)
    available = torch.ones(B, 3, 4, dtype=torch.bool)
    available[:, 0, 2] = False
    available[:, 2] = torch.tensor([False, True, False, False])
    observation = Observation(obs, torch.zeros(B, sizes.state_dim), available)
    actions, memory = learner.act(observation, learner.start(B), Clock())
    assert torch.equal(memory.last_actions, actions)
    logits, _ = learner.actor(learner.inputs_now(observation, learner.start(B))[0], [3], None)
    for i in range(3):
        expected = torch.where(available[0, i], logits[i].exp(), 0.0)
        frequencies = torch.bincount(actions[:, i], minlength=4) / B
        torch.testing.assert_close(frequencies, expected / expected.sum(), atol=0.016, rtol=0)
        assert (frequencies[~available[0, i]] == 0).all()
    joint = learner.joint_policies(observation)["independent"][0]
    assert joint.shape == (4, 4, 4)
    torch.testing.assert_close(joint.sum(), torch.tensor(1.0))
    marginal = torch.where(available[0, 1], logits[1].exp(), 0.0)
    torch.testing.assert_close(joint.sum(dim=(0, 2)), marginal / marginal.sum())


def test_unavailable_actions_are_never_taken(make, sizes, random_available):
    B, learner, generator = 100_000, make(), torch.Generator().manual_seed(0)
    available = random_available(B, 3, 4, generator=generator)
    obs = torch.randn(B, 3, sizes.obs_dim, generator=generator)
    observation = Observation(obs, torch.zeros(B, sizes.state_dim), available)
    for actions in (
        learner.act(observation, learner.start(B), Clock())[0],
        learner.act_greedily(observation, learner.start(B), "independent")[0],
    ):
        assert available.gather(-1, actions.unsqueeze(-1)).all()


@pytest.mark.parametrize("changes", [{}, {"stacked_frames": 4, "recurrent": False}], ids=str)
def test_a_loaded_learner_goes_on_as_the_saved_one(make, batch, through_a_file, assert_same, changes):
    one, other = (make(seed, ppo_epochs=2, num_minibatches=2, **changes) for seed in (0, 1))
    for _ in range(3):
        one.learn(batch, Clock())
    other.load_state_dict(through_a_file(one.state_dict()))
    observation = Observation(batch.obs[:4], batch.state[:4], batch.available[:4])
    for _ in range(3):
        assert_same(one.learn(batch, Clock()), other.learn(batch, Clock()))
        acted = [learner.act(observation, learner.start(4), Clock())[0] for learner in (one, other)]
        assert torch.equal(*acted)
    assert_same(through_a_file(one.state_dict()), through_a_file(other.state_dict()))


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("gamma", 1.5),
        ("gae_lambda", -0.1),
        ("lr", 0.0),
        ("clip", 0.0),
        ("ratio_clip", -0.2),
        ("entropy", -1.0),
        ("huber_delta", 0.0),
        ("ppo_epochs", 0),
        ("num_minibatches", 1.5),
        ("hidden_dim", "many"),
        ("hidden_layers", 0),
        ("activation", "sigmoid"),
        ("gain", 0.0),
        ("recurrent", 3),
        ("chunk_length", 0),
        ("stacked_frames", 0),
        ("value_active_masks", 7),
        ("colour", "red"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(make, argument, value):
    with pytest.raises(ValidationError, match=argument):
        make(**{argument: value})
