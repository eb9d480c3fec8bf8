"""What plays and what learns may be two copies on two devices, of the same parameters at the start of every round."""

import logging

import pytest
import torch

from macpf.learning.schedules import Clock
from macpf.runs import placement
from macpf.runs.build import build
from macpf.runs.errors import ConfigError
from macpf.runs.placement import Place, copy_tensors

SHORT = ["algo=macpf", "env.parallel=8"]
TWICE = Place("cpu", "cpu", twice=True)


@pytest.fixture
def two_copies(monkeypatch):
    """`device=cpu` with two copies, as if they were on two devices."""
    monkeypatch.setitem(placement.PLACES, "cpu", TWICE)


@pytest.mark.usefixtures("two_copies")
def test_parameters_are_copied_once_for_each_round(configured, monkeypatch):
    parts, copies = build(configured(*SHORT)), []
    learner, player = parts.placement.learner, parts.placement.player
    assert learner is not player
    assert all(torch.equal(p, q) for p, q in zip(learner.parameters(), player.parameters(), strict=True))
    monkeypatch.setattr(placement, "copy_tensors", lambda *a: copies.append(1) or copy_tensors(*a))
    played = [parts.rollout.play(parts.placement.player) for _ in range(2)]
    parts.replay.add(episode for round_ in played for episode in round_.episodes)
    for _ in range(3):
        before = [p.detach().clone() for p in player.parameters()]
        for _ in range(4):
            parts.placement.learn(parts.replay.sample(4), Clock())
        assert all(torch.equal(p, q) for p, q in zip(player.parameters(), before, strict=True))
        for _ in range(2):
            assert parts.placement.player is player
            assert all(torch.equal(p, q) for p, q in zip(learner.parameters(), player.parameters(), strict=True))
    assert len(copies) == 3


@pytest.mark.cuda
@pytest.mark.parametrize("device", ["cuda", "cuda-only"])
def test_a_batch_reaches_the_gpu_whole(configured, device):
    cfg = configured(*SHORT)
    cfg.device = device
    parts = build(cfg)
    parts.replay.add(parts.rollout.play(parts.placement.player).episodes)
    batch = parts.replay.sample(4)
    sent = parts.placement._sent(batch)
    for (_, there), (_, here) in zip(sent.tensors(), batch.tensors(), strict=True):
        assert there.is_cuda
        assert torch.equal(there.cpu(), here)


@pytest.mark.cuda
def test_batches_sent_in_a_row_stay_apart(configured):
    """The memory from which the GPU copies is only used again once it was read, however busy the GPU is."""
    parts = build(configured("algo=macpf", "env=smac", "map=3m", "env.backend=embedded", "device=cuda"))
    parts.replay.add(parts.rollout.play(parts.placement.player).episodes)
    here, there = [], []
    for _ in range(20):
        torch.cuda._sleep(10_000_000)
        batch = parts.replay.sample(4)
        assert batch.obs.is_pinned()
        here.append(batch.each(torch.clone))
        there.append(parts.placement._sent(batch))
    for one, other in zip(here, there, strict=True):
        assert all(torch.equal(x, y.cpu()) for (_, x), (_, y) in zip(one.tensors(), other.tensors(), strict=True))


def test_recording_is_refused_where_it_cannot_be(configured):
    cfg = configured(*SHORT)
    cfg.accelerate = "graph"
    with pytest.raises(ConfigError, match="accelerate=graph is impossible: it needs device=cuda; type accelerate=auto"):
        build(cfg)
    cfg.accelerate = "fast"
    with pytest.raises(ConfigError, match="accelerate='fast': input should be 'auto', 'eager' or 'graph'"):
        build(cfg)


def test_on_the_cpu_nothing_is_recorded(configured, caplog):
    caplog.set_level(logging.WARNING)
    assert build(configured(*SHORT)).placement.recorder is None
    assert not caplog.records


def test_kinds_of_numbers_are_copied_each_in_one_go():
    source, to = (torch.nn.BatchNorm1d(3) for _ in range(2))
    source.num_batches_tracked.fill_(2**40 + 1)
    torch.nn.init.normal_(source.weight)
    copy_tensors(source, to)
    assert to.num_batches_tracked.item() == 2**40 + 1
    assert torch.equal(source.weight, to.weight)
