"""Does it learn? Three algorithms in every run of the tests, all in `make test-long`, for long in `test-learning`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.runs import load_runs
from macpf import names
from macpf.configuration import compose
from macpf.records.run_state import run_state
from macpf.runs.identity import Identity
from macpf.runs.job import run

ROOT = Path(__file__).parents[2]
OFTEN = ["macpf", "qmix", "mappo"]
REST = ["macpf_control", "macpf_nonlinear", "macpf_att", "macpf_theorem2", "fop", "qplex", "qtran", "vdn"]


@pytest.mark.parametrize("algo", [*OFTEN, *(pytest.param(algo, marks=pytest.mark.long) for algo in REST)])
def test_an_easy_game_is_solved_in_a_thousand_episodes(tmp_path, algo):
    overrides = [f"algo={algo}", "map.payoff=[[8,0],[0,2]]", "budget.env_steps=1000", "budget.eval_interval=1000"]
    cfg = compose(*overrides, "tracking=disabled", f"outputs={tmp_path}")
    run(cfg)
    assert set(run_state(Identity.of(cfg).folder).status["score"].values()) == {8.0}


@pytest.mark.learning
def test_the_matrix_game_ends_as_documented(tmp_path):
    """Five seeds of each; the thresholds are those of the 20-seed results in docs/algorithms/macpf.md, scaled."""
    command = [sys.executable, str(ROOT / "run.py"), "-m", "algo=macpf,macpf_tempered,macpf_theorem2"]
    subprocess.run([*command, "seed=0,1,2,3,4", f"outputs={tmp_path}"], check=True, timeout=3000)
    scores: dict[str, list[dict[str, float]]] = {}
    for path in tmp_path.rglob("status.json"):
        scores.setdefault(path.parts[-4], []).append(json.loads(path.read_text())["score"])
    at_optimum = {
        (algo, policy): sum(score[policy] == 8.0 for score in of_seeds)
        for algo, of_seeds in scores.items()
        for policy in (names.INDEPENDENT, names.DEPENDENT)
    }
    assert at_optimum[("macpf", names.DEPENDENT)] == 5
    assert at_optimum[("macpf_theorem2", names.INDEPENDENT)] == 5
    assert at_optimum[("macpf_theorem2", names.DEPENDENT)] == 5
    assert at_optimum[("macpf_tempered", names.INDEPENDENT)] >= 4
    frame = load_runs(tmp_path).frame
    last = frame[(frame.env_step == 10_000) & frame.algo.isin(["macpf", "macpf_theorem2"])]
    for mode in ((0, 0), (3, 3)):
        kept = last[last.metric == names.joint(names.DEPENDENT, mode)].value
        assert len(kept) == 10
        assert (kept >= 0.15).all()
