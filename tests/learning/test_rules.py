"""The rules are PyTorch's, bit for bit, and so is what is saved of them; but they leave PyTorch's compiler out."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from macpf.learning.rules import Adam, RMSprop

RULES = [
    (RMSprop, torch.optim.RMSprop, {"alpha": 0.99, "eps": 1e-5}),
    (Adam, torch.optim.Adam, {"eps": 1e-5}),
]
LR = 0.01


@pytest.fixture
def parameters():
    """Two equal lists of parameters."""
    generator = torch.Generator().manual_seed(0)
    values = [torch.randn(shape, generator=generator) for shape in ((3, 4), (7,))]
    return [nn.Parameter(value.clone()) for value in values], [nn.Parameter(value.clone()) for value in values]


def step(rule, parameters, seed):
    """In every third step, the second parameter has no gradient."""
    generator = torch.Generator().manual_seed(seed)
    for i, p in enumerate(parameters):
        p.grad = None if i and seed % 3 == 2 else torch.randn(p.shape, generator=generator)
    rule.step()


def assert_same(ours, theirs):
    assert all(torch.equal(here, there) for here, there in zip(ours, theirs, strict=True))


@pytest.mark.parametrize(("rule", "pytorch", "settings"), RULES)
def test_twenty_steps_are_those_of_pytorch(rule, pytorch, settings, parameters):
    ours, theirs = parameters
    mine, reference = rule(ours, LR), pytorch(theirs, LR, **settings)
    for seed in range(20):
        step(mine, ours, seed)
        step(reference, theirs, seed)
        assert_same(ours, theirs)


@pytest.mark.parametrize("from_pytorch", [True, False])
@pytest.mark.parametrize(("rule", "pytorch", "settings"), RULES)
def test_what_either_saved_the_other_continues(rule, pytorch, settings, parameters, from_pytorch):
    ours, theirs = parameters
    mine, reference = rule(ours, LR), pytorch(theirs, LR, **settings)
    for seed in range(4):
        step(mine, ours, seed)
        step(reference, theirs, seed)
    if from_pytorch:
        continued = rule(ours, 1.0)
        continued.load_state_dict(reference.state_dict())
    else:
        continued = pytorch(ours, LR, **settings)
        groups = continued.state_dict()["param_groups"]
        continued.load_state_dict({"state": mine.state_dict()["state"], "param_groups": groups})
    for seed in range(4, 8):
        step(continued, ours, seed)
        step(reference, theirs, seed)
        assert_same(ours, theirs)


def test_a_loaded_state_is_a_copy_and_has_the_right_number_of_parameters(parameters):
    ours, _ = parameters
    rule = RMSprop(ours, LR)
    step(rule, ours, 0)
    saved = rule.state_dict()
    other = RMSprop(ours, 1.0)
    other.load_state_dict(saved)
    assert other.param_groups[0]["lr"] == LR
    before = saved["state"][0]["square_avg"].clone()
    step(other, ours, 1)
    assert torch.equal(saved["state"][0]["square_avg"], before)
    with pytest.raises(ValueError, match="of 2 parameters instead of 1"):
        RMSprop(ours[:1], LR).load_state_dict(saved)


def test_training_does_not_load_the_compiler(tmp_path):
    """It would take longer than all else that a short command does."""
    code = (
        "import sys; from macpf.configuration import compose; from macpf.runs.job import run; "
        "overrides = ('budget=smoke', 'tracking=disabled', 'outputs=runs'); "
        "[run(compose(f'algo={algo}', *overrides)) for algo in ('qmix', 'mappo')]; "
        "assert 'torch' in sys.modules; "
        "assert not {'torch._dynamo', 'sympy'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
