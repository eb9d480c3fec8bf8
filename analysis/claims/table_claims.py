"""Rules and tests of claims that the numbers of Tables 1 and 2 decide, the paper's as well as ours.

Lines are those of `analysis.beside_paper.cells` with the method's label: map, method, seeds, mean, std, bold. A claim's
rule judges the paper's own numbers as printed; its test (`calibrated`) compares ours with the paper's. The first of a
claim's methods is ours, and the others are its rivals.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis import paper, style
from analysis.claims import simulation
from analysis.claims.calibrated import (
    ERROR,
    TOLERANCE,
    Array,
    Cells,
    PValues,
    Term,
    all_of,
    at_least,
    combined,
    positive,
)
from analysis.claims.claim import Claim, Judgement, Rule, two_way
from macpf import names

#: A test of our cells in comparison with the paper's.
CellTest = Callable[[Cells, Cells], PValues]
Ruled = tuple[Rule, CellTest]
Methods = tuple[str, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class TableClaim(Claim):
    """A claim whose runs are cells of a table, for which tables can be simulated from the paper's numbers."""

    judge: Rule
    cells: CellTest

    def test(self, lines: pd.DataFrame) -> tuple[PValues, str]:
        """The test of our lines, and what the rule says of them."""
        return self.verdicts(Cells.of(lines, self.maps, self.methods)), self.judge(lines).numbers

    def published(self) -> Cells:
        """The paper's numbers of the cells that this claim is about."""
        return _published(self.experiment, self.maps, self.methods)

    def power(self, seeds: int) -> float:
        """See `Claim`; nothing can support what the paper's own numbers contradict."""
        return simulation.power(self, seeds)

    def seeds_needed(self) -> str:
        """See `Claim`."""
        return simulation.seeds_needed(self)

    def verdicts(self, cells: Cells) -> PValues:
        """The test of R tables at once."""
        return self.cells(cells, self.published())


def published(table: str) -> pd.DataFrame:
    """The paper's numbers as lines of evidence."""
    lines = paper.table(table)
    return lines.assign(method=lines[names.ALGO].map(style.label), seeds=paper.SEEDS, bold=paper.marks(lines))


@cache
def _published(table: str, maps: tuple[str, ...], methods: Methods) -> Cells:
    return Cells.of(published(table), maps, methods)


def _positive(
    means: Sequence[Term], stds: Sequence[Term] = (), constant: float = 0.0, reached: bool = False
) -> CellTest:
    """The test of "this sum of means and standard deviations is positive", in comparison with the paper's."""

    def test(ours: Cells, theirs: Cells) -> PValues:
        return positive(combined(ours, means, stds, constant), combined(theirs, means, stds, constant), reached)

    return test


def _all(tests: Iterable[CellTest]) -> CellTest:
    """The test of "all of these hold"."""
    parts = list(tests)
    return lambda ours, theirs: all_of(test(ours, theirs) for test in parts)


def _one(tests: Iterable[CellTest]) -> CellTest:
    """The test of "at least one of these holds"."""
    parts = list(tests)
    return lambda ours, theirs: at_least(1, [test(ours, theirs) for test in parts])


def _lead(map_: str, method: str, other: str, sign: float = 1.0) -> list[Term]:
    return [(sign, map_, method), (-sign, map_, other)]


def bold_count(methods: Methods, maps: tuple[str, ...], method: str, count: int) -> Ruled:
    """The method is bold on at least `count` maps if it is ours, on at most `count` if it is a rival.

    The test: what speaks against the claim is a count that is rare in tables drawn from the paper's. What speaks for it
    is that our method is bold more often than one would be that does not differ from the others or, in claims on a
    rival, more often than the rival.
    """
    ours_is_asked = method == methods[0]

    def judge(cells: pd.DataFrame) -> Judgement:
        found = int((cells["bold"] & (cells["method"] == method)).sum())
        return two_way(found >= count if ours_is_asked else found <= count, f"{found} of {cells[names.MAP].nunique()}")

    def test(ours: Cells, theirs: Cells) -> PValues:
        k, sign = methods.index(method), 1 if ours_is_asked else -1
        bold = ours.bold()
        counts = sign * bold[..., k].sum(axis=1)
        drawn = np.sort(sign * simulation.counts_of_paper(theirs, ours.seeds.tobytes())[..., k], axis=1)
        true = np.max([np.searchsorted(row, counts, side="right") / len(row) for row in drawn], axis=0)
        # If methods do not differ, any of them may be the bold ones of a map, whatever their scores.
        share = bold.mean(axis=2)
        if ours_is_asked:
            up, down, lead = share, np.zeros_like(share), bold[..., 0].sum(axis=1)
        else:
            up = down = share * (1 - share) * len(methods) / (len(methods) - 1)
            lead = bold[..., 0].sum(axis=1) - bold[..., k].sum(axis=1)
        return PValues(np.where(true <= ERROR, 1.0, _tail(up, down, lead)), true)

    return judge, test


def _tail(up: Array, down: Array, least: NDArray[np.int64]) -> Array:
    """The probability [R] that M independent steps sum to at least `least`.

    A step is +1 or -1 with the probabilities `up` and `down` [R, M], and else 0.
    """
    draws, steps = up.shape
    chances = np.zeros((draws, 2 * steps + 1))
    chances[:, steps] = 1.0
    for m in range(steps):
        stay = chances * (1 - up[:, m] - down[:, m])[:, None]
        stay[:, 1:] += chances[:, :-1] * up[:, m, None]
        stay[:, :-1] += chances[:, 1:] * down[:, m, None]
        chances = stay
    return np.asarray(np.where(np.arange(-steps, steps + 1) >= least[:, None], chances, 0.0).sum(axis=1))


def best_mean(methods: Methods, maps: tuple[str, ...]) -> Ruled:
    """No rival has a better mean on any map. The test: our mean is higher than each rival's on each map."""

    def judge(cells: pd.DataFrame) -> Judgement:
        own = cells[cells["method"] == methods[0]]
        best = cells.groupby(names.MAP)["mean"].max()
        short = [line for line in own.to_dict("records") if line["mean"] < best[line[names.MAP]]]
        beaten = _list("; not on", [_beside_best(cells, line) for line in short])
        return two_way(not short, f"best on {len(own) - len(short)} of {len(own)}{beaten}")

    return judge, _all(_positive(_lead(map_, methods[0], other)) for map_ in maps for other in methods[1:])


def among_the_best(methods: Methods, maps: tuple[str, ...]) -> Ruled:
    """Bold on every map. The test: nowhere more than a rival's standard deviation below that rival's mean."""

    def judge(cells: pd.DataFrame) -> Judgement:
        own = cells[cells["method"] == methods[0]]
        short = [_beside_best(cells, line) for line in own[~own["bold"]].to_dict("records")]
        return two_way(not short, f"{int(own['bold'].sum())} of {len(own)}{_list('; not on', short)}")

    return judge, _matches(methods, maps)


def _matches(methods: Methods, maps: tuple[str, ...]) -> CellTest:
    return _all(
        _positive(_lead(map_, methods[0], other), [(1, map_, other)], reached=True)
        for map_ in maps
        for other in methods[1:]
    )


def never_clearly_below(methods: Methods, maps: tuple[str, ...]) -> Ruled:
    """On every map, our mean is at least the rival's minus the rival's standard deviation.

    The test: our mean over all maps is higher, and on no map is it below the rival's by more than that deviation.
    """
    method, other = methods

    def judge(cells: pd.DataFrame) -> Judgement:
        means = cells.pivot(index=names.MAP, columns="method", values="mean")
        spread = cells.pivot(index=names.MAP, columns="method", values="std")[other]
        above = means[method] > means[other]
        below = means[means[method] < means[other] - spread]
        words = [
            f"{map_} ({line[method]:.3f} against {line[other]:.3f} ± {spread[str(map_)]:.3f})"
            for map_, line in below.to_dict("index").items()
        ]
        text = f"higher mean on {int(above.sum())} of {len(means)}{_list('; clearly below on', words)}"
        return two_way(not words, text)

    def test(ours: Cells, theirs: Cells) -> PValues:
        overall = _positive([term for map_ in maps for term in _lead(map_, method, other)])(ours, theirs)
        short = ours.mean[..., 0] < ours.mean[..., 1] - ours.std[..., 1] - TOLERANCE
        return PValues(np.where(short.any(axis=1), 1.0, overall.none), _matches(methods, maps)(ours, theirs).true)

    return judge, test


def only_ours(methods: Methods, maps: tuple[str, ...], least: float, others_most: float) -> Ruled:
    """Our win rate is at least `least`, and each rival's at most `others_most`."""
    (map_,) = maps

    def judge(cells: pd.DataFrame) -> Judgement:
        means = cells.set_index("method")["mean"]
        holds = bool(means[methods[0]] >= least and (means.drop(methods[0]) <= others_most).all())
        return two_way(holds, ", ".join(f"{method} {mean:.3f}" for method, mean in means.items()))

    tests = [_positive([(1, map_, methods[0])], constant=-least, reached=True)]
    tests += [_positive([(-1, map_, other)], constant=others_most, reached=True) for other in methods[1:]]
    return judge, _all(tests)


def _margin(cells: pd.DataFrame, method: str) -> "pd.Series[float]":
    """How far a method's mean is above the best of the others, by map."""
    means = cells.pivot(index=names.MAP, columns="method", values="mean")
    return means[method] - means.drop(columns=method).max(axis=1)


def wider_when_myopic(methods: Methods, maps: tuple[str, ...], suffix: str) -> Ruled:
    """On the maps with this suffix we lead every rival, and by more than we lead the best of them on the plain map."""
    pairs = [(map_, f"{map_}{suffix}") for map_ in maps if not map_.endswith(suffix)]
    ours, rivals = methods[0], methods[1:]

    def judge(cells: pd.DataFrame) -> Judgement:
        margins = _margin(cells, ours)
        words = "; ".join(f"{map_} {margins[map_]:+.3f}, myopic {margins[other]:+.3f}" for map_, other in pairs)
        return two_way(all(margins[other] > max(margins[map_], 0) for map_, other in pairs), words)

    tests = []
    for plain, myopic in pairs:
        for rival in rivals:
            lead = _lead(myopic, ours, rival)
            wider = (_positive([*lead, *_lead(plain, ours, other, -1)]) for other in rivals)
            tests += [_positive(lead), _one(wider)]
    return judge, _all(tests)


def far_only_on(methods: Methods, maps: tuple[str, ...], map: str) -> Ruled:
    """Our lead in our own standard deviations: over 1 on this map, between 0 and 1 on the others."""
    ours, rivals = methods[0], methods[1:]

    def judge(cells: pd.DataFrame) -> Judgement:
        in_stds = _margin(cells, ours) / cells[cells["method"] == ours].set_index(names.MAP)["std"]
        words = ", ".join(f"{map_} {value:+.2f}" for map_, value in in_stds.items())
        return two_way(bool(in_stds[map] > 1 and in_stds.drop(map).between(0, 1).all()), words)

    tests = []
    for map_ in maps:
        if map_ == map:
            tests += [_positive(_lead(map_, ours, other), [(-1.0, map_, ours)]) for other in rivals]
        else:
            tests += [_positive(_lead(map_, ours, other)) for other in rivals]
            tests.append(_one(_positive(_lead(map_, ours, other, -1), [(1.0, map_, ours)]) for other in rivals))
    return judge, _all(tests)


TESTS: dict[str, Callable[..., Ruled]] = {
    function.__name__: function
    for function in (
        *(bold_count, best_mean, among_the_best, never_clearly_below),
        *(only_ours, wider_when_myopic, far_only_on),
    )
}


def _beside_best(cells: pd.DataFrame, line: Mapping[Hashable, Any]) -> str:
    rivals = cells[cells[names.MAP] == line[names.MAP]]
    best = rivals.loc[rivals["mean"].idxmax()]
    digits = 3 if best["mean"] >= 0 else 2
    return (
        f"{line[names.MAP]} ({line['mean']:.{digits}f}; "
        f"{best['method']} {best['mean']:.{digits}f} ± {best['std']:.{digits}f})"
    )


def _list(what: str, items: Iterable[str]) -> str:
    text = ", ".join(items)
    return f"{what} {text}" if text else ""
