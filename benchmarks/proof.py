"""The share of the ledger and the health checks in a run's CPU time: `python -m benchmarks.proof`.

Each run is trained once, in this process, and the functions that only serve as proof are timed: those that write ledger
rows, and those that check the measurements of updates, the parameters, and what environments show.
"""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any
from unittest import mock

from macpf.configuration import compose
from macpf.experience.rollout import Rollout
from macpf.records.ledger import Ledger
from macpf.runs import trainer
from macpf.runs.health import Health
from macpf.runs.job import run

RUNS = {
    "QMIX, matrix game, 10,000 steps": "algo=qmix env=matrix_game",
    "MACPF, matrix game, 10,000 steps": "algo=macpf env=matrix_game",
    "QMIX, 3m, 10,000 steps": "algo=qmix env=smac map=3m budget.env_steps=10000 budget.eval_interval=5000",
    "MACPF, MMM2, 10,000 steps": "algo=macpf env=smac map=MMM2 budget.env_steps=10000 budget.eval_interval=5000",
}


def main() -> None:
    """Print each run's CPU seconds and the share of each kind of proof, without the time of reading the clock."""
    clock = cost_of_the_clock()
    for name, overrides in RUNS.items():
        spent: dict[str, float] = defaultdict(float)

        def timed(what: str, function: Callable[..., Any], spent: dict[str, float] = spent) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                begun = time.process_time_ns()
                try:
                    return function(*args, **kwargs)
                finally:
                    spent[what] += (time.process_time_ns() - begun) / 1e9 - clock

            return call

        with (
            tempfile.TemporaryDirectory() as outputs,
            mock.patch.object(Ledger, "append", timed("ledger", Ledger.append)),
            mock.patch.object(Health, "watch", timed("what updates measure", Health.watch)),
            mock.patch.object(trainer, "check_parameters", timed("parameters", trainer.check_parameters)),
            mock.patch.object(Rollout, "_check", staticmethod(timed("what environments show", Rollout._check))),
        ):
            cfg = compose(*overrides.split(), "env.backend=" + ("embedded" if "smac" in overrides else "builtin"))
            cfg.outputs, cfg.tracking.mode = outputs, "disabled"
            begun = time.process_time()
            run(cfg)
            total = time.process_time() - begun
        shares = ", ".join(f"{what} {seconds / total:.2%}" for what, seconds in spent.items())
        print(f"{name}: {total:.1f} CPU s, of it {sum(spent.values()) / total:.2%}: {shares}")


def cost_of_the_clock(times: int = 100_000) -> float:
    """Seconds between two readings of the clock with nothing in between."""
    spent = 0
    for _ in range(times):
        begun = time.process_time_ns()
        spent += time.process_time_ns() - begun
    return spent / times / 1e9


if __name__ == "__main__":
    main()
