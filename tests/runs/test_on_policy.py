"""The on-policy loop: what it collects, when it learns and is evaluated, and that it forgets."""

import pytest
import torch

from macpf.experience.journal import Journal
from macpf.runs.build import build
from macpf.runs.memory import replay_estimate
from macpf.runs.preemption import StopRequests
from macpf.runs.settings import CheckpointSettings, TrackingSettings
from macpf.runs.tracking import Tracker
from macpf.runs.trainer import Trainer, train


@pytest.fixture
def watched(configured, ledger_at, tmp_path):
    """Train MAPPO; the trainer, the (batch, clock) of every update and the rows of the log."""

    def trained(*overrides):
        cfg = configured("algo=mappo", *overrides)
        parts, checkpoints = build(cfg), CheckpointSettings(**cfg.checkpoint)
        ledger = ledger_at(tmp_path / "ledger.jsonl")
        tracker = Tracker(TrackingSettings("disabled"), ledger, attempt=1)
        journal = Journal(tmp_path / "episodes", parts.rollout.row)
        stop = StopRequests()
        trainer = Trainer(parts, ledger, tracker, stop, tmp_path / "c.pt", journal, checkpoints, lambda status: None)
        learn, updates = parts.algorithm.learn, []

        def noted(batch, clock):
            updates.append((batch, clock.env_steps))
            return learn(batch, clock)

        parts.algorithm.learn = noted
        train(trainer)
        return trainer, updates, [row.values for row in ledger.rows]

    return trained


SMAC = ["env=smac", "env.backend=embedded", "map=3m", "env.parallel=4", "env.eval_parallel=4", "budget.eval_episodes=4"]


def test_every_update_learns_from_all_that_was_played_since_the_one_before(watched):
    budget = ["budget.env_steps=900", "budget.eval_interval=300", "algo.rollout.env_steps=200"]
    trainer, updates, _ = watched(*SMAC, *budget)
    before = 0
    for batch, env_steps in updates:
        assert int(batch.filled.sum()) == env_steps - before >= 200
        assert batch.size % 4 == 0
        before = env_steps
    assert trainer.clock.updates == len(updates) >= 2
    assert trainer.clock.env_steps >= 900


def test_what_is_left_of_the_budget_is_not_learnt_from_if_it_is_too_little(watched):
    trainer, updates, rows = watched("budget.env_steps=80", "budget.eval_interval=80")
    assert [env_steps for _, env_steps in updates] == [32, 64]
    assert trainer.clock.env_steps == 80
    assert rows[-1]["env_step"] == 80


def test_a_budget_of_whole_collections_is_learnt_from_to_the_end(watched):
    trainer, updates, rows = watched("budget.env_steps=64", "budget.eval_interval=64")
    assert [env_steps for _, env_steps in updates] == [32, 64]
    assert rows[-1]["clock/updates"] == trainer.clock.updates == 2


def test_it_is_evaluated_on_the_grid_also_while_it_collects(watched):
    _, updates, rows = watched("budget.env_steps=64", "budget.eval_interval=8")
    assert [row["env_step"] for row in rows] == list(range(0, 65, 8))
    assert [row["clock/updates"] for row in rows] == [0, 0, 0, 0, 1, 1, 1, 1, 2]
    assert len(updates) == 2


def test_evaluating_more_often_changes_nothing_else(watched):
    rarely, often = (watched("budget.env_steps=64", f"budget.eval_interval={n}")[0] for n in (64, 8))
    for one, other in zip(rarely.parts.algorithm.parameters(), often.parts.algorithm.parameters(), strict=True):
        assert torch.equal(one, other)


def test_nothing_is_replayed_journalled_or_announced(watched, tmp_path):
    trainer, _, _ = watched("budget.env_steps=64")
    assert len(trainer.parts.replay) == 0
    assert not list(tmp_path.glob("episodes/*"))
    assert replay_estimate(trainer.parts, free=10**12) is None


def test_the_command_trains_to_its_end_and_is_skipped_afterwards(command_here):
    arguments = ("algo=mappo", "budget=smoke", "tracking=disabled", "outputs=o")
    first, second = command_here(*arguments), command_here(*arguments)
    assert first.returncode == second.returncode == 0, first.stderr
    assert "400/400 env steps" in first.stdout
    assert "finished already" in second.stdout
