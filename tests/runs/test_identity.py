"""A run's folder follows from what changes its results, and from nothing else."""

import hashlib
import json

import pytest
from omegaconf import OmegaConf

from macpf.configuration import CONF, compose, neutral_values
from macpf.runs.identity import Identity, Seeds, result_settings


def test_the_folder_says_what_was_run(configured, tmp_path):
    identity = Identity.of(configured("algo=qmix", "map=p4_12", "seed=7"))
    parts = identity.folder.relative_to(tmp_path).parts
    assert parts[:3] == ("matrix_game", "p4_12", "qmix")
    assert parts[4] == "seed=7"
    assert identity.key == f"qmix-matrix_game-p4_12-{parts[3]}-s7"


def test_what_does_not_change_results_does_not_change_the_hash(configured):
    same = ["seed=3", "device=cpu", "threads=2", "tracking=offline", "checkpoint.every_seconds=1"]
    hashes = {Identity.of(configured(override)).config_hash for override in [*same, "seed=0"]}
    assert len(hashes) == 1


def test_what_changes_results_changes_the_hash(configured):
    different = ["algo.learner.lr=1", "map.payoff=[[1]]", "budget.env_steps=7", "env.parallel=4", "env.backend=other"]
    hashes = {Identity.of(configured(override)).config_hash for override in [*different, "seed=0"]}
    assert len(hashes) == 1 + len(different)


@pytest.mark.parametrize(
    "label",
    [
        "algo.name=another",
        "algo.labels.independent=Q",
        "map.name=another",
        "budget.name=another",
        "profile.name=another",
    ],
)
def test_a_label_is_no_setting(configured, label):
    assert Identity.of(configured(label)).config_hash == Identity.of(configured()).config_hash


def test_two_settings_never_share_a_group(configured):
    one, other = Identity.of(configured("seed=0")), Identity.of(configured("seed=1", "algo.learner.lr=0.1"))
    assert one.group != other.group
    assert Identity.of(configured("seed=1")).group == one.group


def test_budgets_of_the_same_numbers_are_one_run_with_one_name():
    """In the matrix game the laptop's budget is the paper's; in SMAC it is not."""
    game = [Identity.of(compose(f"budget={name}")) for name in ("paper", "laptop", "smoke")]
    assert game[0] == game[1] != game[2]
    assert [identity.budget for identity in game] == ["paper", "paper", "smoke"]
    smac = [Identity.of(compose("env=smac", "map=3m", f"budget={name}")) for name in ("paper", "laptop")]
    assert smac[0].key != smac[1].key
    assert [identity.budget for identity in smac] == ["paper", "laptop"]
    assert Identity.of(compose("budget=paper", "budget.env_steps=400")).budget == "smoke"
    assert Identity.of(compose("budget=paper", "budget.env_steps=401")).budget == "paper"


def test_a_setting_added_later_changes_no_key_while_it_is_neutral(configured, monkeypatch):
    """As if `clip` had come after the runs, with 10 as the value that changes nothing."""
    before = Identity.of(configured())
    plain = result_settings(configured())
    assert plain["algo"]["learner"].pop("clip") == 10.0
    old = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:8]
    assert old != before.config_hash
    more = {**neutral_values(), "algo.learner.clip": 10.0, "no.such.key": 1}
    monkeypatch.setattr("macpf.runs.identity.neutral_values", lambda: more)
    assert Identity.of(configured()).config_hash == old
    assert Identity.of(configured("algo.learner.clip=5.0")).config_hash != old


def test_neutral_values_are_values_of_settings_that_there_are():
    every = [compose(f"env={path.stem}") for path in (CONF / "env").glob("*.yaml")]
    for path, value in neutral_values().items():
        found = [OmegaConf.select(cfg, path, default="absent") for cfg in every]
        assert any(one == value for one in found), path
        assert all(one in (value, "absent") for one in found), path


def test_random_streams_are_never_shared():
    seeds = [value for k in range(100) for value in vars(Seeds.of(k)).values()]
    assert len(set(seeds)) == 500
    assert Seeds.of(3) == Seeds.of(3)
