"""Scripted players on every map of the embedded engine, beside what is known of the real game.

`python -m macpf.envs.smac.believability` prints the tables of docs/environments/smac_believability.md; ``--set`` tries
other guesses, for example ``--maps corridor --set widest_turn=90``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from macpf.envs.smac.maps import map_names
from macpf.envs.smac.scripted import POLICIES, plays
from macpf.envs.smac.skirmish.env import Skirmish

BATCH = 50

#: Win rates in % of SMAC's heuristic in the real game, from the SMAC paper as we remember it: approximate.
REAL_HEURISTIC = {
    "2s3z": 90, "1c3s5z": 81, "bane_vs_bane": 43, "3s5z": 42, "10m_vs_11m": 12, "2s_vs_1sc": 0, "5m_vs_6m": 0,
    "3s_vs_5z": 0, "2c_vs_64zg": 0, "MMM2": 0, "3s5z_vs_3s6z": 0, "27m_vs_30m": 0, "6h_vs_8z": 0, "corridor": 0,
}  # fmt: skip
#: The same of an independent prototype of this engine with the same unit data, 50 to 100 battles each.
PROTOTYPE_HEURISTIC = {
    "3m": 47, "8m": 43, "25m": 30, "MMM": 54, "2s3z": 99, "1c3s5z": 95, "10m_vs_11m": 25, "8m_vs_9m": 10,
    "5m_vs_6m": 1, "3s5z": 4, "bane_vs_bane": 16, "corridor": 40, "2c_vs_64zg": 100, "27m_vs_30m": 0,
    "3s5z_vs_3s6z": 0, "3s_vs_3z": 0, "3s_vs_4z": 0, "3s_vs_5z": 0, "MMM2": 0, "6h_vs_8z": 0, "2m_vs_1z": 0,
    "2s_vs_1sc": 0, "so_many_baneling": 0,
}  # fmt: skip
#: Mean return of random play, and win rates in % of kiting, in the same prototype.
PROTOTYPE_RANDOM = {
    "3m": 1.6, "8m": 2.1, "5m_vs_6m": 1.5, "8m_vs_9m": 1.9, "10m_vs_11m": 1.9, "2s3z": 4.1, "3s5z": 4.5, "MMM2": 1.2,
    "3s_vs_3z": 4.9, "3s_vs_5z": 3.3, "6h_vs_8z": 6.1, "2s_vs_1sc": 0.9, "corridor": 4.0, "so_many_baneling": 13.5,
    "2c_vs_64zg": 13.5,
}  # fmt: skip
PROTOTYPE_KITE = {"3s_vs_3z": 100, "3s_vs_4z": 96, "3s_vs_5z": 20}


@dataclass(frozen=True)
class Score:
    """What a policy got on a map.

    Attributes:
        wins: share of battles won.
        mean_return: mean sum of rewards.
        length: mean env steps.
    """

    wins: float
    mean_return: float
    length: float


def battles(env: Skirmish, policy: str, episodes: int, seed: int) -> Score:
    """Play at least that many battles, in rounds of one for each environment of the batch."""
    rng = np.random.default_rng(seed)
    wins, returns, lengths = [], [], []
    for _ in range(-(-episodes // env.batch_size)):
        decide, step = POLICIES[policy](env, rng), env.reset()
        total, length = np.zeros(env.batch_size), np.zeros(env.batch_size)
        over = np.zeros(env.batch_size, dtype=np.bool_)
        while not over.all():
            step = env.step(decide(env, step))
            total += step.reward
            length += ~over
            over = step.terminated | step.truncated
        wins.append(step.info["battle_won"])
        returns.append(total)
        lengths.append(length)
    return Score(float(np.mean(wins)), float(np.mean(returns)), float(np.mean(lengths)))


def play_all(
    maps: Sequence[str], policies: Sequence[str], episodes: int, seed: int, parameters: Mapping[str, Any]
) -> dict[str, dict[str, Score]]:
    """Scores by map and policy; a policy that is not meant for a map is left out."""
    scores: dict[str, dict[str, Score]] = {}
    for name in maps:
        env = Skirmish(name, BATCH, seed, parameters)
        scores[name] = {p: battles(env, p, episodes, seed) for p in policies if plays(p, env)}
    return scores


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def table_of_scores(scores: Mapping[str, Mapping[str, Score]], policies: Sequence[str]) -> str:
    """Win rate in % and mean return of each policy on each map."""

    def cell(score: Score | None) -> str:
        return f"{100 * score.wins:.0f} / {score.mean_return:.1f}" if score else ""

    return table(["map", *policies], [[name, *(cell(row.get(p)) for p in policies)] for name, row in scores.items()])


def table_of_expectations(scores: Mapping[str, Mapping[str, Score]]) -> str:
    """What was expected, beside what we got."""

    def wins(row: Mapping[str, Score], policy: str) -> str:
        return f"{100 * row[policy].wins:.0f}" if policy in row else ""

    header = ["map", "heuristic", "real game", "prototype", "random: return", "prototype", "kite", "prototype"]
    rows = []
    for name, row in scores.items():
        known = [str(source.get(name, "")) for source in (REAL_HEURISTIC, PROTOTYPE_HEURISTIC, PROTOTYPE_RANDOM)]
        random = f"{row['random'].mean_return:.1f}" if "random" in row else ""
        kite = [wins(row, "kite"), str(PROTOTYPE_KITE.get(name, ""))]
        rows.append([name, wins(row, "heuristic"), known[0], known[1], random, known[2], *kite])
    return table(header, rows)


def main(arguments: list[str] | None = None) -> int:
    """Play, and print both tables.

    Returns:
        The exit code: 0, or 2 for a map, policy or parameter that does not exist.
    """
    parser = argparse.ArgumentParser(description="Scripted players on the embedded engine.")
    parser.add_argument("--maps", nargs="+", default=map_names(), choices=map_names(), metavar="MAP")
    parser.add_argument("--policies", nargs="+", default=tuple(POLICIES), choices=tuple(POLICIES), metavar="POLICY")
    parser.add_argument("--episodes", type=int, default=200, help="battles for each policy and map")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="other guesses about the game")
    options = parser.parse_args(arguments)
    parameters = dict(item.partition("=")[::2] for item in options.set)
    try:
        scores = play_all(options.maps, options.policies, options.episodes, options.seed, parameters)
    except ValueError as error:
        print(f"believability: {error}", file=sys.stderr)
        return 2
    print(table_of_scores(scores, options.policies), table_of_expectations(scores), sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
