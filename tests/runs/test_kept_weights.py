"""Weights that a run keeps as it goes on, and runs that begin with them."""

import pytest
import torch

import macpf
from macpf.configuration import compose
from macpf.runs import checkpoint, weights
from macpf.runs.build import build
from macpf.runs.command_line import with_quoted_folder
from macpf.runs.errors import ConfigError
from macpf.runs.evaluate import Evaluation
from macpf.runs.identity import Identity, result_settings
from macpf.runs.job import run
from macpf.runs.settings import CheckpointSettings

SMALL = ["budget.env_steps=64", "budget.eval_interval=32", "algo.replay.burn_in=8", "algo.replay.batch=8"]


@pytest.fixture
def small(configured):
    return lambda *overrides: configured(*SMALL, *overrides)


def settings(**given):
    return CheckpointSettings(
        **{"every_seconds": 60, "keep": (), "keep_every": None, "keep_replay": False, "name": None} | given
    )


def test_which_weights_fall_due():
    assert settings(keep=(0, 10, 20)).due(-1, 0) == [0]
    assert settings(keep=(0, 10, 20)).due(0, 9) == []
    assert settings(keep=(20, 10)).due(9, 31) == [10, 20]
    every = settings(keep_every=10)
    assert [every.due(*steps) for steps in ((-1, 0), (0, 10), (10, 19), (19, 41))] == [[], [10], [], [20, 30, 40]]
    assert settings(keep=(10,), keep_every=10).due(0, 12) == [10]


@pytest.mark.parametrize("algo", ["macpf", "mappo"])
def test_kept_weights_are_those_of_that_moment(configured, small, algo):
    rest = ["algo.rollout.env_steps=16"] if algo == "mappo" else []
    making = small if algo == "macpf" else lambda *more: configured(*SMALL[:2], *more)
    cfg = making(f"algo={algo}", "checkpoint.keep=[0,30]", "checkpoint.keep_every=32", *rest)
    assert Identity.of(cfg).key == Identity.of(making(f"algo={algo}", *rest)).key
    run(cfg)
    folder = Identity.of(cfg).folder
    assert weights.kept(folder) == ["step=0", "step=30", "step=32", "step=64"]
    fresh = build(cfg).algorithm.state_dict()
    first = weights.load(folder, 0)
    assert all(torch.equal(fresh[name], tensor) for name, tensor in first.tensors.items())
    last, final = weights.load(folder, "step=64"), weights.load(folder)
    assert last.about == final.about
    assert weights.load(folder, 30).about.env_steps == 32  # eight at once
    short = making(f"algo={algo}", "budget.env_steps=32", *rest)
    run(short)
    assert weights.load(folder, 32).about.digest == weights.load(Identity.of(short).folder).about.digest
    evaluation = Evaluation.of(compose("mode=evaluate", "checkpoint.name=32", with_quoted_folder(f"run={folder}")))
    assert evaluation.about.env_steps == 32
    assert macpf.load_policy(folder, checkpoint=32).about.env_steps == 32
    with pytest.raises(ValueError, match="choose one of: step=0, step=30, step=32, step=64"):
        macpf.load_policy(folder, checkpoint=31)


def test_weights_that_would_never_be_kept_are_not_promised(small):
    for beyond in ("checkpoint.keep=[10,65]", "checkpoint.keep_every=65"):
        with pytest.raises(ConfigError, match=r"env step 65 lies beyond budget\.env_steps=64"):
            build(small(beyond))


def test_a_run_begins_with_given_weights(small, tmp_path):
    source = small("checkpoint.keep=[32]")
    run(source)
    folder = Identity.of(source).folder
    begun = small(with_quoted_folder(f"init_from={folder}"), "algo.learner.lr=0.001")
    state = build(begun).algorithm.state_dict()
    trained = checkpoint.load(folder / "checkpoint.pt")["algorithm"]
    for name, tensor in trained.items():
        if isinstance(tensor, torch.Tensor):
            assert torch.equal(state[name], tensor)
    assert not state["_extra_state"]["optimiser"]["state"]
    run(begun)
    assert Identity.of(begun).folder != folder


def test_which_weights_these_are_is_part_of_what_a_run_is(small, tmp_path):
    source = small("checkpoint.keep=[32]")
    run(source)
    folder, fresh = Identity.of(source).folder, Identity.of(small()).key
    assert "init_from" not in result_settings(small())
    given = Identity.of(small(with_quoted_folder(f"init_from={folder}"))).key
    kept = folder / "weights" / "step=32.safetensors"
    other = Identity.of(small(with_quoted_folder(f"init_from={kept}"))).key
    assert len({fresh, given, other}) == 3
    copied = tmp_path / "elsewhere.safetensors"
    copied.write_bytes(kept.read_bytes())
    assert Identity.of(small(with_quoted_folder(f"init_from={copied}"))).key == other
    copied.write_bytes(kept.read_bytes()[:-1])
    for place, why in (
        (copied, "damaged"),
        (tmp_path / "none", "is not a run folder"),
        (copied / "none", "is not a run folder"),  # below a file
        (kept.with_stem("step=5"), f"its run kept .*{kept.stem}"),
    ):
        with pytest.raises(ConfigError, match=f"init_from: .*{why}"):
            Identity.of(small(with_quoted_folder(f"init_from={place}")))
    with pytest.raises(
        ConfigError,
        match=r"do not fit this algorithm: actor\.trunk\.input\.weight is \[64, 7\] there and .*; take weights of",
    ):
        build(small(with_quoted_folder(f"init_from={folder}"), "algo.learner.hidden_dim=32"))
    with pytest.raises(
        ConfigError, match=r"do not fit this algorithm: they have a parameter .*; take weights of the same"
    ):
        build(small(with_quoted_folder(f"init_from={folder}"), "algo=qmix"))
    (folder / "status.json").write_text((folder / "status.json").read_text().replace("finished", "interrupted"))
    with pytest.raises(ConfigError, match="is interrupted, and its weights may still change; name weights that it"):
        Identity.of(small(with_quoted_folder(f"init_from={folder}")))
