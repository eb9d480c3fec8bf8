"""Logged episodes of random teams in the real game, and how to compare others with them."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.stats import ks_2samp

EPISODES = Path(__file__).parent / "data" / "random_episodes.json"
#: Parameters may be fitted to the training maps; the test maps only show how good the fit is.
TRAINING = ("8m", "25m", "MMM2", "corridor", "3s5z", "2s_vs_1sc", "5m_vs_6m", "3s_vs_5z")
TEST = ("3m", "27m_vs_30m", "2c_vs_64zg", "2s3z", "1c3s5z", "6h_vs_8z", "8m_vs_9m", "10m_vs_11m", "3s5z_vs_3s6z")

#: Maps for which `policies` has policies.
POLICY_MAPS = ("3m", "8m", "5m_vs_6m", "2s3z", "3s5z", "3s_vs_5z", "2s_vs_1sc")


@dataclass(frozen=True)
class Episodes:
    """Random episodes of one map.

    Attributes:
        lengths: env steps of each.
        returns: only of those whose return was logged on SMAC's scale.
    """

    lengths: Float[np.ndarray, " E"]
    returns: Float[np.ndarray, " R"]


@functools.cache
def random_episodes(name: str) -> Episodes:
    """The real game's random episodes on a map.

    Raises:
        KeyError: none are known for this map.
    """
    rows = json.loads(EPISODES.read_text())["maps"][name]
    return Episodes(
        np.array([row[0] for row in rows], dtype=np.float64),
        np.array([row[1] for row in rows if row[1] is not None], dtype=np.float64),
    )


def kolmogorov_smirnov(a: Float[np.ndarray, " A"], b: Float[np.ndarray, " B"]) -> float:
    """Largest difference of two empirical distribution functions; nan if either sample has fewer than 5 values."""
    if min(len(a), len(b)) < 5:
        return float("nan")
    return float(ks_2samp(a, b, method="asymp").statistic)


def standard_errors_apart(a: Float[np.ndarray, " A"], b: Float[np.ndarray, " B"]) -> float:
    """Difference of two means in standard errors of that difference."""
    if min(len(a), len(b)) < 2:
        return float("nan")
    error = np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
    return float((a.mean() - b.mean()) / max(error, 1e-12))


@dataclass(frozen=True)
class Attackers:
    """What is needed to infer from a battle's length how many enemies attack on average.

    Attributes:
        hits: number of attacks that kill all agents.
        period: game loops between two attacks of one enemy, half a loop of mean delay included.
        contact: env step of the first attack.
        enemies: number of enemies.
    """

    hits: int
    period: float
    contact: float
    enemies: int

    def mean(self, length: float) -> float:
        """The mean number of attackers between contact and the end of a battle of this length."""
        return self.hits * self.period / 8 / (length - self.contact)


MARINE, ZERGLING, ZEALOT = 0.8608 * 16 + 0.5, 0.696 * 16 + 0.5, 1.2 * 16 + 0.5
#: Contact: env steps of walking at the unit's speed between the starting points, less the weapon's range.
ATTACKERS = {
    "3m": Attackers(3 * 8, MARINE, 7.3, 3),
    "5m_vs_6m": Attackers(5 * 8, MARINE, 7.3, 6),
    "8m": Attackers(8 * 8, MARINE, 7.3, 8),
    "8m_vs_9m": Attackers(8 * 8, MARINE, 7.3, 9),
    "10m_vs_11m": Attackers(10 * 8, MARINE, 7.3, 11),
    "25m": Attackers(25 * 8, MARINE, 7.3, 25),
    "27m_vs_30m": Attackers(27 * 8, MARINE, 7.3, 30),
    "corridor": Attackers(6 * 35, ZERGLING, 8, 24),
    "2c_vs_64zg": Attackers(2 * 80, ZERGLING, 17, 64),
    "6h_vs_8z": Attackers(6 * 5, ZEALOT, 7, 8),
}
