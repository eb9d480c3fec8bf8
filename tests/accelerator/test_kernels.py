"""Kernels equal what they stand for, values and gradients: on CUDA where there is one, else in Triton's interpreter."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from macpf.experience.packing import Packing
from macpf.learning.recurrence import recur
from macpf.learning.schedules import Clock
from macpf.method.sampling import compiled_choice

WITH = "Triton comes with PyTorch's CUDA builds and the extra dev"
recur_in_one_kernel = pytest.importorskip("macpf.learning.recurrence_kernel", reason=WITH).recur_in_one_kernel
choose_in_one_kernel = pytest.importorskip("macpf.method.choice_kernel", reason=WITH).choose_in_one_kernel
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
pytestmark = [pytest.mark.cuda] if DEVICE == "cuda" else []


def weights_of(gru):
    return [gru.weight_ih_l0, gru.weight_hh_l0, gru.bias_ih_l0, gru.bias_hh_l0]


@pytest.mark.parametrize("H", [64, 16, 5])
@pytest.mark.parametrize("sizes", [(20, 20, 17, 3, 3, 1), (16, 16), (1, 1, 1), (33,)], ids=str)
def test_a_recurrence_in_one_kernel_equals_pytorchs(H, sizes):
    torch.manual_seed(0)
    gru = nn.GRU(7, H)
    x, start = torch.randn(sum(sizes) + 5, 7, requires_grad=True), torch.randn(sizes[0], H, requires_grad=True)
    looked_at = torch.randn(sum(sizes) + 5, H)
    looked_at[sum(sizes) :] = 1e3  # no gradient comes from rows of no sequence

    def gradients(states, last):
        moved = [x, start, *gru.parameters()]
        return [states, last, *(g.cpu() for g in torch.autograd.grad((states * looked_at).sum(), moved))]

    states, last = recur(gru, x[: sum(sizes)], list(sizes), start)
    expected = gradients(nn.functional.pad(states, (0, 0, 0, 5)), last)
    on = x.to(DEVICE), start.to(DEVICE), [w.to(DEVICE) for w in weights_of(gru)]
    packing = Packing.of(sizes, 8)
    packing = Packing(packing.starts.to(DEVICE), packing.size)
    actual = gradients(*(t.cpu() for t in recur_in_one_kernel(*on, packing)))
    assert (actual[0][sum(sizes) :] == 0).all()
    assert (actual[2][sum(sizes) :] == 0).all()
    for one, other in zip(actual, expected, strict=True):
        assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_several_sets_of_weights_at_once_equal_each_alone():
    torch.manual_seed(0)
    grus, sizes = [nn.GRU(3, 16) for _ in range(3)], (5, 4, 4)
    packing = Packing.of(sizes, 4)
    packing = Packing(packing.starts.to(DEVICE), packing.size)
    x, start = torch.randn(3, sum(sizes), 3, device=DEVICE), torch.zeros(3, 5, 16, device=DEVICE)
    together = [torch.stack(of_set).to(DEVICE) for of_set in zip(*map(weights_of, grus), strict=True)]
    states, last = recur_in_one_kernel(x, start, together, packing)
    for k, gru in enumerate(grus):
        alone, alone_last = recur(gru, x[k].cpu(), list(sizes), None)
        assert_close(states[k].cpu(), alone, rtol=1e-5, atol=1e-5)
        assert_close(last[k].cpu(), alone_last, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("depends", [False, True], ids=["all before", "some before"])
@pytest.mark.parametrize("forced", [False, True], ids=["free", "forced"])
@pytest.mark.parametrize("mixed", [None, "available", "all"])
def test_the_choice_in_one_kernel_equals_the_compiled_one(random_available, depends, forced, mixed):
    generator = torch.Generator().manual_seed(3)
    R, N, A = 37, 5, 6
    scores, noise = (torch.randn(R, N, A, generator=generator) for _ in range(2))
    table = torch.randn(N, A, A, generator=generator)
    available = random_available(R, N, A, generator=generator)
    sees = (torch.rand(R, N, N, generator=generator) < 0.5).float().tril(-1) if depends else None
    instead = torch.randint(-3, A, (R, N), generator=generator).clamp(min=-1) if forced else None
    mixture = None
    if mixed is None:
        scores = scores.masked_fill(~available, -1e10) + noise
    else:
        mixture = (available, noise, 0.3, mixed == "all")
    expected = compiled_choice(scores, table, sees, instead, mixture)
    on = [None if t is None else t.to(DEVICE) for t in (scores, table, sees, instead)]
    if mixture is not None:
        mixture = (available.to(DEVICE), noise.to(DEVICE), torch.tensor(0.3, device=DEVICE), mixed == "all")
    assert torch.equal(choose_in_one_kernel(*on, mixture).cpu(), expected)


@pytest.mark.usefixtures("same_noise")
@pytest.mark.parametrize("case", ["macpf", "macpf, release", "macpf_theorem2", "fop", "qmix"])
def test_an_update_with_kernels_equals_one_without(case, make_learner, episodes):
    """Losses, and gradients by their norms: what lies between the kernels fits them."""
    plain, with_kernels = make_learner(case), make_learner(case, device=DEVICE)
    batch, clock = episodes(plain), Clock(env_steps=1000, episodes=100)
    packed = batch.padded().to(DEVICE)
    numbers = {name: torch.full((), n, device=DEVICE) if n else 0.0 for name, n in plain.numbers(clock).items()}
    expected = plain.update(batch, plain.numbers(clock))
    found = with_kernels.update(replace(packed, sizes=replace(packed.sizes, kernels=True)), numbers)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert_close(found[name].cpu(), value, rtol=1e-5, atol=1e-6, msg=lambda m, name=name: f"{name}: {m}")
