"""A recorded update does what the update does, on every batch of its shape; where it does not, it is not used.

What surrounds a recording is tested everywhere, with a stand-in that makes the update again instead of playing it; CUDA
graphs are tested where a CUDA device is found.
"""

import functools

import pytest
import torch
from torch.testing import assert_close

from macpf.learning.capture import Recorder, can_be_recorded
from macpf.learning.schedules import Clock

RECORDED = ["macpf", "macpf, release", "macpf_att", "fop", "fop, release", "qmix", "qplex", "qtran", "vdn", "central"]


def again(update, generator):
    """Stands in for a recording: makes the update as often as one would to warm up, and then whenever it is played."""
    update()
    return update


def clock_of(k):
    return Clock(env_steps=5000 * k, episodes=90 * k, updates=k)


def kept(algorithm):
    """Everything of an algorithm that is a tensor, by name; the random stream, too."""
    state = dict(algorithm.state_dict())
    extra = state.pop("_extra_state")
    state["stream"] = extra["generator"]
    for number, of_parameter in extra["optimiser"]["state"].items():
        state |= {f"{number}/{name}": value for name, value in of_parameter.items()}
    return {name: value.detach().cpu().clone() for name, value in state.items()}


@pytest.fixture
def recorder():
    """Of an algorithm, with a stand-in, and what it says."""

    def make(algorithm, record=again, kernels=False):
        said = []
        made = Recorder(algorithm, said.append, record, kernels)
        return made, said

    return make


@pytest.mark.parametrize("case", RECORDED)
def test_a_recording_serves_all_batches_of_its_shape(case, make_learner, episodes, recorder):
    plain, recorded = make_learner(case), make_learner(case)
    assert can_be_recorded(recorded)
    accelerated, said = recorder(recorded)
    for k in range(5):
        batch = episodes(plain, seed=k, lengths=[9, 8 - k // 2, 5 - k // 2, 2, 1])
        expected, found = plain.learn(batch.padded(), clock_of(k)), accelerated.learn(batch, clock_of(k))
        assert expected.keys() == found.keys()
        for name, value in expected.items():  # numbers are rounded to float32 in their places, which is all
            assert_close(found[name], value, rtol=1e-5, atol=1e-6, msg=lambda m, name=name, k=k: f"{name}, {k}: {m}")
    assert said == []
    assert 1 <= len(accelerated.recordings) <= 3
    assert accelerated.played == 5
    one, other = kept(plain), kept(recorded)
    assert torch.equal(one["stream"], other["stream"])
    for name, value in one.items():
        assert_close(other[name], value, rtol=1e-5, atol=1e-5, msg=lambda m, name=name: f"{name}: {m}")
    assert recorded.target_updates.last == plain.target_updates.last > 0


def test_what_is_off_at_zero_is_recorded_apart(make_learner, episodes, recorder, monkeypatch):
    """Once epsilon has fallen to 0 nothing is mixed in any more; a number that only changes needs no recording."""
    learner = make_learner("macpf, release")
    accelerated, _ = recorder(learner)
    shares = iter([0.5, 0.25, 0.0, 0.0, 0.1])
    monkeypatch.setattr(learner, "numbers", lambda clock: {"alpha": 0.5 + clock.updates, "uniform": next(shares)})
    counts = []
    for k in range(5):
        metrics = accelerated.learn(episodes(learner), Clock(updates=k))
        counts.append(len(accelerated.recordings))
        assert metrics["train/alpha"].item() == 0.5 + k
    assert counts == [1, 1, 2, 2, 2]


def wrong_metric(update, generator):
    def play():
        metrics = update()
        return metrics | {"train/loss/td": metrics["train/loss/td"] * 1.1}

    return play


def wrong_step(learner, update, generator):
    def play():
        metrics = update()
        with torch.no_grad():
            next(learner.parameters()).add_(1.0)
        return metrics

    return play


def no_number(update, generator):
    return lambda: {name: value * float("nan") for name, value in update().items()}


def refused(update, generator):
    update()
    raise RuntimeError("operation not permitted\nwhen stream is capturing")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (wrong_metric, "Unlike: train/loss/td is "),
        (wrong_step, "Unlike: parameters are "),
        (no_number, "is nan instead of"),
        (refused, "RuntimeError: operation not permitted when stream is capturing"),
    ],
)
def test_a_recording_that_fails_is_named_once_and_leaves_no_trace(record, reason, make_learner, episodes, recorder):
    plain, recorded = make_learner("qmix"), make_learner("qmix")
    accelerated, said = recorder(recorded, functools.partial(record, recorded) if record is wrong_step else record)
    for k in range(3):
        batch = episodes(plain, seed=k)
        expected, found = plain.learn(batch, clock_of(k)), accelerated.learn(batch, clock_of(k))
        assert all(torch.equal(expected[name], found[name]) for name in expected)
    (line,) = said
    assert line.startswith("updates cannot be recorded here (")
    assert reason in line
    assert line.endswith("they go on one operation at a time")
    assert accelerated.played == 0
    one, other = kept(plain), kept(recorded)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_loaded_checkpoint_ends_all_recordings(make_learner, episodes, recorder, through_a_file):
    """Loading puts the optimiser's state in other places, of which a recording knows nothing."""
    learner, other = make_learner("macpf"), make_learner("macpf")
    accelerated, said = recorder(learner)
    accelerated.learn(episodes(learner), clock_of(0))
    first = dict(accelerated.recordings)
    accelerated.learn(episodes(learner), clock_of(1))
    assert accelerated.recordings == first
    other.load_state_dict(through_a_file(learner.state_dict()))
    learner.load_state_dict(through_a_file(learner.state_dict()))
    accelerated.learn(episodes(learner), clock_of(2))
    other.learn(episodes(learner).padded(), clock_of(2))
    assert accelerated.recordings.keys() == first.keys()
    assert accelerated.recordings != first
    assert said == []
    one, two = kept(learner), kept(other)
    for name, value in one.items():
        assert_close(two[name], value, rtol=1e-5, atol=1e-5, msg=lambda m, name=name: f"{name}: {m}")


def test_mappo_is_not_recorded(make_learner):
    """Its gradient steps see pieces of episodes, of which there are as many as there happen to be."""
    assert not can_be_recorded(make_learner("mappo"))


@pytest.mark.cuda
@pytest.mark.parametrize("case", RECORDED)
def test_a_graph_equals_the_update_after_a_hundred(case, make_learner, episodes, recorder):
    plain, recorded = make_learner(case, device="cuda"), make_learner(case, device="cuda")
    one_by_one, _ = recorder(plain, kernels=True)
    accelerated, said = recorder(recorded, record=None, kernels=True)
    for k in range(100):
        batch = episodes(plain, seed=k, lengths=[9, 8 - k % 3, 5 - k % 2, 2, 1]).to("cuda")
        expected, found = one_by_one.learn(batch, clock_of(k)), accelerated.learn(batch, clock_of(k))
        for name, value in expected.items():
            assert_close(found[name], value, rtol=1e-6, atol=1e-6, msg=lambda m, name=name, k=k: f"{name}, {k}: {m}")
    assert said == []
    assert accelerated.played == 100
    one, other = kept(plain), kept(recorded)
    assert torch.equal(one.pop("stream"), other.pop("stream"))
    for name, value in one.items():
        assert_close(other[name], value, rtol=1e-6, atol=1e-6, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.cuda
@pytest.mark.parametrize("case", ["macpf", "fop"])
def test_plays_of_a_graph_draw_different_noise(case, make_learner, episodes, recorder):
    learner = make_learner(case, device="cuda")
    for group in learner.optimiser.rule.param_groups:
        group["lr"] = 0.0  # so that only the noise differs
    accelerated, said = recorder(learner, record=None, kernels=True)
    batch = episodes(learner).to("cuda")
    seen = [{n: v.item() for n, v in accelerated.learn(batch, Clock()).items()} for _ in range(4)]
    assert said == []
    assert accelerated.played == 4
    losses = {tuple(v for n, v in metrics.items() if "critic" in n) for metrics in seen}
    assert len(losses) == 4


@pytest.mark.cuda
@pytest.mark.parametrize("case", RECORDED)
def test_kernels_and_graph_equal_plain_pytorch_on_the_processor(case, make_learner, episodes, recorder, same_noise):
    on_cpu, on_gpu = make_learner(case), make_learner(case, device="cuda")
    accelerated, said = recorder(on_gpu, record=None, kernels=True)
    batch = episodes(on_cpu)
    expected, found = on_cpu.learn(batch, clock_of(0)), accelerated.learn(batch.to("cuda"), clock_of(0))
    assert said == []
    for name, value in expected.items():
        assert_close(found[name].cpu(), value, rtol=1e-4, atol=1e-5, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.cuda
@pytest.mark.parametrize("case", ["macpf", "mappo"])
def test_cudnn_finds_its_weights_in_one_piece(case, make_learner, episodes, recwarn):
    learner = make_learner(case, device="cuda")
    learner.learn(episodes(learner).to("cuda"), Clock())
    assert not [warning for warning in recwarn if "contiguous" in str(warning.message)]
