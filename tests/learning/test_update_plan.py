"""A plan's steps come in their order, each on losses of the moment, and a plan that cannot be followed is refused."""

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import nn

from macpf.learning.optimisation import Optimiser
from macpf.learning.update_plan import UpdatePlan, UpdateStep, chosen_plan, follow, moved_by


class Number(nn.Module):
    """One parameter."""

    def __init__(self, value):
        super().__init__()
        self.x = nn.Parameter(torch.tensor([value]))


def test_a_later_step_sees_what_an_earlier_one_moved():
    """RMSprop's first step is lr * 10 * sign(gradient): x goes from 3 to 2, and then y x has the gradient 2 in y."""
    one, other = Number(3.0), Number(1.0)
    plan = UpdateStep(losses=("first",), moves=("x",)), UpdateStep(losses=("second",), moves=("y",))
    optimiser = Optimiser({"x": one, "y": other}, lr=0.1, clip=100.0, moves=moved_by(plan))
    of = {"first": lambda: one.x.sum() * 7.0, "second": lambda: (one.x.detach() * other.x).sum()}
    seen = follow(plan, optimiser, lambda step: {name: of[name]() for name in step.losses})
    assert one.x.item() == pytest.approx(2.0, abs=1e-3)
    assert seen["train/loss/first"].item() == 21.0
    assert seen["train/loss/second"].item() == pytest.approx(2.0, abs=1e-3)
    assert seen["train/gradient_norm/x"].item() == 7.0
    assert seen["train/gradient_norm/y"].item() == pytest.approx(2.0, abs=1e-3)


def test_the_logged_norm_is_the_mean_over_the_steps_that_moved_a_group():
    number = Number(1.0)
    plan = UpdateStep(losses=("a",), moves=("x",)), UpdateStep(losses=("b",), moves=("x",))
    optimiser = Optimiser({"x": number}, lr=0.1, clip=1.0, moves=moved_by(plan))
    seen = follow(plan, optimiser, lambda step: {n: number.x.sum() * {"a": 2.0, "b": 6.0}[n] for n in step.losses})
    assert seen["train/gradient_norm/x"].item() == 4.0


PLANS = TypeAdapter(dict[str, UpdatePlan]).validate_python(
    {
        "one": [{"losses": ["a", "b"], "moves": ["x"]}],
        "two": [{"losses": ["a"], "moves": ["x"]}, {"losses": ["b", "a"], "moves": ["x"]}],
        "short": [{"losses": ["a"], "moves": ["x"]}],
        "wrong": [{"losses": ["a", "b", "c"], "moves": ["x"]}],
    }
)


def test_a_plan_is_chosen_by_name():
    assert chosen_plan("two", PLANS, ["a", "b"])[1].losses == ("b", "a")


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ("three", "plan=three is not among plans; use one or short or two or wrong"),
        ("short", "plans.short must name the losses a, b; add b"),
        ("wrong", "plans.wrong must name the losses a, b; drop c"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused(plan, says):
    with pytest.raises(ValueError, match=says):
        chosen_plan(plan, PLANS, ["a", "b"])


def test_a_step_has_nothing_but_losses_and_moves():
    with pytest.raises(ValidationError, match="order"):
        UpdateStep(losses=("a",), moves=("x",), order=1)
