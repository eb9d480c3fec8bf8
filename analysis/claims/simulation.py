"""How verdicts behave when the truth is known: on tables drawn from the paper's, and of methods that do not differ."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.claims.calibrated import Cells
from analysis.claims.claim import more_seeds

if TYPE_CHECKING:
    from analysis.claims.table_claims import TableClaim

#: Simulated tables for a distribution of counts, and for a power.
TABLES, DRAWS = 4_000, 500
#: The power that a study should have.
POWER = 0.8
#: Numbers of seeds that are tried, four of them for each doubling, up to 1,280.
SEEDS = sorted({round(5 * 2 ** (k / 4)) for k in range(33)})


def tables(truth: Cells, seeds: NDArray[np.int64], random: np.random.Generator, draws: int) -> Cells:
    """Draw tables from a known truth: the mean and standard deviation of `seeds` normal runs of each cell."""
    shape = (draws, *truth.mean.shape[1:])
    mean = truth.mean + truth.std / np.sqrt(seeds) * random.standard_normal(shape)
    std = truth.std * np.sqrt(random.chisquare(seeds - 1, size=shape) / seeds)
    return replace(truth, mean=mean, std=std, seeds=seeds)


def possible(of_paper: Cells, random: np.random.Generator, draws: int) -> Cells:
    """Draw truths of which the paper's means and standard deviations may be a sample (normal runs, flat prior)."""
    shape = (draws, *of_paper.mean.shape[1:])
    std = of_paper.std * np.sqrt(of_paper.seeds / random.chisquare(of_paper.seeds - 1, size=shape))
    mean = of_paper.mean + std / np.sqrt(of_paper.seeds) * random.standard_normal(shape)
    return replace(of_paper, mean=mean, std=std)


def alike(of_paper: Cells, method: str) -> Cells:
    """The same table, but all methods are as good as this one."""
    k = of_paper.methods.index(method)
    mean, std = (np.repeat(part[..., k : k + 1], len(of_paper.methods), -1) for part in (of_paper.mean, of_paper.std))
    return replace(of_paper, mean=mean, std=std)


@cache
def counts_of_paper(of_paper: Cells, seeds: bytes) -> NDArray[np.int64]:
    """[2, R, K], on how many maps a method is bold: if the paper's table is exact, and if it is a sample of five.

    `seeds` are the bytes of the numbers of runs [M, K].
    """
    random, sizes = np.random.default_rng(0), np.frombuffer(seeds, np.int64).reshape(of_paper.seeds.shape)
    truths = (of_paper, possible(of_paper, random, TABLES))
    return np.stack([tables(truth, sizes, random, TABLES).bold().sum(axis=1) for truth in truths])


@cache
def power(claim: TableClaim, seeds: int) -> float:
    """How often the claim is supported with this number of seeds, if the paper's table is exact."""
    truth = claim.published()
    drawn = tables(truth, np.full_like(truth.seeds, seeds), np.random.default_rng(2), DRAWS)
    return float(claim.verdicts(drawn).supported.mean())


@cache
def seeds_needed(claim: TableClaim) -> str:
    """The least of the tried numbers of seeds with a power of 80 %, in words."""
    if power(claim, SEEDS[-1]) == 0:
        return "no number is enough"
    least = bisect_left(SEEDS, POWER, key=lambda seeds: power(claim, seeds))  # power grows with seeds
    return more_seeds(SEEDS[least] if least < len(SEEDS) else None, SEEDS[-1])


def calibration(claims: Iterable[TableClaim], seeds: int, draws: int) -> pd.DataFrame:
    """The verdicts on each claim where the truth is known, as shares of `draws` tables with `seeds` runs a cell.

    There are two truths: the paper's table is exact, or every method has MACPF's mean and standard deviation. Runs are
    normal, and win rates are clipped to [0, 1].

    Returns:
        id; exact: supported, exact: contradicted; alike: supported, alike: contradicted; seeds for 80 %.
    """
    lines = []
    for claim in claims:
        line: dict[str, object] = {"id": claim.id}
        for world, truth in (("exact", claim.published()), ("alike", alike(claim.published(), claim.methods[0]))):
            test = claim.verdicts(drawn(truth, seeds, np.random.default_rng(3), draws))
            line[f"{world}: supported"] = float(test.supported.mean())
            line[f"{world}: contradicted"] = float(test.contradicted.mean())
        lines.append({**line, "seeds for 80 %": claim.seeds_needed()})
    return pd.DataFrame(lines)


def drawn(truth: Cells, seeds: int, random: np.random.Generator, draws: int) -> Cells:
    """Like `tables`, but each run is drawn, and win rates are clipped to [0, 1]."""
    runs = truth.mean[..., None] + truth.std[..., None] * random.standard_normal((draws, *truth.mean.shape[1:], seeds))
    if (truth.mean >= 0).all():
        runs = np.clip(runs, 0, 1)
    return replace(truth, mean=runs.mean(-1), std=runs.std(-1), seeds=np.full_like(truth.seeds, seeds))
