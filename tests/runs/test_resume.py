"""A run that stops anywhere and goes on ends as if it had never stopped, bit for bit."""

import functools
import logging

import pytest
import torch

from macpf.configuration import CONF, compose
from macpf.experience.journal import Journal
from macpf.runs import checkpoint
from macpf.runs.build import build
from macpf.runs.errors import Interrupted, RunRefused
from macpf.runs.placement import PLACES, Place
from macpf.runs.settings import CheckpointSettings, TrackingSettings
from macpf.runs.tracking import Tracker
from macpf.runs.trainer import Trainer
from macpf.runs.trainer import train as train_run

TIMES = ("seconds",)
ALGORITHMS = sorted(path.stem for path in (CONF / "algo").glob("*.yaml"))


class StopAfter:
    """Asks for a stop at the n-th safe point."""

    def __init__(self, safe_points):
        self.left = safe_points

    def pending(self):
        self.left -= 1
        return self.left < 0

    def stop(self):
        raise Interrupted(15)


class Rows(Tracker):
    """Keeps the rows instead of writing them."""

    def __init__(self, ledger):
        super().__init__(TrackingSettings("disabled"), ledger, attempt=1)
        self.rows = []

    def log(self, rows):
        self.rows += [{key: value for key, value in row.items() if not key.startswith("time/")} for row in rows]


@pytest.fixture
def train(ledger_at):
    """Train until the given safe point; the checkpoint it leaves, with the episodes in memory, and the rows."""
    return functools.partial(_train, ledger_at)


def _train(ledger_at, cfg, path, safe_points=10**9):
    parts, ledger = build(cfg), ledger_at(path.with_suffix(".jsonl"))
    rows, owner = Rows(ledger), ledger.manifest.owner

    def journal(owner):
        return Journal(path.with_suffix(".episodes"), parts.rollout.row, str(owner))

    settings = CheckpointSettings(**{**cfg.checkpoint, "every_seconds": 1e9})
    stop, nobody = StopAfter(safe_points), lambda progress: None
    trainer = Trainer(parts, ledger, rows, stop, path, journal(owner), settings, nobody)
    state = checkpoint.load(path, owner, journal)
    ledger.go_on_from(state["rows"] if state else [])
    if state is not None:
        trainer.resume(state)
    try:
        train_run(trainer)
        trainer.save()
    except Interrupted:
        pass
    state = checkpoint.load(path, owner)
    state["replay"]["episodes"] = parts.replay.episodes
    state["rows"] = [
        {key: value for key, value in row["values"].items() if not key.startswith("time/")} for row in state["rows"]
    ]
    return state, rows.rows


#: Algorithm, and whether its networks are recurrent; `make test-long` plays all.
KINDS = [(algo, recurrent) for algo in ALGORITHMS if algo != "mappo" for recurrent in (False, True)]
OFTEN = [("macpf", True), ("fop", False)]


@pytest.mark.parametrize(
    ("algo", "recurrent"), [pytest.param(*kind, marks=[] if kind in OFTEN else pytest.mark.long) for kind in KINDS]
)
def test_interrupted_equals_uninterrupted(assert_same, configured, train, tmp_path, algo, recurrent):
    overrides = [f"algo.learner.recurrent={recurrent}", "algo.learner.target_interval=64", "algo.replay.capacity=150"]
    cfg = configured(f"algo={algo}", *overrides)
    whole, rows = train(cfg, tmp_path / "whole.pt")
    pieces = []
    for safe_points in (0, 17, 11, 10**9):
        last, more = train(cfg, tmp_path / "pieces.pt", safe_points)
        pieces += more
    for key in TIMES:
        del whole[key], last[key]
    assert whole["clock"]["updates"] > 200
    assert len(last["replay"]["episodes"]) == 150 < last["replay"]["added"]
    assert_same(whole, last)
    # Rows that were logged twice are equal, and the rest is the same history.
    assert [row for k, row in enumerate(pieces) if row not in pieces[:k]] == rows


@pytest.mark.parametrize("changes", [[], ["algo.learner.recurrent=true"], ["algo.learner.num_minibatches=3"]], ids=str)
def test_interrupted_equals_uninterrupted_on_policy(assert_same, configured, train, tmp_path, changes):
    cfg = configured("algo=mappo", "budget.eval_interval=40", *changes)
    whole, rows = train(cfg, tmp_path / "whole.pt")
    pieces = []
    for safe_points in (0, 3, 5, 10**9):
        last, more = train(cfg, tmp_path / "pieces.pt", safe_points)
        pieces += more
    for key in TIMES:
        del whole[key], last[key]
    assert whole["clock"] == {"env_steps": 400, "episodes": 400, "updates": 12}
    assert whole["replay"]["added"] == 0
    assert_same(whole, last)
    assert [row for k, row in enumerate(pieces) if row not in pieces[:k]] == rows


@pytest.mark.parametrize("changes", [[], ["algo.learner.recurrent=false", "algo.learner.stacked_frames=4"]], ids=str)
def test_interrupted_equals_uninterrupted_on_policy_on_smac(assert_same, configured, train, tmp_path, changes):
    overrides = ["env=smac", "env.backend=embedded", "map=2s3z", "env.eval_parallel=4", "env.parallel=4"]
    budget = ["budget.env_steps=1500", "budget.eval_interval=600", "budget.eval_episodes=4"]
    cfg = configured("algo=mappo", *overrides, *budget, "algo.rollout.env_steps=300", *changes)
    whole, rows = train(cfg, tmp_path / "whole.pt")
    _, rows_before = train(cfg, tmp_path / "parts.pt", safe_points=2)
    parts, rows_again = train(cfg, tmp_path / "parts.pt")
    assert whole["clock"]["updates"] >= 3
    assert_same({k: v for k, v in whole.items() if k not in TIMES}, {k: v for k, v in parts.items() if k not in TIMES})
    assert_same(rows, [*rows_before, *rows_again])


SMAC = [
    *("env=smac", "env.backend=embedded", "map=2s3z", "env.eval_parallel=4", "env.parallel=4"),
    *("budget.env_steps=1500", "budget.eval_interval=600", "budget.eval_episodes=4"),
]
GOALS = [
    *("env=multigoal", "algo.learner.recurrent=true", "env.eval_parallel=4"),
    *("budget.env_steps=1600", "budget.eval_interval=600", "budget.eval_episodes=4"),
]
SPREAD = [
    *("env=mpe", "map=simple_spread", "env.eval_parallel=4"),
    *("budget.env_steps=1600", "budget.eval_interval=600", "budget.eval_episodes=4"),
]


@pytest.mark.parametrize(
    ("algo", "task"),
    [
        *((algo, SMAC) for algo in ("qplex", "macpf profile=release")),
        ("qmix", SPREAD),
        ("central", GOALS),
        pytest.param("fop", GOALS, marks=pytest.mark.long),
        *(
            pytest.param(algo, SMAC, marks=pytest.mark.long)
            for algo in ("macpf", "macpf_control", "macpf_att", "fop", "qmix", "qtran")
        ),
        *(pytest.param("macpf", task, marks=pytest.mark.long) for task in (SPREAD, GOALS)),
    ],
)
def test_interrupted_equals_uninterrupted_with_recurrence(assert_same, configured, train, tmp_path, algo, task):
    cfg = configured(*f"algo={algo}".split(), *task, "algo.replay.batch=4", "algo.replay.burn_in=8")
    whole, rows = train(cfg, tmp_path / "whole.pt")
    _, rows_before = train(cfg, tmp_path / "parts.pt", safe_points=4)
    parts, rows_again = train(cfg, tmp_path / "parts.pt")
    assert_same({k: v for k, v in whole.items() if k not in TIMES}, {k: v for k, v in parts.items() if k not in TIMES})
    assert len(rows) == 4
    assert ("sampled/3/25/y" in rows[-1]) == (task is GOALS)
    assert_same(rows, [*rows_before, *rows_again])


@pytest.fixture(scope="module")
def usual(tmp_path_factory, ledger_at):
    """What `train` returns of a run with no settings of its own, for several tests to look at."""
    path = tmp_path_factory.mktemp("usual")
    overrides = ["budget=smoke", "tracking=disabled", "device=cpu", f"outputs={path}"]
    return _train(ledger_at, compose(*overrides), path / "c.pt")


def test_other_seeds_end_elsewhere(configured, train, tmp_path, usual):
    one, _ = usual
    other, _ = train(configured("seed=1"), tmp_path / "1.pt")
    assert not torch.equal(one["algorithm"]["actor.independent.weight"], other["algorithm"]["actor.independent.weight"])


def test_evaluating_more_often_changes_nothing_else(assert_same, configured, train, tmp_path, usual):
    (rarely, few), (often, rows) = usual, train(configured("budget.eval_interval=8"), tmp_path / "often.pt")
    assert (len(few), len(rows)) == (3, 51)
    besides = (*TIMES, "meter", "rows")
    assert_same(*({key: value for key, value in state.items() if key not in besides} for state in (rarely, often)))


def test_a_run_with_two_copies_goes_on_bit_for_bit(assert_same, configured, train, tmp_path, monkeypatch):
    """As on a GPU, where one copy plays on the CPU; here both are there."""
    monkeypatch.setitem(PLACES, "cpu", Place("cpu", "cpu", twice=True))
    cfg = configured("algo=macpf", *GOALS, "algo.replay.batch=4", "algo.replay.burn_in=8")
    whole, rows = train(cfg, tmp_path / "whole.pt")
    _, before = train(cfg, tmp_path / "parts.pt", safe_points=4)
    parts, after = train(cfg, tmp_path / "parts.pt")
    assert_same({k: v for k, v in whole.items() if k not in TIMES}, {k: v for k, v in parts.items() if k not in TIMES})
    assert_same(rows, [*before, *after])
    assert whole["clock"]["updates"] > 0
    assert not torch.equal(whole["player"], whole["algorithm"]["_extra_state"]["generator"])


def test_one_copy_saves_what_it_always_saved(configured, train, tmp_path):
    assert "player" not in train(configured("algo=qmix"), tmp_path / "c.pt", safe_points=1)[0]


@pytest.mark.cuda
@pytest.mark.parametrize("device", ["cuda", "cuda-only"])
def test_a_run_on_a_gpu_goes_on_from_the_very_state_it_was_killed_in(configured, train, tmp_path, device, caplog):
    """Not bit for bit from there: libraries may add in another order, and recordings are made anew."""
    cfg = configured("algo=macpf", *GOALS, "algo.replay.batch=4", "algo.replay.burn_in=8", f"device={device}")
    whole, rows = train(cfg, tmp_path / "whole.pt")
    state, before = train(cfg, tmp_path / "parts.pt", safe_points=4)
    resumed = build(cfg).placement
    resumed.load_state_dict(state)
    now = resumed.state_dict()
    for name, value in state["algorithm"].items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(now["algorithm"][name].cpu(), value)
    assert torch.equal(now["algorithm"]["_extra_state"]["generator"], state["algorithm"]["_extra_state"]["generator"])
    parts, after = train(cfg, tmp_path / "parts.pt")
    assert parts["clock"]["updates"] > state["clock"]["updates"]
    assert parts["clock"]["env_steps"] >= 1600
    assert [row["env_step"] for row in rows][:1] == [row["env_step"] for row in before][:1] == [0]
    assert len([*before, *after]) == len(rows)
    assert whole["made_with"]["device"] == device
    assert not [r for r in caplog.records if "recorded" in r.message], "the recording gave up"


def test_every_row_has_the_step_at_which_it_was_measured(usual):
    _, rows = usual
    assert [row["env_step"] for row in rows] == [0, 200, 400]
    assert [row["clock/episodes"] for row in rows] == [0, 200, 400]
    assert all("eval/independent/return" in row and "eval/dependent/return" in row for row in rows)
    assert sum(rows[-1][f"eval/dependent/joint/{i}_{j}"] for i in range(4) for j in range(4)) == pytest.approx(1)


@pytest.fixture
def saved(configured, train, tmp_path):
    """A QMIX run stopped after five rounds, its checkpoint's content, and how to write another."""
    path = tmp_path / "c.pt"
    state, _ = train(configured("algo=qmix"), path, safe_points=5)
    (row,) = {episode.dtype for episode in state["replay"].pop("episodes")}
    owner = state["owner"]
    state = checkpoint.load(path, owner)
    journal = Journal(path.with_suffix(".episodes"), row, str(owner))
    return configured("algo=qmix"), path, state, lambda changed: checkpoint.save(path, owner, changed, journal)


def test_a_checkpoint_of_another_device_is_refused_with_the_device_to_type(train, saved):
    cfg, path, state, save = saved
    save(state | {"made_with": state["made_with"] | {"device": "cuda"}})
    with pytest.raises(RunRefused, match="resume with device=cuda"):
        train(cfg, path)


def test_a_checkpoint_that_the_code_outgrew_is_refused(train, saved):
    cfg, path, state, save = saved
    del state["algorithm"]["live.agents.head.weight"]
    save(state)
    with pytest.raises(RunRefused, match=r"does not fit this code .* delete it to start over"):
        train(cfg, path)


def test_going_on_with_other_code_is_said(train, saved, caplog):
    cfg, path, state, save = saved
    save(state | {"made_with": state["made_with"] | {"commit": "0123456"}})
    with caplog.at_level(logging.WARNING):
        train(cfg, path)
    assert "instead of 0123456: no longer bit by bit" in caplog.text


def test_an_interrupted_run_keeps_its_episodes_out_of_the_checkpoint(saved):
    _, path, state, _ = saved
    assert state["replay"].keys() == {"first", "added", "random"}
    assert state["replay"]["added"] > 0
    assert list(path.with_suffix(".episodes").glob("*.bin"))


def test_a_run_that_starts_over_forgets_the_episodes_of_the_one_before(assert_same, train, saved):
    cfg, path, state, _ = saved
    for file in path.parent.glob("c*.pt"):
        file.unlink()
    again, _ = train(cfg, path, safe_points=5)
    assert_same(again["replay"] | {"episodes": None}, state["replay"] | {"episodes": None})
    (segment,) = path.with_suffix(".episodes").iterdir()
    assert int(segment.stem) == 0


def test_a_run_at_its_end_needs_no_episodes(assert_same, configured, train, tmp_path):
    """W&B may have failed to write the log: then the run goes on from its end, even if its episodes are lost."""
    path = tmp_path / "c.pt"
    whole, _ = train(configured("algo=qmix"), path)
    assert whole["replay"]["first"] == whole["replay"]["added"] == 400
    for file in path.with_suffix(".episodes").iterdir():
        file.unlink()
    again, _ = train(configured("algo=qmix"), path)
    assert_same(again["algorithm"], whole["algorithm"])
