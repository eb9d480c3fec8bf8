"""A finished run that goes on to a larger budget equals one that had it from the beginning, bit for bit."""

import pytest

from macpf.configuration import compose
from macpf.records.ledger import Ledger
from macpf.runs import checkpoint, weights
from macpf.runs.folder import RunFolder
from macpf.runs.identity import Identity
from macpf.runs.job import run
from macpf.runs.trainer import Meter

GAME = ["budget.eval_interval=40", "algo.replay.burn_in=8", "algo.replay.batch=8", "algo.replay.capacity=50"]
MPE = ["env=mpe", "env.parallel=2", "env.eval_parallel=2", "budget.eval_episodes=2", "budget.eval_interval=150"]
OFF = ["algo.replay.burn_in=2", "algo.replay.batch=2", "algo.replay.capacity=7"]
GOALS = ["env=multigoal", *MPE[1:], *OFF]


def trained(root, env_steps, *overrides):
    cfg = compose("tracking=disabled", f"outputs={root}", f"budget.env_steps={env_steps}", *overrides)
    run(cfg)
    folder = RunFolder(Identity.of(cfg).folder)
    return folder, checkpoint.load(folder.checkpoint), Ledger.read(folder.ledger)


def values_of(ledger):
    return [{k: v for k, v in row.values.items() if not k.startswith("time/")} for row in ledger.rows]


def without_times(state):
    return {key: value for key, value in state.items() if key not in ("seconds", "owner", "rows")}


CASES = {
    "recurrent, at an evaluation": (["algo=qmix", "algo.learner.recurrent=true", *GAME], 80, 160),
    "macpf, between evaluations": (["algo=macpf", *GAME], 56, 120),
    "a full replay": (["algo=vdn", *GAME], 96, 128),
    "longer episodes": (["algo=macpf", *MPE, *OFF], 220, 430),
    "sampled at the end": (["algo=fop", *GOALS], 150, 300),
    "on-policy, within a collection": (["algo=mappo", *GAME[:1], "algo.rollout.env_steps=32"], 80, 160),
    "on-policy, after an update": (["algo=mappo", *GAME[:1], "algo.rollout.env_steps=32"], 64, 160),
    "on-policy, longer episodes": (["algo=mappo", *MPE, "algo.rollout.env_steps=100"], 230, 520),
}


@pytest.mark.parametrize("case", CASES)
def test_it_equals_a_run_that_had_the_budget_from_the_beginning(assert_same, tmp_path, capsys, case):
    overrides, short, long = CASES[case]
    _, whole, whole_ledger = trained(tmp_path / "whole", long, *overrides, "checkpoint.keep_replay=true")
    folder, *_ = trained(tmp_path / "parts", short, *overrides, "checkpoint.keep_replay=true")
    assert folder.continuable.exists()
    capsys.readouterr()
    _, parts, ledger = trained(tmp_path / "parts", long, *overrides, "checkpoint.keep_replay=true")
    said = capsys.readouterr().out
    assert f"continues the finished run of {short} env steps in" in said
    assert "resumes at env step" in said
    assert_same(without_times(whole), without_times(parts))
    assert values_of(ledger) == values_of(whole_ledger)
    assert ledger.missing == 0


def test_once_more_and_again(assert_same, tmp_path):
    """From 40 over 80 to 120, the second time from the longer one; the shorter ones stay as they are."""
    overrides = ["algo=qmix", *GAME, "checkpoint.keep_replay=true", "checkpoint.keep=[24]"]
    _, whole, _ = trained(tmp_path / "whole", 120, *overrides)
    folders = [trained(tmp_path / "parts", steps, *overrides)[0] for steps in (40, 80)]
    before = [folder.ledger.read_bytes() for folder in folders]
    folder, parts, ledger = trained(tmp_path / "parts", 120, *overrides)
    assert_same(without_times(whole), without_times(parts))
    assert [folder.ledger.read_bytes() for folder in folders] == before
    assert weights.load(folder.path, 24).about.key == ledger.manifest.key
    assert sorted(map(len, (ledger.attempts,))) == [1]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (["checkpoint.keep_replay=false"], "its replay was not kept (checkpoint.keep_replay=true keeps it)"),
        (
            ["algo.learner.epsilon.factor=null", "algo.learner.epsilon.duration=${budget.env_steps}"],
            "algo.learner.epsilon.duration follows the budget (40 there, 80 here)",
        ),
    ],
)
def test_why_not(tmp_path, capsys, change, why):
    overrides = ["algo=qmix", *GAME, "checkpoint.keep_replay=true", *change]
    trained(tmp_path, 40, *overrides)
    capsys.readouterr()
    trained(tmp_path, 80, *overrides)
    said = capsys.readouterr().out
    assert "starts from scratch, not from the finished run of 40 env steps in" in said
    assert f": {why}\n" in said
    assert "continues" not in said


def test_other_code_begins_anew(tmp_path, capsys, monkeypatch):
    overrides = ["algo=qmix", *GAME, "checkpoint.keep_replay=true"]
    trained(tmp_path, 40, *overrides)
    monkeypatch.setattr("macpf.runs.trainer.commit", lambda: "another")
    trained(tmp_path, 80, *overrides)
    assert "and this is another" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["continuable.pt", "episodes/*.bin"])
def test_what_is_damaged_is_not_gone_on_from(tmp_path, capsys, what):
    overrides = ["algo=qmix", *GAME, "checkpoint.keep_replay=true"]
    folder, *_ = trained(tmp_path, 40, *overrides)
    (path,) = folder.path.glob(what)
    path.write_bytes(path.read_bytes()[:-1])
    longer, *_ = trained(tmp_path, 80, *overrides)
    said = capsys.readouterr().out
    assert "starts from scratch, not from the finished run of 40 env steps in" in said
    assert "damaged" in said
    assert longer.continuable.exists()


def test_runs_of_other_settings_or_seeds_are_not_spoken_of(tmp_path, capsys):
    trained(tmp_path, 40, "algo=qmix", *GAME)
    trained(tmp_path, 80, "algo=qmix", *GAME, "algo.learner.lr=0.001")
    trained(tmp_path, 80, "algo=qmix", *GAME, "seed=1")
    assert "anew" not in capsys.readouterr().out


def test_the_meter_is_whole(tmp_path):
    """What was measured since the last row is part of what is kept."""
    folder, *_ = trained(tmp_path, 56, "algo=macpf", *GAME, "checkpoint.keep_replay=true")
    state = checkpoint.load(folder.continuable)
    assert Meter(*state["meter"]).count == 16
    assert state["rows"][-1]["number"] == 1
