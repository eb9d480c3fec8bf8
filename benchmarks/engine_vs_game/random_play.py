"""Uniformly random teams on the embedded engine, compared with those of the real game."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from benchmarks.engine_vs_game.real_game import (
    ATTACKERS,
    TEST,
    TRAINING,
    kolmogorov_smirnov,
    random_episodes,
    standard_errors_apart,
)
from benchmarks.engine_vs_game.rounds import BATCH, rounds, table
from macpf.envs.smac.scripted import Random
from macpf.envs.smac.skirmish.battles import Skirmish


def play(
    name: str, episodes: int, seeds: Sequence[int], parameters: Mapping[str, Any]
) -> tuple[Float[np.ndarray, " E"], Float[np.ndarray, " E"]]:
    """Lengths and returns of that many random episodes for each engine seed, in rounds of `BATCH`."""
    played = []
    for seed in seeds:
        env = Skirmish(name, BATCH, seed, parameters)
        played += rounds(env, episodes, partial(Random, env, np.random.default_rng(seed)))
    return np.concatenate([r.lengths for r in played]), np.concatenate([r.returns for r in played])


@dataclass(frozen=True)
class Row:
    """One map: the game and, second in each pair, the engine.

    Attributes:
        medians, lengths: median and mean length of both.
        returns: mean return of both.
        apart: difference of the mean returns in standard errors.
        of_lengths, of_returns: Kolmogorov-Smirnov distances.
    """

    medians: tuple[float, float]
    lengths: tuple[float, float]
    returns: tuple[float, float]
    apart: float
    of_lengths: float
    of_returns: float


def compare(name: str, episodes: int, seeds: Sequence[int], parameters: Mapping[str, Any]) -> Row:
    """Play one map and compare it with the real episodes."""
    real, (lengths, returns) = random_episodes(name), play(name, episodes, seeds, parameters)
    known = real.returns if len(real.returns) else np.array([np.nan])
    return Row(
        (float(np.median(real.lengths)), float(np.median(lengths))),
        (float(real.lengths.mean()), float(lengths.mean())),
        (float(known.mean()), float(returns.mean())),
        standard_errors_apart(returns, known),
        kolmogorov_smirnov(real.lengths, lengths),
        kolmogorov_smirnov(known, returns),
    )


def mean_distances(rows: Mapping[str, Row], maps: Sequence[str]) -> tuple[float, float]:
    """Mean Kolmogorov-Smirnov distance of lengths and of returns over maps."""
    chosen = [rows[name] for name in maps if name in rows]
    return float(np.nanmean([r.of_lengths for r in chosen])), float(np.nanmean([r.of_returns for r in chosen]))


def report(rows: Mapping[str, Row]) -> str:
    """The tables of docs/environments/smac_believability.md."""
    header = ["map", "median length", "mean length", "KS", "mean return", "standard errors", "KS"]
    pair = "{:.0f} / {:.0f}".format
    lines = []
    for name, r in rows.items():
        known = np.isfinite(r.returns[0])
        returns = [f"{r.returns[0]:.2f} / {r.returns[1]:.2f}", f"{r.apart:+.1f}"] if known else ["", ""]
        returns.append(f"{r.of_returns:.2f}" if np.isfinite(r.of_returns) else "")
        lengths = f"{r.lengths[0]:.1f} / {r.lengths[1]:.1f}"
        lines.append([name, pair(*r.medians), lengths, f"{r.of_lengths:.2f}", *returns])
    return "\n\n".join([table(header, lines), _attackers(rows), _summary(rows)])


def _attackers(rows: Mapping[str, Row]) -> str:
    lines = []
    for name, a in ATTACKERS.items():
        if name in rows:
            real, ours = (a.mean(m) for m in rows[name].medians)
            lines.append([name, f"{real:.1f} of {a.enemies}", f"{ours:.1f}", f"{100 * (ours / real - 1):+.0f} %"])
    return table(["map", "attackers, real", "engine", "difference"], lines)


def _summary(rows: Mapping[str, Row]) -> str:
    judged = [rows[name] for name in (*TRAINING, *TEST) if name in rows]
    near = sum(abs(r.lengths[1] / r.lengths[0] - 1) <= 0.1 for r in judged)
    within = sum(abs(r.apart) <= 2 for r in judged)
    lines = [f"mean length within 10 %: {near} of {len(judged)}; mean return within two standard errors: {within}"]
    for which, maps in (("training", TRAINING), ("test", TEST)):
        if any(name in rows for name in maps):
            lengths, returns = mean_distances(rows, maps)
            lines.append(f"mean KS on {which} maps: lengths {lengths:.3f}, returns {returns:.3f}")
    return "\n".join(lines)
