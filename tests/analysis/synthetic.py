"""Runs as `load_runs` returns them, without any log on disk."""

from collections.abc import Sequence

import pandas as pd

from analysis.runs import FINISHED, FRAME_COLUMNS, REPORT_COLUMNS, Runs
from macpf import names

INTERVAL = 100


def make_runs(*runs: tuple[pd.DataFrame, dict]) -> Runs:
    frame = pd.concat([lines for lines, _ in runs], ignore_index=True)[FRAME_COLUMNS]
    report = pd.DataFrame([line for _, line in runs])
    configs = {line["run"]: line.pop("config") for line in report.to_dict("records")}
    return Runs(frame, report[REPORT_COLUMNS], configs)


def make_run(
    scores: Sequence[float],
    algo: str = "macpf",
    map: str = "8m",
    seed: int = 0,
    *,
    dependent: Sequence[float] | None = None,
    env: str = "smac",
    backend: str = "embedded",
    budget: str = "paper",
    state: str = FINISHED,
    score: str = "win_rate",
    extra: dict[str, float] | None = None,
    settings: dict | None = None,
) -> tuple[pd.DataFrame, dict]:
    """One run with an evaluation every `INTERVAL` steps; `extra` are metrics of its last row."""
    identity = {"algo": algo, "env": env, "map": map, "backend": backend, "budget": budget, "seed": seed}
    identity = {"run": f"{algo}-{env}-{map}-ab12cd34-s{seed}", **identity}
    last = INTERVAL * (len(scores) - 1)
    lines = [(INTERVAL * k, names.score(names.INDEPENDENT, score), v) for k, v in enumerate(scores)]
    lines += [(INTERVAL * k, names.score(names.DEPENDENT, score), v) for k, v in enumerate(dependent or [])]
    lines += [(last, metric, value) for metric, value in (extra or {}).items()]
    frame = pd.DataFrame(lines, columns=["env_step", "metric", "value"]).assign(**identity)
    counts = {"env_step": last, "total": last, "attempts": 1, "gaps": 0, "lost_bytes": 0, "nan": 0}
    config = {
        "config": {"map": {}, "env": {}, "budget": {"eval_interval": INTERVAL, "eval_episodes": 32}, **(settings or {})}
    }
    return frame.sort_values("env_step"), {
        **identity,
        **counts,
        "state": state,
        "commit": "0123456789abcdef",
        "config": config,
    }
