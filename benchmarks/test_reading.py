"""CPU seconds of reading 600 runs of SMAC at the paper's budget: the first time, and from the cache.

A run of 2M steps that is evaluated every 10k of them logs 201 rows of 29 numbers, as MACPF's runs do. Needs 250 MB of
disk; writing the logs takes a few minutes and is not timed.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import wandb

from analysis.__main__ import main

RUNS, STEPS, EVERY = 600, 2_000_000, 10_000
METRICS = [
    *(f"eval/{policy}/{what}" for policy in ("independent", "dependent") for what in ("win_rate", "episode_length")),
    *(f"train/metric_{i}" for i in range(17)),
    *("clock/episodes", "time/wall_seconds", "time/env_steps_per_second"),
]
MAPS = ("3m", "8m", "2s3z", "3s5z", "1c3s5z", "MMM2", "corridor", "27m_vs_30m", "6h_vs_8z", "2c_vs_64zg")
ALGOS = ("macpf", "fop", "qmix", "qplex", "qtran", "mappo")


def write(root: Path, algo: str, map_: str, seed: int) -> None:
    """One offline run, as macpf.runs.tracking writes it."""
    key = f"{algo}-smac-{map_}-ab12cd34-s{seed}"
    folder = root / "smac" / map_ / algo / "ab12cd34" / f"seed={seed}"
    folder.mkdir(parents=True)
    config = {
        **{"algo": algo, "env": "smac", "map": map_, "backend": "embedded", "budget": "paper", "seed": seed},
        **{"run_key": key, "attempt": 1, "total_env_steps": STEPS, "commit": "0123456789ab"},
        **{"evaluations": STEPS // EVERY + 1, "origin": f"{seed:032x}"},
        "config": {"budget": {"name": "paper", "eval_interval": EVERY, "eval_episodes": 32}},
    }
    settings = wandb.Settings(console="off", silent=True, x_disable_stats=True, x_save_requirements=False)
    run = wandb.init(
        mode="offline", dir=folder, project="benchmark", id=key, resume="allow", config=config, settings=settings
    )
    values = np.random.default_rng(seed).random((STEPS // EVERY + 1, len(METRICS)))
    for row, numbers in enumerate(values.tolist()):
        counted = {"clock/updates": 10 * row, "clock/evaluation": row, "clock/evaluation_after": row - 1}
        run.log({"env_step": row * EVERY, **counted, **dict(zip(METRICS, numbers, strict=True))})
    run.summary["done"] = 1
    run.finish()


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    os.environ["WANDB_ERROR_REPORTING"] = "false"  # or wandb looks for the network
    root = tmp_path_factory.mktemp("outputs")
    for algo in ALGOS:
        for map_ in MAPS:
            for seed in range(RUNS // len(ALGOS) // len(MAPS)):
                write(root, algo, map_, seed)
    wandb.teardown()
    yield root
    shutil.rmtree(root)


@pytest.mark.benchmark(timer=time.process_time)
def test_the_first_time(benchmark, outputs, capsys):
    def forget():
        shutil.rmtree(outputs / ".analysis-cache", ignore_errors=True)

    assert benchmark.pedantic(main, (["completeness", "--runs", str(outputs)],), setup=forget, rounds=1) == 0
    assert capsys.readouterr().out.count(" finished ") == RUNS


@pytest.mark.benchmark(timer=time.process_time)
def test_table_2_from_the_cache(benchmark, outputs, tmp_path):
    arguments = ["table2", "--runs", str(outputs), "--out", str(tmp_path)]
    assert main(arguments) == 0
    assert benchmark.pedantic(main, (arguments,), rounds=3) == 0
