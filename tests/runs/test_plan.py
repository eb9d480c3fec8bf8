"""Which runs a figure needs, and what the command makes of how they stand."""

import json
import os
import socket
import subprocess
import time
from collections import Counter
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from macpf.choices import sweep_params
from macpf.configuration import compose
from macpf.records.run_state import run_state
from macpf.runs import cluster, reproduce
from macpf.runs.command_line import with_quoted_folder
from macpf.runs.errors import ConfigError
from macpf.runs.folder import RunFolder
from macpf.runs.identity import Identity
from macpf.runs.plan import PACE, all_of, check_names, cost, expanded, run_states, runs_of, sweep_of
from macpf.yaml_files import BrokenFile


def runs(*names, budget="smoke", seeds=None, more=()):
    return all_of(runs_of([sweep_of(name, budget, seeds, "embedded", list(more)) for name in names]))


#: The map of figure 4, which names none.
USUAL_MAP = "p0_12"


@pytest.fixture(scope="module")
def papers_runs():
    """The overrides of the runs of every figure and table of the paper, by its name; composing them all is slow."""
    names = ("table1", "table2", *(f"figure{number}" for number in (1, 4, 5, 6, 7, 8, 9)))
    return {name: expanded(sweep_of(name, "paper", None, "embedded", [])) for name in names}


def test_the_papers_figures_share_their_runs(papers_runs):
    keys = {name: {frozenset(overrides) for overrides in needed} for name, needed in papers_runs.items()}
    assert {name: len(those) for name, those in keys.items()} == {name: len(n) for name, n in papers_runs.items()}
    # 18 maps x 5 algorithms x 5 seeds; figure 8's MMM and others are table 2's, ablations add 4 maps x 5 seeds each.
    table2 = keys["table2"]
    assert len(table2) == 450
    assert len(keys["figure5"]) == 150
    assert len(keys["figure8"]) == 300
    assert keys["figure5"] | keys["figure8"] == table2
    assert keys["figure6"] < table2
    assert len(keys["figure7"] - table2) == 20
    assert len(keys["figure9"] - table2) == 40
    assert len(keys["table1"]) == 75


def test_a_planned_run_is_the_run_that_the_command_line_trains(configured, tmp_path):
    (planned_run, _) = runs("figure4", seeds=2, more=["algo=qmix", f"outputs={tmp_path}", "tracking=disabled"])
    cfg = configured(*planned_run.overrides)
    assert Identity.of(cfg) == planned_run.identity
    assert planned_run.env_steps == cfg.budget.env_steps


def test_seeds_leave_single_runs_alone_and_change_all_others():
    assert len(runs("figure2", seeds=3)) == 1
    assert Counter(run.identity.seed for run in runs("table1", seeds=2, more=["map=simple_spread"])) == {0: 5, 1: 5}


def test_values_typed_after_an_experiment_replace_its_own():
    experiment = ["map=p0_12,p0_20", "seed=range(0,200)", "algo=" + ",".join(f"a{k}" for k in range(50))]
    assert expanded([*experiment, "map=p4_12", "algo=qmix,fop", "seed=3"]) == [
        ["map=p4_12", "algo=qmix", "seed=3"],
        ["map=p4_12", "algo=fop", "seed=3"],
    ]


def test_all_stands_for_the_papers_figures_and_tables_alone():
    assert check_names(["all"]) == [
        *("figure1", "figure2", "figure4", "figure5", "figure6", "figure7", "figure8", "figure9"),
        *("table1", "table2"),
    ]


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match=r"table3 .* choose from: all, battle, figure"):
        check_names(["table3"])


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ({"state": "finished"}, "damaged"),  # without a ledger nobody believes it
        ({"state": "interrupted", "pid": "words"}, "damaged"),
        ({"state": 3}, "damaged"),
        ({"state": "interrupted", "key": "a", "origin": "54f6"}, "damaged"),
        ({"state": "running", "seconds_left": float("nan")}, "damaged"),
        ([], "damaged"),
        ({"state": "interrupted"}, "interrupted"),
        ({"state": "failed"}, "failed"),
        ({"state": "running", "host": "elsewhere", "updated": time.time()}, "running"),
        ({"state": "running", "host": "elsewhere", "updated": time.time() - 1e5}, "stale"),
        ({"state": "no such word"}, "stale"),
        (None, "missing"),
    ],
)
def test_a_runs_state_is_what_the_status_says_unless_its_process_is_gone(tmp_path, status, state):
    if status is not None:
        (tmp_path / "status.json").write_text(json.dumps(status))
    assert run_state(tmp_path).state == state


def test_a_run_of_this_machine_is_stale_once_its_process_is_gone(tmp_path):
    RunFolder(tmp_path).write_status("running")
    assert run_state(tmp_path).state == "running"
    child = subprocess.Popen(["true"])
    child.wait()
    status = json.loads((tmp_path / "status.json").read_text()) | {"pid": child.pid}
    (tmp_path / "status.json").write_text(json.dumps(status))
    assert run_state(tmp_path).state == "stale"


def test_cost_counts_what_is_left_at_the_speed_that_was_measured(tmp_path):
    two = runs("figure4", budget="paper", seeds=2, more=["algo=qmix", f"outputs={tmp_path}"])
    half = two[0].identity.folder
    half.mkdir(parents=True)
    status = {"env_step": 5000, "total_env_steps": 10000, "steps_per_second": 100.0}
    RunFolder(half).write_status("interrupted", **status)
    price = cost(run_states(two), tmp_path)
    assert price.measured
    assert price.hours == pytest.approx((5000 + 10000) / 100 / 3600)


def test_cost_of_what_nobody_ran_here_follows_speeds_of_the_same_or_the_most_similar_task(tmp_path):
    more = ["algo=qmix", "map=simple_spread", f"outputs={tmp_path}"]
    (known,) = runs("table1", budget="paper", seeds=1, more=more)
    table = pd.read_csv(PACE)
    of_qmix = table[(table.env == "mpe") & (table.algo == "qmix")].set_index("map").env_steps_per_second
    price = cost(run_states([known]), tmp_path)
    assert not price.measured
    assert price.hours == pytest.approx(known.env_steps / of_qmix["simple_spread"] / 3600)
    own = replace(known, identity=replace(known.identity, map="my_task"))
    assert cost(run_states([own]), tmp_path).hours == pytest.approx(known.env_steps / of_qmix.median() / 3600)
    foreign = replace(known, identity=replace(known.identity, env="my_env"))
    everything = table.env_steps_per_second.median()
    assert cost(run_states([foreign]), tmp_path).hours == pytest.approx(known.env_steps / everything / 3600)


def test_there_is_a_speed_for_every_run_of_the_paper(papers_runs):
    needed = set()
    for overrides in chain.from_iterable(papers_runs.values()):
        typed = dict(override.split("=") for override in overrides)
        needed.add((typed["env"], typed.get("map", USUAL_MAP), typed["algo"]))
    assert compose("env=matrix_game").map.name == USUAL_MAP
    assert {env for env, map_, _ in needed if map_ == USUAL_MAP} == {"matrix_game"}
    table = pd.read_csv(PACE)
    assert needed <= set(table[["env", "map", "algo"]].itertuples(index=False, name=None))
    assert not table.duplicated(["env", "map", "algo"]).any()
    assert (table.env_steps_per_second > 0).all()


@pytest.fixture
def fake_squeue(tmp_path, monkeypatch):
    def answers(text: str, code: int = 0):
        program = tmp_path / "bin" / "squeue"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\necho '{text}'\nexit {code}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    return answers


def submitted(outputs: Path, **jobs: str):
    (outputs / cluster.FOLDER).mkdir()
    lines = [json.dumps({"run": run, "job": job}) for run, job in jobs.items()]
    (outputs / cluster.FOLDER / "submitted.jsonl").write_text("\n".join(lines) + "\n")


def test_only_jobs_that_slurm_still_knows_are_queued(tmp_path, fake_squeue):
    submitted(tmp_path, a="7_0", b="7_1")
    fake_squeue("7_1")
    assert cluster.queued(tmp_path) == {"b": "7_1"}


def test_a_run_elsewhere_whose_job_slurm_forgot_is_launched_again(tmp_path, fake_squeue, monkeypatch):
    two = runs("figure4", seeds=2, more=["algo=qmix", f"outputs={tmp_path}"])
    for run in two:
        run.identity.folder.mkdir(parents=True)
        RunFolder(run.identity.folder).write_status("running", host="elsewhere")
    fake_squeue("")
    assert cluster.to_launch(run_states(two), tmp_path) == []
    submitted(tmp_path, **{two[0].identity.key: "7_0"})
    assert cluster.to_launch(run_states(two), tmp_path) == two[:1]
    fake_squeue("7_0")
    assert cluster.to_launch(run_states(two), tmp_path) == []
    monkeypatch.setenv("PATH", "")
    assert cluster.to_launch(run_states(two), tmp_path) == [], "without SLURM's word a run elsewhere is believed"


def test_nothing_is_planned_while_slurm_does_not_answer(tmp_path, fake_squeue):
    submitted(tmp_path, a="7_0")
    fake_squeue("", code=1)
    with pytest.raises(cluster.RunRefused, match="squeue failed"):
        cluster.queued(tmp_path)


@pytest.mark.parametrize("name", ["slurm", "slurm_gpu", "slurm_preemptible"])
def test_every_launcher_can_be_changed_key_by_key(name):
    settings = cluster.launcher(name, ["hydra.launcher.partition=short", "hydra.launcher.mem_gb=3"])
    assert (settings.partition, settings.mem_gb) == ("short", 3)
    assert settings.max_num_timeout > 0
    assert settings.additional_parameters.requeue is True
    assert (settings.gpus_per_node or 0) == (name == "slurm_gpu")
    assert settings.at_once <= min(settings.runs_per_job, settings.cpus_per_task)


@pytest.mark.parametrize("key", ["runs_per_job", "at_once"])
def test_a_job_of_no_runs_is_refused(key):
    with pytest.raises(ConfigError, match=f"{key}=0 has to be at least 1"):
        cluster.submits(cluster.launcher("slurm", [f"hydra.launcher.{key}=0"]))


def test_the_command_plans_asks_and_refuses(tmp_path, capsys):
    arguments = ["figure4", "--launcher=local", "--budget=smoke", f"--runs={tmp_path}", "algo=qmix"]
    assert reproduce.main([*arguments, "--dry-run"]) == 0
    assert "1 runs: 1 missing" in capsys.readouterr().out
    assert not any(tmp_path.iterdir())
    assert reproduce.main(arguments) == 2
    assert "add --yes" in capsys.readouterr().err
    assert not any(tmp_path.rglob("*"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["table3"], "table3 needs no runs or is not known"),
        (["figure4", "algo.learner.nonsense=1"], "no key algo.learner.nonsense"),
        (["figure4", "algo.learner.lr=-1"], "algo.learner.lr=-1: input should be greater than 0"),
        (["figure4", "seed=abc"], "seed='abc': input should be a valid integer"),
        (["figure4", "budget.env_steps=abc", "algo=qmix"], "budget.env_steps='abc'"),
        (["figure4", "outputs=elsewhere"], "--runs"),
        (["figure4", "mode=render", "algo=qmix"], "leave -m out"),
        (["figure4", "--launcher=slrum"], "hydra/launcher=slrum is not known; did you mean slurm? choose one of"),
        (["figure4", "hydra.launcher.nonsense=3"], "no key hydra.launcher.nonsense"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_reproduced_is_refused_in_one_line(tmp_path, capsys, arguments, says):
    for launcher in ("local", "slurm"):
        given = arguments if "launcher" in arguments[-1] else [*arguments, f"--launcher={launcher}"]
        assert reproduce.main([given[0], "--budget=smoke", f"--runs={tmp_path}", "--yes", *given[1:]]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
        assert says in line
    assert not any(tmp_path.iterdir())


def test_folders_of_any_name_are_planned_in(tmp_path, capsys):
    runs = tmp_path / "a=b, (c)"
    assert reproduce.main(["figure2", "--dry-run", "--budget=smoke", "--launcher=local", f"--runs={runs}"]) == 0
    assert "1 runs: 1 missing" in capsys.readouterr().out
    ((needed,),) = runs_of([sweep_of("figure2", "smoke", None, None, [with_quoted_folder(f"outputs={runs}")])])
    assert needed.identity.outputs == runs


def test_a_device_of_other_machines_is_planned_for_them_only():
    sweep = ["algo=qmix", "env=matrix_game", "device=cuda", "budget=smoke"]
    assert len(runs_of([sweep], elsewhere=True)[0]) == 1
    with pytest.raises(ConfigError, match="shows no CUDA device"):
        runs_of([sweep])


def test_nothing_is_played_here_that_slurm_has_queued(tmp_path, capsys, fake_squeue):
    (run,) = runs("figure4", budget="smoke", seeds=1, more=["algo=qmix", f"outputs={tmp_path}"])
    submitted(tmp_path, **{run.identity.key: "7_0"})
    with (tmp_path / cluster.FOLDER / "submitted.jsonl").open("a") as record:
        record.write('{"run": "cut sho')
    fake_squeue("7_0")
    arguments = ["--launcher=local", "--budget=smoke", f"--runs={tmp_path}", "algo=qmix", "--seeds=2", "--yes"]
    assert reproduce.main(["figure4", *arguments]) == 1
    assert "SLURM has 1 of these runs in its queue" in capsys.readouterr().err


def test_a_process_that_began_later_has_the_number_of_one_that_is_gone(tmp_path):
    status = {"state": "running", "pid": os.getpid(), "host": socket.gethostname(), "updated": 0.0}
    (tmp_path / "status.json").write_text(json.dumps(status))
    assert run_state(tmp_path).state == "stale"
    (tmp_path / "status.json").write_text(json.dumps(status | {"updated": time.time()}))
    assert run_state(tmp_path).state == "running"


def test_a_figure_that_fails_does_not_stop_the_others(tmp_path, capfd):
    options = reproduce._parser().parse_args(["all", "--runs", str(tmp_path), "--out", str(tmp_path / "figures")])
    assert reproduce.draw(["table1", "figure1"], options) == 2
    assert capfd.readouterr().err.count("analysis: no runs in") == 2


def test_experiments_beyond_the_paper_are_drawn_as_curves(tmp_path, monkeypatch):
    called = []

    def run(command, **_):
        called.append(command[4:])
        return SimpleNamespace(returncode=0, stdout="--runs", stderr="")

    monkeypatch.setattr(reproduce.subprocess, "run", run)
    options = reproduce._parser().parse_args(["battle", "--runs", str(tmp_path)])
    assert reproduce.draw(["battle", "outcomes", "table1"], options) == 0
    drawn = [command for command in called if "--help" not in command]
    assert [command[: command.index("--runs")] for command in drawn] == [["curves", "battle"], ["outcomes"], ["table1"]]


@pytest.mark.parametrize(
    ("text", "said"), [("algo: qmix\n", "sweeps nothing; list what varies"), ("- a\n", "holds no settings")]
)
def test_an_experiment_without_a_sweep_is_named(tmp_path, monkeypatch, text, said):
    path = tmp_path / "experiment" / "mine.yaml"
    path.parent.mkdir()
    path.write_text(text)
    monkeypatch.setattr("macpf.choices.find", lambda group, name: path)
    with pytest.raises(BrokenFile, match=said) as caught:
        sweep_params("mine")
    assert str(path) in str(caught.value)
