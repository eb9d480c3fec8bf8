"""Every line of Python on the page about trained policies works as it stands."""

import re
from pathlib import Path

import pytest
from mpe2 import simple_spread_v3

from macpf.configuration import compose
from macpf.runs.identity import Identity
from macpf.runs.job import run

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "trained_policies.md").read_text()
SMALL = ["budget=smoke", "budget.env_steps=100", "budget.eval_interval=100", "budget.eval_episodes=2"]
SMALL += ["env.parallel=2", "env.eval_parallel=2", "algo.replay.burn_in=2", "algo.replay.batch=2"]


@pytest.fixture
def folder(tmp_path):
    cfg = compose("algo=macpf", "env=mpe", *SMALL, "tracking=disabled", f"outputs={tmp_path}")
    run(cfg)
    return Identity.of(cfg).folder


def test_the_lines_on_the_page_work(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    env = simple_spread_v3.parallel_env()
    observations, infos = env.reset(seed=0)
    known = {"folder": folder, "env": env, "observations": observations, "infos": infos}
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    assert len(blocks) == 4
    exec(blocks[0], known)
    assert set(known["actions"]) == {"agent_0", "agent_1", "agent_2"}
    exec(blocks[1], known)
    assert known["total"] < 0
    exec(blocks[2], known)
    assert known["actions"].shape == (8, 3)
    exec(blocks[3], known)
    assert repr(known["same"]) == repr(known["policy"])
