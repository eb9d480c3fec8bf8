"""What QMIX, VDN, QPLEX and QTRAN share; what each of them does is in a file of its own."""

import pytest
import torch
from pydantic import ValidationError

from macpf.experience.batch import Observation
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
    cost = {"attention_cost": 0.5} if name == "qplex" else {}
    sum(make_value_based(name, **cost).losses(batch).values()).backward()
    played = batch.filled.bool()
    assert (batch.obs.grad[played] != 0).any(dim=-1).all()
    assert (batch.obs.grad[~played] == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_loaded_learner_goes_on_as_the_saved_one(make_value_based, batch, through_a_file, assert_same, name):
    one, other = (make_value_based(name, seed=seed, target_interval=3) for seed in (0, 1))
    for k in range(4):
        one.learn(batch, Clock(episodes=k))
    other.load_state_dict(through_a_file(one.state_dict()))
    observation = Observation(batch.obs[:4], batch.state[:4], batch.available[:4])
    for k in range(4, 8):
        clock = Clock(episodes=k)
        assert_same(one.learn(batch, clock), other.learn(batch, clock))
        acted = [learner.act(observation, learner.start(4), clock)[0] for learner in (one, other)]
        assert torch.equal(*acted)
    assert_same(through_a_file(one.state_dict()), through_a_file(other.state_dict()))


@pytest.mark.parametrize(
    ("name", "argument", "value"),
    [
        ("vdn", "gamma", 2.0),
        ("vdn", "embed_dim", 32),
        ("qplex", "n_heads", -1),
        ("qplex", "n_kernels", 0),
        ("qplex", "weighted_heads", 2),
        ("qplex", "attention_cost", -1.0),
        ("qplex", "values_in_keys", 3),
        ("qplex", "lr", 0.0),
        ("qtran", "opt_cost", -1.0),
        ("qtran", "nopt_cost", -0.1),
        ("qtran", "embed_dim", 0),
        ("qtran", "hidden_dim", 0),
        ("qtran", "colour", "red"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(make_value_based, name, argument, value):
    with pytest.raises(ValidationError, match=argument):
        make_value_based(name, **{argument: value})
