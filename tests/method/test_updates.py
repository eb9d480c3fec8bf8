"""Updates over time: targets, checkpoints, the constructor's checks."""

import copy

import pytest
import torch
from pydantic import ValidationError

from macpf.experience.batch import Observation
from macpf.learning.schedules import Clock


@pytest.fixture
def batch(sizes, ragged_batch):
    return ragged_batch(sizes, [4, 3, 4, 1], cut=[0, 1])


def equal(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_targets_are_copied_after_200_episodes_and_not_before(make_macpf, batch):
    learner = make_macpf()
    old = copy.deepcopy(learner.target.state_dict())
    for episodes, copied in [(1, False), (199, False), (200, True), (201, False), (399, False), (400, True)]:
        learner.learn(batch, Clock(episodes=episodes))
        live = learner.critic.state_dict()
        assert equal(learner.target.state_dict(), live) is copied, episodes
        if not copied:
            assert equal(learner.target.state_dict(), old), episodes
        old = copy.deepcopy(learner.target.state_dict())


def test_the_temperature_follows_the_clock(make_macpf, batch):
    learner = make_macpf()
    assert learner.learn(batch, Clock(env_steps=0))["train/alpha"].item() == pytest.approx(0.5)
    assert learner.learn(batch, Clock(env_steps=500))["train/alpha"].item() == pytest.approx(0.275)


def test_metrics_name_the_four_losses_and_both_norms(make_macpf, batch):
    metrics = make_macpf().learn(batch, Clock())
    assert metrics.keys() == {
        "train/loss/dependent_critic",
        "train/loss/independent_critic",
        "train/loss/dependent_policy",
        "train/loss/independent_policy",
        "train/gradient_norm/actor",
        "train/gradient_norm/critic",
        "train/alpha",
    }
    assert all(value.dim() == 0 and torch.isfinite(value) for value in metrics.values())


@pytest.mark.parametrize("recurrent", [True, False], ids=["recurrent", "feed-forward"])
def test_a_loaded_learner_goes_on_as_the_saved_one_bit_for_bit(
    make_macpf, sizes, ragged_batch, through_a_file, assert_same, recurrent
):
    settings = {"recurrent": recurrent, "target_interval": 3}
    one, other = make_macpf(seed=0, **settings), make_macpf(seed=1, **settings)
    batches = [ragged_batch(sizes, [4, 3, 1], cut=[0], seed=k) for k in range(10)]
    for k in range(4):
        one.learn(batches[k], Clock(env_steps=8 * k, episodes=k))
    other.load_state_dict(through_a_file(one.state_dict()))
    assert_same(through_a_file(one.state_dict()), through_a_file(other.state_dict()))
    for k in range(4, 10):
        clock = Clock(env_steps=8 * k, episodes=k)
        assert_same(one.learn(batches[k], clock), other.learn(batches[k], clock))
        observation = Observation(batches[k].obs[:3], batches[k].state[:3], batches[k].available[:3])
        assert torch.equal(
            one.act(observation, one.start(3), clock)[0], other.act(observation, other.start(3), clock)[0]
        )
    assert_same(through_a_file(one.state_dict()), through_a_file(other.state_dict()))


def test_the_same_seed_learns_the_same(make_macpf, batch, assert_same):
    one, other = make_macpf(), make_macpf()
    for k in range(3):
        assert_same(one.learn(batch, Clock(episodes=k)), other.learn(batch, Clock(episodes=k)))


def test_learning_lowers_the_critics_errors(make_macpf, sizes, ragged_batch):
    """On one-step episodes the targets are the rewards, so regression must reach them."""
    learner = make_macpf(lr=5e-3, recurrent=False)
    batch = ragged_batch(sizes, [1] * 8)
    first = learner.learn(batch, Clock())
    for _ in range(150):
        last = learner.learn(batch, Clock())
    for name in ("train/loss/dependent_critic", "train/loss/independent_critic"):
        assert last[name] < 0.2 * first[name]


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("gamma", 1.5),
        ("gamma", -0.1),
        ("td_lambda", 2.0),
        ("lr", 0.0),
        ("lr", "fast"),
        ("clip", -1.0),
        ("hidden_dim", 0),
        ("hidden_dim", 8.5),
        ("recurrent", "perhaps"),
        ("mixer", "quadratic"),
        ("conditional", "sometimes"),
        ("dependency_set", "all"),
        ("trunk_gradient", 3),
        ("entropy", "none"),
        ("terminal_entropy", "sometimes"),
        ("epsilon_mixing", "everywhere"),
        ("attention_mean", "all"),
        ("plans", {"together": [{"losses": ["dependent_critic"]}]}),
        ("epsilon", 0.1),
        ("embed_dim", 0),
        ("hypernet_dim", -3),
        ("target_interval", 0),
        ("alpha", 0.5),
        ("alpha", {"start": 1.0}),
        ("alpha_rule", "other"),
        ("uniform_share", -0.1),
        ("uniform_share", 1.1),
        ("independent_target", "greedy_dependent"),
        ("colour", "red"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(make_macpf, argument, value):
    with pytest.raises(ValidationError, match=argument):
        make_macpf(**{argument: value})


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"mixer": "nonlinear", "alpha_rule": "by_gain"}, "mixer=linear"),
        ({"mixer": "attention", "independent_target": "dependent"}, "mixer=linear"),
        ({"independent_target": "dependent", "conditional": False}, "conditional=true"),
        ({"independent_target": "dependent", "dependency_set": "visible"}, "dependency_set=predecessors"),
        ({"terminal_entropy": True}, "entropy=mean"),
        ({"plan": "at_once"}, "plan=at_once is not among plans; use in_turn or in_turn_skipping or together"),
        (
            {"plan": "in_turn", "conditional": False, "plans": {"in_turn": [{"losses": [], "moves": []}]}},
            "plans.in_turn must name the losses independent_critic, independent_policy",
        ),
        ({"epsilon": {"start": 2.0, "end": 0.0, "per": "env_steps", "duration": 1, "factor": None}}, "epsilon"),
        (
            {
                "mixer": "attention",
                "alpha": {"start": 1.0, "end": 0.0, "per": "episodes", "duration": 1, "factor": None},
            },
            "alpha",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(make_macpf, changes, names):
    with pytest.raises(ValueError, match=names):
        make_macpf(**changes)
