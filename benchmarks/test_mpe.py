"""Speed of the particle tasks: env steps of random play, and whole runs of QMIX on simple spread.

``make bench`` shows random play; ``python -m benchmarks.test_mpe`` prints both tables of docs/environments/mpe.md.
"""

from __future__ import annotations

import resource
import tempfile
import time

import numpy as np
import pytest

from benchmarks.conftest import Shape
from benchmarks.test_updates import Yardstick, seconds
from macpf.configuration import compose
from macpf.envs.base import Env
from macpf.envs.mpe.backend import MPE2, make
from macpf.runs import job

#: Episodes of an update: the paper's (appendix C.3), and what EPyMARL and JaxMARL take by default.
BATCHES = (64, 32)


def worlds(task: str, batch_size: int, backend: str = "embedded", rules: str = "paper") -> Env:
    """A task at its configured settings."""
    cfg = compose("env=mpe").env
    return make(backend, task, rules, cfg.rule_sets, 3, 25, "sum", False, batch_size=batch_size, seed=0)


def play(env: Env, n_episodes: int) -> None:
    """Play this many random episodes in each world."""
    random = np.random.default_rng(0)
    for _ in range(n_episodes):
        step = env.reset()
        while not (step.terminated | step.truncated).all():
            step = env.step(random.integers(env.spec.n_actions, size=(env.batch_size, env.spec.n_agents)))


@pytest.mark.parametrize("task", MPE2)
def test_random_play(benchmark, task):
    env = worlds(task, 32)
    play(env, 1)
    benchmark.pedantic(play, (env, 20), rounds=5)
    benchmark.extra_info["env_steps_per_second"] = round(20 * 25 * 32 / benchmark.stats.stats.median)


def steps_per_second(env: Env, n_episodes: int) -> float:
    """Env steps per CPU second of random play: the median of three measurements."""
    play(env, 1)
    speeds = []
    for _ in range(3):
        started = time.process_time()
        play(env, n_episodes)
        speeds.append(n_episodes * env.spec.episode_limit * env.batch_size / (time.process_time() - started))
    return sorted(speeds)[1]


def cpu_seconds(env_steps: int, batch: int) -> float:
    """CPU time, W&B's process included, of a run of QMIX with evaluations as dense as at the budget ``paper``."""
    with tempfile.TemporaryDirectory() as outputs:
        settings = [f"budget.env_steps={env_steps}", "budget.eval_interval=10000", "budget.eval_episodes=20"]
        replay = [f"algo.replay.batch={batch}", f"algo.replay.burn_in={batch}"]
        cfg = compose("algo=qmix", "env=mpe", "map=simple_spread", f"outputs={outputs}", *settings, *replay)
        before = _used()
        job.run(cfg)
        return _used() - before


def _used() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main() -> None:
    """Print the tables; trunk units as in `benchmarks.test_updates`."""
    print("| task | " + " | ".join(f"{B} worlds" for B in (1, 8, 32)) + " | mpe2 |")
    print("|---|---|---|---|---|")
    for task in MPE2:
        speeds = [steps_per_second(worlds(task, B), 1000 // B) for B in (1, 8, 32)]
        speeds.append(steps_per_second(worlds(task, 1, "mpe2", "mpe2"), 20))
        print(f"| {task} | " + " | ".join(f"{speed:,.0f}" for speed in speeds) + " |", flush=True)
    for batch in BATCHES:
        short, long = cpu_seconds(5000, batch), cpu_seconds(15000, batch)
        yardstick = Yardstick(Shape(B=batch, T=25, N=3, O=18, S=54, A=5))
        yardstick.once()
        whole, unit = (long - short) / 400, seconds(yardstick.once, rounds=21)
        print(
            f"QMIX on simple spread, one update of {batch} episodes for each one played, everything included: "
            f"{1 / whole:.0f} updates per CPU second; "
            f"{1e3 * whole:.1f} ms, or {whole / unit:.2f} trunk units of {1e3 * unit:.1f} ms"
        )


if __name__ == "__main__":
    main()
