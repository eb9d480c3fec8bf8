"""``mode=evaluate`` plays a trained run again, elsewhere or longer, and says how sure the result is."""

import json
import shutil

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf

from analysis.runs import load_runs
from macpf.configuration import compose
from macpf.records.wandb_file import read_wandb_file
from macpf.runs import checkpoint
from macpf.runs.build import build
from macpf.runs.command_line import runs_named, typed, with_quoted_folder
from macpf.runs.errors import ConfigError, RunRefused
from macpf.runs.evaluate import evaluate, interval
from macpf.runs.identity import Identity
from macpf.runs.job import run
from macpf.runs.trained import manifest_of, reopened, with_choices_of_the_run

SMALL = ["budget.env_steps=60", "budget.eval_interval=60", "budget.eval_episodes=4", "env.parallel=2"]
SMALL += ["env.eval_parallel=4", "algo.replay.burn_in=2", "algo.replay.batch=2"]
SMAC = ["env=smac", "env.backend=embedded", "map=3s_vs_3z", *SMALL]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """One trained run for each list of overrides."""
    root, made = tmp_path_factory.mktemp("runs"), {}

    def trained(*overrides):
        if overrides not in made:
            cfg = compose("budget=smoke", "tracking=disabled", f"outputs={root}", *overrides)
            run(cfg)
            made[overrides] = Identity.of(cfg).folder
        return made[overrides]

    return trained


@pytest.fixture
def evaluating(tmp_path):
    """Evaluate a run as the command line would, with these further arguments."""

    def called(folder, *overrides):
        manifest = manifest_of(folder)
        where = [f"env={manifest.env}", f"map={manifest.map}"]
        asked = ["mode=evaluate", with_quoted_folder(f"run={folder}"), "tracking=disabled", *overrides]
        here = [one for one in where if not any(o.startswith(one.split("=")[0] + "=") for o in overrides)]
        score = evaluate(compose(*here, *asked), asked)
        (newest,) = sorted((folder / "evaluations").iterdir(), key=lambda path: path.stat().st_mtime)[-1:]
        return score, pd.read_parquet(newest / "episodes.parquet"), json.loads((newest / "summary.json").read_text())

    return called


def test_every_episode_of_both_policies_has_a_line(runs, evaluating, capsys):
    folder = runs("algo=macpf", *SMAC)
    score, episodes, summary = evaluating(folder, "evaluate.episodes=7", "seed=5")
    assert list(episodes) == [
        *("policy", "episode", "seed", "score", "return", "length", "battle_won", "dead_allies", "dead_enemies")
    ]
    assert episodes["policy"].tolist() == ["independent"] * 7 + ["dependent"] * 7
    assert episodes["episode"].tolist() == [*range(7)] * 2
    assert set(episodes["seed"]) == {5}
    assert (episodes["score"] == episodes["battle_won"]).all()
    assert episodes["length"].between(1, 150).all()
    told = summary["policies"]["independent"]
    assert told["win_rate"] == score == episodes["score"][:7].mean()
    assert told["dead_enemies"] == pytest.approx(episodes["dead_enemies"][:7].mean())
    assert told["interval"] == "Wilson"
    said = capsys.readouterr().out
    assert "macpf on smac/3s_vs_3z seed=0 after" in said
    assert "independent: win_rate 0.000 [0.000, 0.354] (95%, Wilson), return" in said


def test_more_episodes_begin_with_the_same_ones(runs, evaluating):
    folder = runs("algo=macpf", *SMAC)
    _, few, _ = evaluating(folder, "evaluate.episodes=3", "policy=dependent")
    _, more, _ = evaluating(folder, "evaluate.episodes=9", "policy=dependent")
    pd.testing.assert_frame_equal(few, more[:3])
    _, others, _ = evaluating(folder, "evaluate.episodes=9", "policy=dependent", "seed=1")
    assert not others["return"].equals(more["return"])


def test_it_equals_the_evaluation_in_training(runs, evaluating):
    folder = runs("algo=macpf", "env=mpe", *SMALL, "seed=2")
    cfg = OmegaConf.load(folder / "config.yaml")
    parts = build(cfg)
    parts.algorithm.load_state_dict(checkpoint.load(folder / "checkpoint.pt")["algorithm"])
    expected = parts.evaluator.rollout.play(parts.algorithm, policy="independent").scores
    _, episodes, summary = evaluating(folder, "seed=2", "evaluate.episodes=4")
    np.testing.assert_array_equal(episodes["score"][:4], expected)
    assert summary["policies"]["independent"]["interval"] == "bootstrap"


def test_another_map_engine_and_rules(runs, evaluating):
    folder = runs("algo=macpf", *SMAC)
    _, plain, _ = evaluating(folder, "evaluate.episodes=4")
    _, engine, summary = evaluating(folder, "evaluate.episodes=4", "env.engine.softness=0.2", "env.engine.push=0.4")
    assert summary["env"]["make"]["parameters"]["softness"] == 0.2
    assert not engine["return"].equals(plain["return"])
    with pytest.raises(ConfigError, match="trained on 3s_vs_3z with n_actions=9, but here it is 10"):
        evaluating(folder, "map=3s_vs_4z")
    spread = runs("algo=macpf", "env=mpe", *SMALL, "seed=2")
    _, _, summary = evaluating(spread, "env.rules=mpe2", "evaluate.episodes=4")
    assert summary["env"]["rules"] == "mpe2"
    game = runs("algo=macpf", "algo.replay.burn_in=8", "algo.replay.batch=8", "budget.env_steps=16")
    _, _, summary = evaluating(game, "map=p4_12", "evaluate.episodes=4")
    assert summary["map"]["name"] == "p4_12"


def test_a_run_keeps_what_it_was_trained_with(runs, evaluating):
    folder = runs("algo=qmix", "env=mpe", "env.make.n_agents=2", "env.make.steps=9", *SMALL)
    _, episodes, _ = evaluating(folder, "evaluate.episodes=2")
    assert set(episodes["length"]) == {9}
    _, episodes, _ = evaluating(folder, "evaluate.episodes=2", "env.make.steps=25")
    assert set(episodes["length"]) == {25}
    with pytest.raises(ConfigError, match="n_agents=2, but here it is 3"):
        evaluating(folder, "env.make.n_agents=3")


def test_what_is_typed_wins_over_references_and_the_rest_follows(runs):
    folder = runs("algo=macpf", *SMAC)

    def opened(*changes):
        cfg = compose("env=smac", "map=8m" if "map=8m" in changes else "map=3m", f"run='{folder}'", *changes)
        return OmegaConf.to_container(reopened(cfg, changes), resolve=True)

    assert opened()["env"]["make"]["map_name"] == "3s_vs_3z"
    assert opened("map=8m")["env"]["make"]["map_name"] == "8m"
    assert opened("env.backend=starcraft")["env"]["make"]["backend"] == "starcraft"
    assert opened()["env"]["make"]["parameters"] == opened()["env"]["engine"]
    trained = OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))
    assert opened()["env"]["make"] == trained["env"]["make"]


def test_what_says_what_a_run_is_may_not_be_typed(runs, evaluating):
    folder = runs("algo=macpf", *SMAC)
    for change in ("algo=qmix", "algo.learner.lr=0.1", "budget=smoke", "profile=release"):
        with pytest.raises(
            ConfigError, match=r"is already trained; leave it out\. You may change: policy, checkpoint, evaluate"
        ):
            evaluating(folder, change)
    with pytest.raises(ConfigError, match="policy=foo is none of this algorithm"):
        evaluating(folder, "policy=foo")
    with pytest.raises(ConfigError, match="is not kept in"):
        evaluating(folder, "checkpoint.name=100")
    with pytest.raises(ConfigError, match=r"evaluate\.episodes=0"):
        evaluating(folder, "evaluate.episodes=0")
    with pytest.raises(ConfigError, match="needs a trained run"):
        evaluate(compose("mode=evaluate", "tracking=disabled"))


def test_a_damaged_run_is_refused(runs, evaluating, tmp_path):
    folder = tmp_path / "seed=0"
    shutil.copytree(runs("algo=macpf", *SMAC), folder)
    for path in folder.glob("checkpoint*.pt"):
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RunRefused, match=r"damaged.*; delete .* and train it again"):
        evaluating(folder)


def test_its_log_is_no_training_run(evaluating, tmp_path):
    runs_of = compose("budget=smoke", f"outputs={tmp_path}", "algo=qmix", "env=mpe", *SMALL)
    run(runs_of)
    folder = Identity.of(runs_of).folder
    before = load_runs(tmp_path)
    evaluating(folder, "tracking=offline", "evaluate.episodes=4")
    (log,) = folder.glob("evaluations/*/wandb/offline-run-*/run-*.wandb")
    assert log.name.startswith("run-evaluate-")
    file = read_wandb_file(log)
    assert file.config["evaluated"]["run"] == Identity.of(runs_of).key
    after = load_runs(tmp_path)
    pd.testing.assert_frame_equal(before.report, after.report)
    shutil.move(log, folder / "wandb")  # wherever it lies
    pd.testing.assert_frame_equal(before.report, load_runs(tmp_path).report)


def test_intervals():
    low, high, kind = interval(np.array([1.0] * 8 + [0.0] * 2), "win_rate")
    assert (round(low, 4), round(high, 4), kind) == (0.4902, 0.9433, "Wilson")  # Wilson, 1927, for 8 of 10
    scores = np.random.default_rng(0).normal(3.0, 2.0, 400)
    low, high, kind = interval(scores, "return")
    assert kind == "bootstrap"
    half = 1.96 * scores.std() / 20
    assert low == pytest.approx(scores.mean() - half, abs=0.03)
    assert high == pytest.approx(scores.mean() + half, abs=0.03)
    assert interval(np.array([2.0]), "return")[2] == "none"
    assert interval(np.array([2.0, 2.0]), "return")[:2] == (2.0, 2.0)


def test_the_runs_settings_reach_hydra(runs):
    folder = runs("algo=macpf", *SMAC)
    arguments = typed(["mode=evaluate", f"run={folder}", "env.engine.push=0.3"])
    assert with_choices_of_the_run(arguments)[1:3] == ["env=smac", "map=3s_vs_3z"]
    assert "map=3s_vs_3z" not in with_choices_of_the_run([*arguments, "map=3m"])
    assert with_choices_of_the_run(["algo=qmix"]) == ["algo=qmix"]
    both = typed(["-m", "mode=evaluate", f"run={folder},{folder}"])
    assert runs_named(both) == [str(folder)] * 2


def test_the_command_line_evaluates(runs, command):
    folder = runs("algo=macpf", "algo.replay.burn_in=8", "algo.replay.batch=8", "budget.env_steps=16")
    done = command("mode=evaluate", f"run={folder}", "evaluate.episodes=3", "seed=7", "tracking=disabled")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("dependent: return") == 2  # in- is a part of it
    (path,) = folder.glob("evaluations/*seed=7*/episodes.parquet")
    said = json.loads(pq.read_schema(path).metadata[b"evaluation"])
    assert said["run"] == manifest_of(folder).key


def test_a_sweep_of_evaluations_is_checked_before_it_begins(runs, command_here):
    folder = runs("algo=macpf", "algo.replay.burn_in=8", "algo.replay.batch=8", "budget.env_steps=16")
    done = command_here("-m", "mode=evaluate", f"run={folder}", "checkpoint=12,13", "tracking=disabled")
    assert done.returncode == 2
    assert done.stderr.startswith("error: checkpoint=12 is not kept in")


def test_a_run_that_is_none_is_said_before_hydra_begins():
    with pytest.raises(ConfigError, match="run=nowhere is not a run folder"):
        with_choices_of_the_run(typed(["-m", "mode=evaluate", "run=nowhere,elsewhere"]))
