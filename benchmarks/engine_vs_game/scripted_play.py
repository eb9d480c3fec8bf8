"""Scripted teams on the embedded engine, and how much their scores depend on parameters that nobody can check here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.engine_vs_game.rounds import BATCH, rounds, table
from macpf.envs.smac.scripted import POLICIES, plays
from macpf.envs.smac.skirmish.battles import Skirmish

#: Percentage points by which one policy is clearly better than another.
CLEARLY = 10

#: Win rates in % of SMAC's heuristic in the real game, from the SMAC paper as we remember it: approximate.
REAL_HEURISTIC = {
    "2s3z": 90, "1c3s5z": 81, "bane_vs_bane": 43, "3s5z": 42, "10m_vs_11m": 12, "2s_vs_1sc": 0, "5m_vs_6m": 0,
    "3s_vs_5z": 0, "2c_vs_64zg": 0, "MMM2": 0, "3s5z_vs_3s6z": 0, "27m_vs_30m": 0, "6h_vs_8z": 0, "corridor": 0,
}  # fmt: skip
#: Other parameters, as possible as the defaults, on which a score should not depend.
ENSEMBLE: tuple[dict[str, Any], ...] = (
    {"start_turn": 90}, {"start_turn": 180}, {"start_turn": 270}, {"start_spacing": 1.33}, {"march_spread": 1},
    {"yielding": 0.5}, {"horizon": 3}, {"nearest_at_each_shot": False}, {"spawn_jitter": 0.25},
)  # fmt: skip


@dataclass(frozen=True)
class Score:
    """The results of a policy on a map.

    Attributes:
        wins: share of battles won.
        mean_return: mean sum of rewards.
        length: mean env steps.
    """

    wins: float
    mean_return: float
    length: float


def battles(env: Skirmish, policy: str, episodes: int, seed: int) -> Score:
    """Play at least `episodes` battles, in rounds of one for each environment of the batch."""
    new_policy = partial(POLICIES[policy], env, np.random.default_rng(seed))
    wins, returns, lengths = zip(*rounds(env, episodes, new_policy), strict=True)
    return Score(float(np.mean(wins)), float(np.mean(returns)), float(np.mean(lengths)))


def play_all(
    maps: Sequence[str], policies: Sequence[str], episodes: int, seed: int, parameters: Mapping[str, Any]
) -> dict[str, dict[str, Score]]:
    """Scores by map and policy, each on an environment of its own; a policy not meant for a map is left out."""
    scores: dict[str, dict[str, Score]] = {}
    for name in maps:
        envs = ((policy, Skirmish(name, BATCH, seed, parameters)) for policy in policies)
        scores[name] = {policy: battles(env, policy, episodes, seed) for policy, env in envs if plays(policy, env)}
    return scores


def table_of_scores(scores: Mapping[str, Mapping[str, Score]], policies: Sequence[str]) -> str:
    """Win rate in % and mean return of each policy on each map."""

    def cell(score: Score | None) -> str:
        return f"{100 * score.wins:.0f} / {score.mean_return:.1f}" if score else ""

    return table(["map", *policies], [[name, *(cell(row.get(p)) for p in policies)] for name, row in scores.items()])


def table_of_ranges(members: Sequence[Mapping[str, Mapping[str, Score]]]) -> str:
    """Win rates in %: the default (first) and the range over all members; then policies whose ranking changes."""
    rows = []
    for name, first in members[0].items():
        wins = {policy: [100 * member[name][policy].wins for member in members] for policy in first}
        cells = [f"{policy} {w[0]:.0f} ({min(w):.0f} to {max(w):.0f})" for policy, w in wins.items() if max(w) > 0]
        pairs = [(a, b) for a in wins for b in wins if a < b and _flips(wins[a], wins[b])]
        known = str(REAL_HEURISTIC.get(name, ""))
        rows.append([name, known, "; ".join(cells), "; ".join(f"{a} and {b}" for a, b in pairs)])
    return table(["map", "heuristic, real game", "wins, and their range", "ranking flips"], rows)


def _flips(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether one policy is clearly better in one member, and the other in another."""
    apart = [x - y for x, y in zip(a, b, strict=True)]
    return max(apart) > CLEARLY and min(apart) < -CLEARLY


def ensemble(maps: Sequence[str], policies: Sequence[str], episodes: int, seed: int, given: Mapping[str, Any]) -> str:
    """Play the defaults and every member of `ENSEMBLE`, and report the ranges."""
    members = ({}, *ENSEMBLE)
    return table_of_ranges([play_all(maps, policies, episodes, seed, {**given, **member}) for member in members])
