"""The flat optimiser equals one RMSprop per group; targets are copied on time."""

import copy

import pytest
import torch
from torch import nn

from macpf.learning.optimisation import AdamOptimiser, Optimiser, TargetUpdates, flatten, target_of

LR, CLIP = 0.01, 0.5


@pytest.fixture
def modules():
    return {
        "small": nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)),
        "recurrent": nn.GRU(3, 4, batch_first=True),
    }


def losses(modules, step):
    """In every third step the GRU is no part of the loss; the gradients lie on both sides of the clipping norm."""
    x = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(step))
    small = modules["small"](x).square().mean() * 10.0 ** (step % 3 - 1)
    if step % 3 == 2:
        return small
    return small + modules["recurrent"](x)[0].square().sum() * (0.01 if step % 2 else 5.0)


def test_equals_separate_rmsprops_with_separate_clipping(modules):
    copies = copy.deepcopy(modules)
    separate = {
        name: torch.optim.RMSprop(module.parameters(), lr=LR, alpha=0.99, eps=1e-5) for name, module in copies.items()
    }
    optimiser = Optimiser(modules, LR, CLIP)
    clipped = set()
    for step in range(12):
        norms = optimiser.step(losses(modules, step))
        for rmsprop in separate.values():
            rmsprop.zero_grad(set_to_none=False)
        losses(copies, step).backward()
        for name, rmsprop in separate.items():
            norm = nn.utils.clip_grad_norm_(copies[name].parameters(), CLIP)
            rmsprop.step()
            torch.testing.assert_close(norms[f"train/gradient_norm/{name}"], norm)
            clipped.add((name, bool(norm > CLIP)))
        for name, module in modules.items():
            for here, there in zip(module.parameters(), copies[name].parameters(), strict=True):
                torch.testing.assert_close(here, there, atol=1e-6, rtol=1e-5)
    assert clipped == {(name, big) for name in modules for big in (True, False)}


def assert_views(module, flat):
    start = 0
    for p in module.parameters():
        assert p.data_ptr() == flat.data_ptr() + start * flat.element_size()
        assert p.grad.data_ptr() == flat.grad.data_ptr() + start * flat.element_size()
        start += p.numel()
    assert start == flat.numel()


def test_parameters_and_gradients_stay_views_through_steps_and_loading(modules):
    optimiser = Optimiser(modules, LR, CLIP)
    saved = {name: copy.deepcopy(module.state_dict()) for name, module in modules.items()}
    for step in range(3):
        optimiser.step(losses(modules, step))
    for name, module in modules.items():
        assert_views(module, optimiser.groups[name])
        module.load_state_dict(saved[name])
        assert_views(module, optimiser.groups[name])
        expected = torch.cat([value.flatten() for value in saved[name].values()])
        assert torch.equal(optimiser.groups[name].data, expected)


def test_flattening_changes_no_value():
    module = nn.Linear(3, 2)
    x = torch.ones(1, 3)
    before = module(x)
    flatten(module)
    assert torch.equal(module(x), before)


def test_gradients_do_not_pile_up(modules):
    optimiser = Optimiser(modules, lr=1e-12, clip=1e9)
    first = {k: v.clone() for k, v in optimiser.step(losses(modules, 0)).items()}
    second = optimiser.step(losses(modules, 0))
    for name, norm in first.items():
        torch.testing.assert_close(second[name], norm)


def test_a_target_is_an_equal_copy_without_gradients():
    module = nn.Linear(3, 2)
    target = target_of(module)
    assert torch.equal(target.weight, module.weight)
    assert target.weight.data_ptr() != module.weight.data_ptr()
    assert not any(p.requires_grad for p in target.parameters())
    assert all(p.requires_grad for p in module.parameters())


def test_targets_are_due_when_the_interval_has_passed_since_the_last_copy():
    updates = TargetUpdates(200)
    due = [episodes for episodes in range(0, 1001, 7) if updates.due(episodes)]
    # Multiples of 7: 203 is the first from 200 on, 406 the first from 403 on, then 609 and 812.
    assert due == [203, 406, 609, 812]


def test_asking_twice_copies_once():
    updates = TargetUpdates(200)
    assert [updates.due(n) for n in (199, 200, 200, 399, 400)] == [False, True, False, False, True]


def test_adam_equals_separate_adams_with_separate_clipping(modules):
    copies = copy.deepcopy(modules)
    separate = {name: torch.optim.Adam(module.parameters(), lr=LR, eps=1e-5) for name, module in copies.items()}
    optimiser = AdamOptimiser(modules, LR, CLIP)
    for step in range(12):
        optimiser.step(losses(modules, step))
        for adam in separate.values():
            adam.zero_grad(set_to_none=False)
        losses(copies, step).backward()
        for name, adam in separate.items():
            nn.utils.clip_grad_norm_(copies[name].parameters(), CLIP)
            adam.step()
            for here, there in zip(modules[name].parameters(), copies[name].parameters(), strict=True):
                torch.testing.assert_close(here, there, atol=1e-6, rtol=1e-5)


def test_parts_that_are_not_named_keep_their_averages(modules):
    """As one RMSprop that skips parameters without gradient (PyTorch since 2.0), its group clipped as a whole."""
    copies = copy.deepcopy(modules)
    rmsprop = torch.optim.RMSprop(copies["small"].parameters(), lr=LR, alpha=0.99, eps=1e-5)
    optimiser = Optimiser(modules, LR, CLIP, ["small.0", "small.2", "recurrent"])
    x = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    for step in range(6):

        def loss(small, step=step):
            first = small[0](x).square().mean()
            return first if step % 2 else 10 * small[2](small[0](x).detach()).square().mean()

        rmsprop.zero_grad(set_to_none=True)
        loss(copies["small"]).backward()
        nn.utils.clip_grad_norm_(copies["small"].parameters(), CLIP)
        rmsprop.step()
        norms = optimiser.step(loss(modules["small"]), ["small.0"] if step % 2 else ["small.2"])
        assert norms.keys() == {"train/gradient_norm/small"}
        for here, there in zip(modules["small"].parameters(), copies["small"].parameters(), strict=True):
            torch.testing.assert_close(here, there, atol=1e-6, rtol=1e-5)


def test_a_whole_group_without_gradient_stays_but_its_averages_decay(modules):
    """A gradient of 1 and then 0 twice: v = 0.01, 0.0099, 0.009801; the next gradient of 1 finds 0.01970299."""
    weight = nn.Linear(1, 1, bias=False)
    optimiser = Optimiser({"weight": weight}, lr=1.0, clip=10.0)
    start = weight.weight.item()
    moved = [start]
    for gradient in (1.0, 0.0, 0.0, 1.0):
        optimiser.step(weight.weight.sum() * gradient)
        moved.append(weight.weight.item())
    assert moved[1] - start == pytest.approx(-10.0, rel=1e-3)
    assert moved[3] == moved[2] == moved[1]
    assert moved[4] - moved[3] == pytest.approx(-1 / 0.01970299**0.5, rel=1e-3)


def test_a_part_stays_a_view_of_its_group(modules):
    optimiser = Optimiser(modules, LR, CLIP, ["small.0", "small.2"])
    optimiser.step(losses(modules, 0), ["small.2"])
    assert_views(modules["small"], optimiser.groups["small"])
    assert list(optimiser.parts) == ["small.0", "small.2", "recurrent"]


@pytest.mark.parametrize(
    ("moves", "says"),
    [
        (["large"], "moves=large is not known; use small, recurrent"),
        (["small.7"], "moves=small.7: small has no such module"),
        (["small.0"], "moves=small.0 must be all of small"),
    ],
)
def test_a_name_that_cannot_be_moved_is_refused(modules, moves, says):
    with pytest.raises(ValueError, match=says):
        Optimiser(modules, LR, CLIP, moves)
