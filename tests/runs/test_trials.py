"""Hydra's launchers: what is over is not started again, whoever sweeps, and scores come back in order."""

from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from hydra_plugins.macpf_launchers import LocalLauncher, SlurmLauncher, launched
from macpf.records.run_state import RunState
from macpf.runs import trials
from macpf.runs.cluster import launcher

ROOT = Path(__file__).parents[2]


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """Launch jobs that play nothing: a run is over once it was played, with its seed as its score."""
    scores: dict[str, float | None] = {}

    def run_state(folder):
        score = scores.get(folder.name)
        if folder.name not in scores:
            return RunState(folder, "missing", {})
        return RunState(folder, "finished" if score is not None else "failed", {"score": {"independent": score}})

    monkeypatch.setattr(trials, "run_state", run_state)
    hydra = {"job": {"config_name": "config"}, "overrides": {"hydra": []}}
    config = OmegaConf.create({"hydra": hydra, "outputs": str(tmp_path)})
    played: list[str] = []

    def launch(*jobs, fail=()):
        def play(left):
            for job in left:
                (seed,) = (part for part in job if part.startswith("seed="))
                played.append(seed)
                scores[seed] = None if seed in fail else float(seed.removeprefix("seed="))
            return [JobReturn(status=JobStatus.COMPLETED, _return_value=scores[job[-1]]) for job in left]

        common = ["budget=smoke", "algo=qmix", f"outputs={tmp_path}"]
        returns = launched([[*common, *job] for job in jobs], config, play)
        now = list(played)
        played.clear()
        return now, [job.return_value for job in returns]

    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        yield launch


def test_runs_that_are_over_give_their_scores_without_being_started(sweep):
    assert sweep(["seed=3"], ["seed=1"]) == (["seed=3", "seed=1"], [3.0, 1.0])
    assert sweep(["seed=1"], ["seed=2"], ["seed=3"]) == (["seed=2"], [1.0, 2.0, 3.0])
    assert sweep(["seed=1"]) == ([], [1.0])


def test_a_configuration_that_a_search_proposes_twice_is_played_once(sweep):
    assert sweep(["seed=4"], ["seed=4"]) == (["seed=4"], [4.0, 4.0])


def test_a_failed_run_has_no_score_and_is_played_again(sweep):
    assert sweep(["seed=1"], ["seed=2"], fail=["seed=2"]) == (["seed=1", "seed=2"], [1.0, None])
    assert sweep(["seed=1"], ["seed=2"]) == (["seed=2"], [1.0, 2.0])


def test_a_trial_that_cannot_be_is_one_line_and_the_others_go_on(sweep, capsys):
    assert sweep(["algo.learner.lr=-1", "seed=7"], ["seed=8"]) == (["seed=8"], [None, 8.0])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: algo.learner")


def test_evaluations_are_never_over(sweep):
    assert sweep(["mode=evaluate", "seed=1"])[0] == ["seed=1"]
    assert sweep(["mode=evaluate", "seed=1"])[0] == ["seed=1"]


@pytest.mark.parametrize(
    ("name", "class_"), [("local", LocalLauncher), ("slurm", SlurmLauncher), ("slurm_gpu", SlurmLauncher)]
)
def test_launchers_are_these(name, class_):
    assert launcher(name, [])._target_ == f"{class_.__module__}.{class_.__name__}"
