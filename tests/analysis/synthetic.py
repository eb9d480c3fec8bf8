"""Runs as `load_runs` returns them, without any log on disk."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.runs import DIVERGED, FINISHED, FRAME_COLUMNS, REPORT_COLUMNS, Runs
from macpf import names
from macpf.records.ledger import NAME, End, Evaluation, Ledger, Manifest
from macpf.records.run_state import STATUS, key_of

INTERVAL = 100
ORIGIN = "0f" * 16


def numbered(rows: Sequence[dict[str, Any]], first: int = 0) -> list[dict[str, Any]]:
    """Rows with their numbers and those of the rows before them, as a run writes them."""
    return [
        {**row, names.EVALUATION: number, names.EVALUATION_AFTER: number - 1} for number, row in enumerate(rows, first)
    ]


def write_end(folder: Path) -> None:
    """What a finished run leaves in its folder beside its log: a ledger with its end, and a status."""
    env, map_, algo, _, seed = folder.parts[-5:]
    key = key_of(folder) or ""
    manifest = Manifest(
        **{
            "key": key,
            "origin": ORIGIN,
            "algo": algo,
            "env": env,
            "map": map_,
            "seed": int(seed.removeprefix("seed=")),
        },
        **{"backend": "embedded", "budget": "paper", "score": "return", "labels": {}, "family": algo, "begun": 0.0},
        **{"evaluations": 1, "env_steps": 300, "config": {}, "parameters": {}, "provenance": {}},
    )
    ledger = Ledger.begin(folder / NAME, manifest)
    ledger.append(Evaluation(number=0, after=-1, values={names.ENV_STEP: 300.0}))
    ledger.append(End(state=FINISHED))
    status = {"state": FINISHED, "key": key, "origin": ORIGIN, "env_step": 300, "total_env_steps": 300}
    (folder / STATUS).write_text(json.dumps(status))


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
    state: str | None = None,
    score: str = "win_rate",
    extra: dict[str, float] | None = None,
    settings: dict | None = None,
) -> tuple[pd.DataFrame, dict]:
    """One run with an evaluation every `INTERVAL` steps; `extra` are metrics of its last row.

    As in `load_runs`, it has diverged if a number is NaN or infinite; otherwise it is finished, unless `state` says.
    """
    identity = {"algo": algo, "env": env, "map": map, "backend": backend, "budget": budget, "seed": seed}
    identity = {"run": f"{algo}-{env}-{map}-ab12cd34-s{seed}", **identity}
    last = INTERVAL * (len(scores) - 1)
    lines = [(INTERVAL * k, names.score(names.INDEPENDENT, score), v) for k, v in enumerate(scores)]
    lines += [(INTERVAL * k, names.score(names.DEPENDENT, score), v) for k, v in enumerate(dependent or [])]
    lines += [(last, metric, value) for metric, value in (extra or {}).items()]
    frame = pd.DataFrame(lines, columns=["env_step", "metric", "value"]).assign(**identity)
    nan = sum(not math.isfinite(value) for _, _, value in lines)
    state = state or (DIVERGED if nan else FINISHED)
    counts = {"env_step": last, "total": last, "attempts": 1, "gaps": 0, "lost_bytes": 0, "nan": nan, "note": ""}
    counts |= {"found": len(scores), "expected": len(scores), "origin": ORIGIN}
    config = {
        "config": {"map": {}, "env": {}, "budget": {"eval_interval": INTERVAL, "eval_episodes": 32}, **(settings or {})}
    }
    return frame.sort_values("env_step"), {
        **identity,
        **counts,
        "state": state,
        "counts": state == FINISHED,
        "commit": "0123456789abcdef",
        "config": config,
    }
