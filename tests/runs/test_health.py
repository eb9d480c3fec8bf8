"""A run stops at the first number that is not finite, says which, and never counts as a result."""

from __future__ import annotations

import math
from types import SimpleNamespace

import hydra
import numpy as np
import pytest
import torch
from torch import nn

from macpf.configuration import compose
from macpf.envs.matrix_game import MatrixGame
from macpf.experience.rollout import NotFinite, Rollout
from macpf.records.ledger import Ledger
from macpf.records.run_state import DIVERGED, FINISHED, UNTRAINED, run_state
from macpf.runs import trainer as trainer_module
from macpf.runs.errors import Diverged, RunRefused, Untrained
from macpf.runs.health import Health, check_parameters
from macpf.runs.identity import Identity
from macpf.runs.job import run


@pytest.mark.parametrize("deferred", [False, True])
def test_the_first_bad_update_is_named(deferred):
    health = Health(deferred)
    values = [torch.tensor([1.0, 2.0]), torch.tensor([1.0, math.inf]), torch.tensor([math.nan, 1.0])]

    def watch_and_check():
        for update, value in enumerate(values, 1):
            health.watch(["train/loss", "train/gradient_norm/agent"], value, update)
        health.check()

    with pytest.raises(Diverged, match="train/gradient_norm/agent is inf at update 2"):
        watch_and_check()


@pytest.mark.parametrize("deferred", [False, True])
def test_an_update_may_have_no_metrics(deferred):
    meter, health = trainer_module.Meter(), Health(deferred)
    for update in (1, 2):
        health.watch({}, meter.add({}), update)
        health.check()
    meter.add_scores(np.array([1.0, 2.0]))
    assert meter.take("return") == {"train/return": 1.5}


def test_metrics_keep_their_names_within_a_row_in_any_order():
    one, two = torch.tensor(1.0), torch.tensor(2.0)
    meter = trainer_module.Meter()
    meter.add({"a": one, "b": two})
    meter.add({"b": two, "a": one})
    with pytest.raises(RunRefused, match="an update measures a, and earlier ones measured a, b; name all of them"):
        meter.add({"a": one})
    assert meter.take("return") == {"a": 1.0, "b": 2.0}
    begun = trainer_module.Meter(["a"], torch.tensor([6.0]), 3, resumed=True)
    begun.add({"c": two})  # the code has changed since the checkpoint
    assert begun.take("return") == {"c": 2.0}


@pytest.mark.parametrize("name", ["env_step", "eval/independent/x", "time/x", "train/return", "_x"])
def test_no_metric_takes_the_name_of_a_column_of_the_runs_own(name):
    with pytest.raises(RunRefused, match=f"an update measures '?{name}'?, which is"):
        trainer_module.Meter().add({name: torch.ones(())}, "return")
    trainer_module.Meter().add({"env_steps_per_update": torch.ones(()), "train/returns": torch.ones(())}, "return")


def test_infinities_that_would_cancel_are_seen():
    with pytest.raises(Diverged, match="a is inf at update 5"):
        Health(deferred=False).watch(["a", "b"], torch.tensor([math.inf, -math.inf]), 5)


def test_a_checked_health_starts_again():
    health = Health(deferred=True)
    health.watch(["a"], torch.tensor([1.0]), 1)
    health.check()
    health.check()
    health.watch(["a"], torch.tensor([math.nan]), 2)
    with pytest.raises(Diverged, match="a is nan at update 2"):
        health.check()


def test_parameters_are_named():
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    check_parameters(network, 3)
    with torch.no_grad():
        network[1].bias[0] = -math.inf
    with pytest.raises(Diverged, match=r"the parameter 1\.bias is -inf after update 3"):
        check_parameters(network, 3)


def ended(cfg):
    return run_state(Identity.of(cfg).folder)


@pytest.mark.parametrize(("algo", "lr"), [("qmix", 1e12), ("macpf", 1e8), ("fop", 1e8), ("mappo", 1e12)])
def test_a_learning_rate_beyond_reason_ends_diverged(configured, algo, lr):
    cfg = configured(f"algo={algo}", f"algo.learner.lr={lr}", "budget.env_steps=2000")
    with pytest.raises(Diverged, match=r"^diverged: .*(is|parameter) .*(nan|inf) (at|after) update \d+") as refused:
        run(cfg)
    assert "\n" not in str(refused.value)
    now = ended(cfg)
    assert now.state == DIVERGED
    assert "update" in now.why
    ledger = Ledger.read(Identity.of(cfg).folder / "ledger.jsonl")
    assert ledger.end is not None
    assert (ledger.end.state, ledger.missing > 0) == ("diverged", True)
    assert all(math.isfinite(value) for row in ledger.rows for value in row.values.values())
    with pytest.raises(Diverged, match=r"delete .* to run it again"):  # and is not begun again
        run(cfg)
    assert Ledger.read(ledger.path).rows == ledger.rows


@pytest.mark.parametrize(
    ("value", "what"), [(np.nan, "reward is nan"), (np.inf, "reward is inf"), (-np.inf, "reward is -inf")]
)
def test_a_reward_that_is_no_number_ends_the_run(configured, monkeypatch, value, what):
    sound = MatrixGame.step
    rounds = 0

    def step(self, actions):
        nonlocal rounds
        shown = sound(self, actions)
        rounds += self.batch_size == 8  # not those of the evaluation
        if rounds == 5:
            shown.reward[3] = value
        return shown

    monkeypatch.setattr(MatrixGame, "step", step)
    cfg = configured("algo=qmix")
    with pytest.raises(Diverged, match=f"{what} in environment 3 after 1 steps of its episode, at env step 32"):
        run(cfg)
    assert ended(cfg).state == DIVERGED


@pytest.mark.parametrize("over", [False, True])
def test_an_observation_that_is_no_number_ends_the_run_unless_its_episode_is_over(over):
    env = hydra.utils.instantiate(compose("env=multigoal").env.make, batch_size=2, seed=0)
    rollout = Rollout(env, bootstrap_at_limit=False, device="cpu")
    running = np.array([True, not over])
    shown = env.reset()
    broken = SimpleNamespace(recorded={name: np.array(field) for name, field in shown.recorded.items()})
    (name, *_) = rollout._numbers
    broken.recorded[name][1] = np.inf
    rows = np.zeros(2, dtype=rollout.row)
    if over:
        rollout._record(broken, rows, running, 4)
    else:
        with pytest.raises(NotFinite, match=f"{name} is inf in environment 1 after 4 steps of its episode"):
            rollout._record(broken, rows, running, 4)


def test_a_run_without_an_update_is_no_result(configured, monkeypatch):
    cfg = configured("algo=qmix")
    monkeypatch.setattr(trainer_module.Trainer, "learned", lambda self, metrics: None)
    with pytest.raises(Untrained, match="no update was made in 400 env steps"):
        run(cfg)
    assert ended(cfg).state == UNTRAINED
    with pytest.raises(Untrained, match="untrained"):
        run(cfg)


def test_a_sound_run_is_finished(configured):
    cfg = configured("algo=qmix")
    assert run(cfg) == pytest.approx(run(cfg))
    assert ended(cfg).state == FINISHED
