"""Env steps per CPU second of the embedded engine with a random policy, whose time is included.

``make bench`` shows one row for each map and batch size; ``python -m benchmarks.test_skirmish`` prints the table of
docs/environments/smac.md.
"""

from __future__ import annotations

import time

import numpy as np
import pytest
from numba import njit

from macpf.envs.smac.maps import load_map, map_names
from macpf.envs.smac.skirmish.battles import Skirmish

#: Maps of few and of many units, for ``make bench``.
MAPS = ("3m", "10m_vs_11m", "MMM2", "corridor", "2c_vs_64zg", "27m_vs_30m")
BATCHES = (1, 8, 32, 128)


@njit(cache=True)
def choose(available, draws, actions):
    """A uniformly drawn available action for each agent."""
    for b in range(available.shape[0]):
        for a in range(available.shape[1]):
            left = int(draws[b, a] * available[b, a].sum())
            for k in range(available.shape[2]):
                if available[b, a, k]:
                    if left == 0:
                        actions[b, a] = k
                        break
                    left -= 1


def play(env: Skirmish, n_steps: int) -> int:
    """Play until `n_steps` env steps have been made by all battles together; new battles begin as others end."""
    random = np.random.default_rng(0)
    step = env.reset()
    actions = np.zeros((env.batch_size, env.spec.n_agents), dtype=np.int64)
    done = 0
    while done < n_steps:
        choose(step.available, random.random(actions.shape), actions)
        step = env.step(actions)
        done += env.batch_size
        over = step.terminated | step.truncated
        if over.any():
            step = env.reset(over)
    return done


@pytest.mark.parametrize("name", MAPS)
def test_random_play(benchmark, name):
    env = Skirmish(name, batch_size=32, seed=0)
    play(env, 64)
    benchmark.pedantic(play, (env, 6400), rounds=5)
    benchmark.extra_info["env_steps_per_second"] = round(6400 / benchmark.stats.stats.median)


def steps_per_second(name: str, batch_size: int, seconds: float = 0.3) -> float:
    """Env steps per CPU second: the median of three measurements."""
    env = Skirmish(name, batch_size, seed=0)
    play(env, 20 * batch_size)
    speeds = []
    for _ in range(3):
        started, done = time.process_time(), 0
        while time.process_time() - started < seconds:
            done += play(env, 50 * batch_size)
        speeds.append(done / (time.process_time() - started))
    return sorted(speeds)[1]


def main() -> None:
    """Print the table of all maps."""
    print("| map | units | " + " | ".join(f"{B} battles" for B in BATCHES) + " |")
    print("|---|---|" + "---|" * len(BATCHES))
    for name in map_names():
        smac_map = load_map(name)
        speeds = [f"{steps_per_second(name, B):,.0f}" for B in BATCHES]
        print(f"| {name} | {smac_map.n_agents + smac_map.n_enemies} | {' | '.join(speeds)} |", flush=True)


if __name__ == "__main__":
    main()
