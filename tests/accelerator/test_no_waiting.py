"""An update asks for no tensor's value, sends nothing to the device and leaves nothing elsewhere.

On the meta device tensors have shapes but no values, so whatever would make the processor wait for a device raises
there, and so does an operation between tensors of two devices.
"""

import contextlib
from dataclasses import replace
from unittest import mock

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from macpf.learning import algorithm as interface
from macpf.learning.schedules import Clock

#: Operations whose result's value or shape the processor waits for.
FORBIDDEN = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "bincount", "equal.")


class NoWaiting(TorchDispatchMode):
    """Raises at operations for which a processor waits, and at copies between devices."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = str(function).removeprefix("aten.")
        elsewhere = any(isinstance(x, torch.Tensor) and not x.is_cpu for x in args)
        assert not (elsewhere and name.startswith(FORBIDDEN)), f"{name} waits for the device"
        if name.startswith("index"):
            by_mask = any(i is not None and i.dtype == torch.bool for i in args[1])
            assert not by_mask, f"{name} by a mask waits for the device"
        result = function(*args, **(kwargs or {}))
        if name.startswith(("_to_copy", "copy_")):
            copied = [x for x in args if isinstance(x, torch.Tensor)]
            devices = {x.device for x in [*copied, result]}
            assert len(devices) == 1, f"{name} goes between {devices}"
        return result


@contextlib.contextmanager
def no_waiting():
    """`NoWaiting`, and no numbers that are sent to a device as they come, of which it hears nothing."""
    tensor = torch.tensor

    def on_the_cpu(*args, device="cpu", **kwargs):
        assert str(device) == "cpu", "a number goes to the device"
        return tensor(*args, **kwargs)

    with NoWaiting(), mock.patch.object(torch, "tensor", on_the_cpu), mock.patch.object(torch, "as_tensor", on_the_cpu):
        yield


class NoGenerator:
    """Stands for a generator of the meta device, which has none."""

    def __init__(self, device):
        self.device = torch.device(device)

    def manual_seed(self, seed):
        return self


@pytest.fixture
def on_meta(monkeypatch, make_learner, episodes):
    """The algorithm of a case and a batch, both on the meta device; kernels that only have the right shapes."""

    def recur(x, start, weights, packing):
        states = (x @ weights[0].t() + weights[2])[:, : start.shape[1]] + weights[1].sum() + weights[3].sum()
        return states, start + packing.lengths().unsqueeze(-1)

    def choose(scores, table, depends, forced, mixture=None):
        assert mixture is None or isinstance(mixture[2], torch.Tensor)
        return (scores + table.sum()).argmax(dim=-1)

    def make(case):
        on_cpu = make_learner(case)
        batch = on_cpu.prepared(episodes(on_cpu).padded()) if on_cpu.on_policy else episodes(on_cpu).padded()
        monkeypatch.setattr(interface.torch, "Generator", NoGenerator)
        learner = make_learner(case, device="meta")
        for module in ("macpf.method.learner", "baselines.fop"):
            monkeypatch.setattr(
                f"{module}.gumbel", lambda shape, generator: torch.empty(shape, device=generator.device)
            )
        monkeypatch.setattr("macpf.learning.recurrence_kernel.recur_in_one_kernel", recur)
        monkeypatch.setattr("macpf.method.choice_kernel.choose_in_one_kernel", choose)
        if on_cpu.on_policy:
            parts = tuple(replace(p, entries=p.entries.to("meta"), before=p.before.to("meta")) for p in batch.parts)
            return learner, replace(batch, episodes=with_kernels(batch.episodes), parts=parts)
        return learner, with_kernels(batch)

    def with_kernels(batch):
        return replace(batch, sizes=replace(batch.sizes, kernels=True)).to("meta")

    return make


def test_an_update_never_waits_for_its_device(case, on_meta):
    pytest.importorskip("triton", reason="kernels are replaced, but where they are")
    learner, batch = on_meta(case)
    numbers = {
        name: torch.full((), value, device="meta") if value else 0.0
        for name, value in learner.numbers(Clock(env_steps=1000, episodes=100)).items()
    }
    with no_waiting():
        metrics = learner.update(batch, numbers)
    assert {value.device.type for value in metrics.values()} == {"meta"}
    assert all(value.shape == () for value in metrics.values())
    assert all(p.device.type == "meta" for p in learner.parameters())


@pytest.mark.parametrize(
    "waiting",
    [
        lambda x: torch.tensor(0.5, device=x.device),
        lambda x: x[x > 0],
        lambda x: x.index_put((x > 0,), torch.zeros(())),
        lambda x: x.nonzero(),
        lambda x: x.sum().item(),
        lambda x: bool(x.sum() > 0),
        lambda x: x.tolist(),
        lambda x: x.cpu(),
        lambda x: torch.ones(3).to(x.device),
        lambda x: x + torch.ones(3),
    ],
)
def test_the_watch_sees_what_waits(waiting):
    with pytest.raises((AssertionError, RuntimeError)), no_waiting():
        waiting(torch.ones(3, device="meta"))
