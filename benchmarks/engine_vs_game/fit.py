"""Fit the engine's guessed parameters to the training maps; the test maps are not used.

One parameter after the other is set to the value of its list with the smallest objective, while the others stay as they
are, until a whole round changes nothing. The objective is the mean Kolmogorov-Smirnov distance of lengths plus that of
returns over the training maps of `real_game`, for engine seeds that the reported tables do not use. A value has to be
better by `LEAST_GAIN` twice, the second time with seeds that did not choose it, so that noise does not choose.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.engine_vs_game.random_play import compare, mean_distances
from benchmarks.engine_vs_game.real_game import TRAINING
from macpf.envs.smac.skirmish.parameters import Parameters

#: Values that were considered possible before the first comparison; none is specific to a map.
CHOICES: dict[str, tuple[Any, ...]] = {
    "march_spread": (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0),
    "yielding": (0.5, 0.7, 0.85, 1.0),
    "push": (0.1, 0.2, 0.3),
    "softness": (0.0, 0.06, 0.12),
    "horizon": (0.0, 3.0, 6.0, 9.0),
    "loyalty": (0.3, 1.0, 2.0),
    "enemy_backswing_blocks": (False, True),
    "nearest_at_each_shot": (False, True),
    "scan_interval": (1, 2, 4, 8),
    "help_radius": (0.0, 4.0, 8.0),
    "start_spacing": (1.0, 1.33),
}
SEEDS, OTHER_SEEDS, LEAST_GAIN = (7, 8), (17, 18), 0.01


def objective(parameters: dict[str, Any], episodes: int, seeds: Sequence[int]) -> float:
    """The number to minimise."""
    rows = {name: compare(name, episodes, seeds, parameters) for name in TRAINING}
    return sum(mean_distances(rows, TRAINING))


def fit(start: dict[str, Any], names: Sequence[str], episodes: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """Fit the named parameters from `start` on, reporting each try to `tell`; returns all that were moved or given."""
    best = dict(start)
    lowest, again = objective(best, episodes, SEEDS), objective(best, episodes, OTHER_SEEDS)
    tell(f"{lowest:.3f} at the start, {again:.3f} with other seeds")
    changed = True
    while changed:
        changed = False
        for name in names:
            for value in CHOICES[name]:
                if value == best.get(name, getattr(Parameters, name)):
                    continue
                tried = best | {name: value}
                reached = objective(tried, episodes, SEEDS)
                tell(f"{reached:.3f} {name}={value}")
                if reached >= lowest - LEAST_GAIN:
                    continue
                confirmed = objective(tried, episodes, OTHER_SEEDS)
                tell(f"{confirmed:.3f} {name}={value} with other seeds")
                if confirmed < again - LEAST_GAIN:
                    best, lowest, again, changed = tried, reached, confirmed, True
    return best
