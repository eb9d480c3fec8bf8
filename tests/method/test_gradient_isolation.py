"""Each loss moves exactly the parameters that the paper says (remarks below eq. 17 and 19)."""

import pytest
import torch

TRUNK, INDEPENDENT, EMBEDDING, CORRECTION, MIXER = "trunk", "independent", "embedding", "correction", "mixer"
GROUPS = {
    f"{owner} {part}"
    for owner, parts in {
        "actor": (TRUNK, INDEPENDENT, EMBEDDING, CORRECTION),
        "critic": (TRUNK, INDEPENDENT, EMBEDDING, CORRECTION, MIXER),
        "target": (TRUNK, INDEPENDENT, EMBEDDING, CORRECTION, MIXER),
    }.items()
    for part in parts
}
MOVED_BY = {
    "dependent_critic": {"critic embedding", "critic correction", "critic mixer"},
    "independent_critic": {"critic trunk", "critic independent", "critic mixer"},
    "dependent_policy": {"actor embedding", "actor correction"},
    "independent_policy": {"actor trunk", "actor independent"},
}


def by_group(learner):
    """All parameters of a learner, by owner and part."""
    groups = {}
    for name, parameter in learner.named_parameters():
        owner, *rest = name.split(".")
        part = next(piece for piece in rest if piece != "agents")
        groups.setdefault(f"{owner} {part}", []).append(parameter)
    return groups


@pytest.mark.parametrize("independent_target", ["independent", "dependent"])
@pytest.mark.parametrize("alpha_rule", ["shared", "by_gain"])
@pytest.mark.parametrize("recurrent", [True, False], ids=["recurrent", "feed-forward"])
@pytest.mark.parametrize("loss", MOVED_BY)
def test_each_loss_moves_its_own_parameters_only(
    make_macpf, sizes, ragged_batch, loss, recurrent, alpha_rule, independent_target
):
    learner = make_macpf(recurrent=recurrent, alpha_rule=alpha_rule, independent_target=independent_target)
    learner.target.requires_grad_(True)  # so that a gradient to the targets would show
    groups = by_group(learner)
    assert groups.keys() == GROUPS
    losses = learner.losses(ragged_batch(sizes, [4, 3, 4, 1], cut=[0, 1]), alpha=0.3)
    for name, parameters in groups.items():
        grads = torch.autograd.grad(losses[loss], parameters, retain_graph=True, allow_unused=True)
        moved = [grad is not None and bool((grad != 0).any()) for grad in grads]
        assert moved == [name in MOVED_BY[loss]] * len(moved), name


def test_the_targets_take_no_gradient(make_macpf):
    assert not any(p.requires_grad for p in make_macpf().target.parameters())


def test_one_backward_pass_of_the_sum_equals_four(make_macpf, sizes, ragged_batch):
    learner = make_macpf()
    losses = learner.losses(ragged_batch(sizes, [4, 3, 4, 1], cut=[0, 1]), alpha=0.3)
    parameters = [*learner.actor.parameters(), *learner.critic.parameters()]
    together = torch.autograd.grad(sum(losses.values()), parameters, retain_graph=True)
    summed = [torch.zeros_like(p) for p in parameters]
    for loss in MOVED_BY:
        grads = torch.autograd.grad(losses[loss], parameters, retain_graph=True, allow_unused=True)
        summed = [s if g is None else s + g for s, g in zip(summed, grads, strict=True)]
    for one, other in zip(together, summed, strict=True):
        torch.testing.assert_close(one, other)


def test_the_authors_way_moves_the_trunk_with_the_dependent_losses_too(make_macpf, sizes, ragged_batch):
    learner = make_macpf(trunk_gradient=True)
    learner.target.requires_grad_(True)
    groups = by_group(learner)
    losses = learner.losses(ragged_batch(sizes, [4, 3, 4, 1], cut=[0, 1]), alpha=0.3)
    for loss, moved_by_paper in MOVED_BY.items():
        trunk = {f"{owner} trunk" for owner in ("actor", "critic") if f"{owner} correction" in moved_by_paper}
        for name, parameters in groups.items():
            grads = torch.autograd.grad(losses[loss], parameters, retain_graph=True, allow_unused=True)
            moved = [grad is not None and bool((grad != 0).any()) for grad in grads]
            assert moved == [name in moved_by_paper | trunk] * len(moved), (loss, name)


def test_without_the_dependent_half_only_equations_17_and_19_are_left(make_macpf, sizes, ragged_batch):
    learner = make_macpf(conditional=False)
    batch = ragged_batch(sizes, [4, 3, 4, 1], cut=[0, 1])
    losses = learner.losses(batch, alpha=0.3)
    assert losses.keys() == {"independent_critic", "independent_policy"}
    unmoved = [*learner.actor.correction_parameters(), *learner.critic["agents"].correction_parameters()]
    assert not any(torch.autograd.grad(sum(losses.values()), unmoved, allow_unused=True))
