"""Claims that the numbers of Tables 1 and 2 decide, the paper's as well as ours.

Lines are those of `analysis.tables.beside_paper.cells` with the method's label: map, method, seeds, mean, std, bold.
A claim's rule reads the paper's own numbers as they stand; its test (`calibrated`) judges ours beside them.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
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
from analysis.claims.claim import Claim, Judgement, Rule, more_seeds, two_way
from analysis.experiments import Experiment
from macpf import names

#: A test: of our cells beside the paper's.
CellTest = Callable[[Cells, Cells], PValues]

METHODS = ("MACPF", "QMIX", "QPLEX", "FOP", "MAPPO")
_HARD, _MYOPIC = ("8m_vs_9m", "10m_vs_11m"), ("8m_vs_9m_myopic", "10m_vs_11m_myopic")
_SIX, _TWELVE = Experiment.read("figure5").maps, Experiment.read("figure8").maps
_ALL, _TASKS = Experiment.read("table2").maps, Experiment.read("table1").maps
#: "almost 70 %" and "fail to learn any meaningful joint policies", as win rates.
_ALMOST_70, _NOTHING = 0.65, 0.05


@dataclass(frozen=True, eq=False)
class TableClaim(Claim):
    """A claim whose runs are cells of a table, for which the paper prints numbers to simulate from."""

    cells: CellTest | None = None

    def test(self, lines: pd.DataFrame) -> tuple[PValues, str]:
        """The test of our lines, and what the rule says of them."""
        assert self.cells is not None
        ours = Cells.of(lines, self.maps, self.methods)
        return self.cells(ours, self.published()), self.judge(lines).numbers

    def published(self) -> Cells:
        """The paper's numbers of the cells that this claim is about."""
        return _published(self.experiment, self.maps, self.methods)

    def power(self, seeds: int) -> float:
        """See `Claim`; nothing can support what the paper's own numbers contradict."""
        return simulation.power(self, seeds)

    def seeds_needed(self) -> str:
        """See `Claim`."""
        if simulation.power(self, simulation.SEEDS[-1]) == 0:
            return "no number is enough"
        return more_seeds(simulation.seeds_needed(self), simulation.SEEDS[-1])

    def verdicts(self, cells: Cells) -> PValues:
        """The test of R tables at once."""
        assert self.cells is not None
        return self.cells(cells, self.published())


def published(table: str) -> pd.DataFrame:
    """The paper's numbers as lines of evidence."""
    lines = paper.table(table).assign(seeds=paper.SEEDS)
    marks = [paper.bold(part["mean"], part["std"]) for _, part in lines.groupby(names.MAP, sort=False)]
    return lines.assign(method=lines[names.ALGO].map(style.label), bold=pd.concat(marks))


@cache
def _published(table: str, maps: tuple[str, ...], methods: tuple[str, ...]) -> Cells:
    return Cells.of(published(table), maps, methods)


# --- what the rules read -------------------------------------------------------------------------------------------


def best_on(method: str, count: int, at_least: bool) -> Rule:
    """Among the best, by the table's rule for bold numbers, on at least or at most so many maps."""

    def judge(cells: pd.DataFrame) -> Judgement:
        found = int((cells["bold"] & (cells["method"] == method)).sum())
        return two_way(found >= count if at_least else found <= count, f"{found} of {cells[names.MAP].nunique()}")

    return judge


def among_the_best(method: str) -> Rule:
    """Among the best, by the same rule, on every map."""

    def judge(cells: pd.DataFrame) -> Judgement:
        own = cells[cells["method"] == method]
        short = [_beside_best(cells, line) for line in own[~own["bold"]].to_dict("records")]
        return two_way(not short, f"{int(own['bold'].sum())} of {len(own)}{_list('; not on', short)}")

    return judge


def best_mean(method: str) -> Rule:
    """No other method has a better mean on any map."""

    def judge(cells: pd.DataFrame) -> Judgement:
        own = cells[cells["method"] == method]
        best = cells.groupby(names.MAP)["mean"].max()
        short = [line for line in own.to_dict("records") if line["mean"] < best[line[names.MAP]]]
        beaten = _list("; not on", [_beside_best(cells, line) for line in short])
        return two_way(not short, f"best on {len(own) - len(short)} of {len(own)}{beaten}")

    return judge


def never_clearly_below(method: str, other: str) -> Rule:
    """On every map at least the other's mean less the other's standard deviation."""

    def judge(cells: pd.DataFrame) -> Judgement:
        means = cells.pivot(index=names.MAP, columns="method", values="mean")
        spread = cells.pivot(index=names.MAP, columns="method", values="std")
        above = means[method] > means[other]
        below = means[means[method] < means[other] - spread[other]]
        short = [
            f"{map_} ({ours:.3f} against {theirs:.3f} ± {std:.3f})"
            for map_, ours, theirs, std in zip(
                below.index, below[method], below[other], spread[other][below.index], strict=True
            )
        ]
        return two_way(
            not short, f"higher mean on {int(above.sum())} of {len(means)}{_list('; clearly below on', short)}"
        )

    return judge


def _corridor(cells: pd.DataFrame) -> Judgement:
    means = cells.set_index("method")["mean"]
    others = means.drop("MACPF")
    return two_way(
        bool(means["MACPF"] >= _ALMOST_70 and (others <= _NOTHING).all()),
        ", ".join(f"{method} {mean:.3f}" for method, mean in means.items()),
    )


def _margin(cells: pd.DataFrame) -> "pd.Series[float]":
    """By map: how far MACPF's mean is above the best of the others."""
    means = cells.pivot(index=names.MAP, columns="method", values="mean")
    return means["MACPF"] - means.drop(columns="MACPF").max(axis=1)


def _wider_when_myopic(cells: pd.DataFrame) -> Judgement:
    margins = _margin(cells)
    pairs = [(margins[map_], margins[f"{map_}_myopic"]) for map_ in _HARD]
    words = "; ".join(f"{map_} {a:+.3f}, myopic {b:+.3f}" for map_, (a, b) in zip(_HARD, pairs, strict=True))
    return two_way(all(myopic > max(plain, 0) for plain, myopic in pairs), words)


def _spread_by_far(cells: pd.DataFrame) -> Judgement:
    spread = cells[cells["method"] == "MACPF"].set_index(names.MAP)["std"]
    in_stds = _margin(cells) / spread
    others = in_stds.drop("simple_spread")
    words = ", ".join(f"{map_} {value:+.2f}" for map_, value in in_stds.items())
    return two_way(bool(in_stds["simple_spread"] > 1 and others.between(0, 1).all()), words)


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


# --- what the tests compare ----------------------------------------------------------------------------------------


def _rivals(cells: Cells, method: str = "MACPF") -> list[str]:
    return [other for other in cells.methods if other != method]


def _positive(
    means: Iterable[Term],
    stds: Iterable[Term] = (),
    constant: float = 0.0,
    reached: bool = False,
) -> CellTest:
    """That this sum of means and standard deviations is positive, beside the paper's."""
    means, stds = list(means), list(stds)

    def test(ours: Cells, theirs: Cells) -> PValues:
        return positive(combined(ours, means, stds, constant), combined(theirs, means, stds, constant), reached)

    return test


def _minus(map_: str, method: str, other: str, sign: float = 1.0) -> list[Term]:
    return [(sign, map_, method), (-sign, map_, other)]


def _ahead_everywhere(ours: Cells, theirs: Cells) -> PValues:
    """MACPF's mean is higher than each other's on each map."""
    pairs = [(map_, other) for map_ in ours.maps for other in _rivals(ours)]
    return all_of(_positive(_minus(map_, "MACPF", other))(ours, theirs) for map_, other in pairs)


def _matches_everywhere(ours: Cells, theirs: Cells) -> PValues:
    """MACPF's mean is nowhere more than a rival's standard deviation below that rival's."""
    pairs = [(map_, other) for map_ in ours.maps for other in _rivals(ours)]
    return all_of(
        _positive(_minus(map_, "MACPF", other), [(1, map_, other)], reached=True)(ours, theirs) for map_, other in pairs
    )


def _outperforms_fop(ours: Cells, theirs: Cells) -> PValues:
    """Over all maps MACPF's mean is higher, and on none is it below FOP's by more than FOP's standard deviation."""
    everywhere = [term for map_ in ours.maps for term in _minus(map_, "MACPF", "FOP")]
    overall = _positive(everywhere)(ours, theirs)
    ours_m, fop = ours.methods.index("MACPF"), ours.methods.index("FOP")
    short = ours.mean[..., ours_m] < ours.mean[..., fop] - ours.std[..., fop] - TOLERANCE
    return PValues(np.where(short.any(axis=1), 1.0, overall.none), _matches_everywhere(ours, theirs).true)


def _nothing_but_macpf(ours: Cells, theirs: Cells) -> PValues:
    """MACPF's win rate is at least 65 %, each other's at most 5 %."""
    map_ = ours.maps[0]
    tests = [_positive([(1, map_, "MACPF")], constant=-_ALMOST_70, reached=True)]
    tests += [_positive([(-1, map_, other)], constant=_NOTHING, reached=True) for other in _rivals(ours)]
    return all_of(test(ours, theirs) for test in tests)


def _wider(ours: Cells, theirs: Cells) -> PValues:
    """On the myopic map MACPF leads every rival, and by more than it leads the best of them on the plain map."""
    tests = []
    for plain in _HARD:
        for rival in _rivals(ours):
            lead = _minus(f"{plain}_myopic", "MACPF", rival)
            tests.append(_positive(lead)(ours, theirs))
            wider = (_positive([*lead, *_minus(plain, "MACPF", other, -1)]) for other in _rivals(ours))
            tests.append(at_least(1, [test(ours, theirs) for test in wider]))
    return all_of(tests)


def _far_only_in_spread(ours: Cells, theirs: Cells) -> PValues:
    """MACPF's lead in its own standard deviations: over 1 in simple spread, between 0 and 1 in the others."""
    tests = []
    for map_ in ours.maps:
        own = (1.0, map_, "MACPF")
        if map_ == "simple_spread":
            far = [(-1.0, map_, "MACPF")]
            tests += [_positive(_minus(map_, "MACPF", other), far)(ours, theirs) for other in _rivals(ours)]
            continue
        tests += [_positive(_minus(map_, "MACPF", other))(ours, theirs) for other in _rivals(ours)]
        near = [_positive(_minus(map_, "MACPF", other, -1), [own]) for other in _rivals(ours)]
        tests.append(at_least(1, [test(ours, theirs) for test in near]))
    return all_of(tests)


def _bold_count(method: str) -> CellTest:
    """How often a method is bold, as often as in tables drawn from the paper's; and MACPF more often than any method
    would be that does not differ from the others, or than this one."""

    def test(ours: Cells, theirs: Cells) -> PValues:
        k, us = ours.methods.index(method), ours.methods.index("MACPF")
        sign = 1 if k == us else -1
        bold = ours.bold()
        counts = sign * bold[..., k].sum(axis=1)
        drawn = np.sort(sign * simulation.counts_of_paper(theirs, ours.seeds)[..., k], axis=1)
        true = np.max([np.searchsorted(row, counts, side="right") / len(row) for row in drawn], axis=0)
        # If methods do not differ, any of them may be the bold ones of a map, whatever the scores are like.
        share = bold.mean(axis=2)
        if k == us:
            up, down, lead = share, np.zeros_like(share), bold[..., us].sum(axis=1)
        else:
            up = down = share * (1 - share) * len(ours.methods) / (len(ours.methods) - 1)
            lead = bold[..., us].sum(axis=1) - bold[..., k].sum(axis=1)
        return PValues(np.where(true <= ERROR, 1.0, _tail(up, down, lead)), true)

    return test


def _tail(up: Array, down: Array, least: NDArray[np.int64]) -> Array:
    """[R]: the probability that M independent steps, +1 and -1 with these probabilities [R, M], sum to so much."""
    draws, steps = up.shape
    chances = np.zeros((draws, 2 * steps + 1))
    chances[:, steps] = 1.0
    for m in range(steps):
        stay = chances * (1 - up[:, m] - down[:, m])[:, None]
        stay[:, 1:] += chances[:, :-1] * up[:, m, None]
        stay[:, :-1] += chances[:, 1:] * down[:, m, None]
        chances = stay
    return np.asarray(np.where(np.arange(-steps, steps + 1) >= least[:, None], chances, 0.0).sum(axis=1))


_BOLD = "bold as in Table 2 (within one standard deviation, the best's, of the best mean)"
_EACH = (
    "every comparison by itself at 5 %; contradicted if one is the other way round, at 5 % over all of them together"
)


def _of_table(
    table: str,
    id: str,
    where: str,
    text: str,
    rule: str,
    judge: Rule,
    maps: tuple[str, ...],
    compared: str,
    test: CellTest,
    methods: tuple[str, ...] = METHODS,
) -> TableClaim:
    return TableClaim(id, where, text, rule, judge, table, methods, maps, compared=compared, cells=test)


def _count(method: str, count: int) -> TableClaim:
    ours = method == "MACPF"
    only = "" if ours else "only "
    return _of_table(
        table="table2",
        id=f"table2-{method.lower()}",
        where="5.2, Table 2",
        text=f"{method}'s win rate is higher than or equivalent to the best on {only}{count} of 18 maps",
        rule=f"{_BOLD} on {'at least' if ours else 'at most'} {count} maps",
        judge=best_on(method, count, at_least=ours),
        maps=_ALL,
        compared="the number of maps on which it is bold with that in tables drawn from the paper's (contradicted: "
        + ("fewer than in 95 % of them), and" if ours else "more than in 95 % of them), and MACPF's lead over it")
        + " with that of any method, if a map's bold ones were drawn from all",
        test=_bold_count(method),
    )


CLAIMS = [
    _of_table(
        table="table2",
        id="figure5-best",
        where="5.2, Figure 5",
        text="MACPF outperforms the baselines in all six maps",
        rule="the best mean final win rate on each of the six (numbers of Table 2)",
        judge=best_mean("MACPF"),
        maps=_SIX,
        compared=f"MACPF's mean with each baseline's on each map: {_EACH}",
        test=_ahead_everywhere,
    ),
    _of_table(
        table="table2",
        id="figure5-corridor",
        where="5.2, Figure 5",
        text="On corridor the other value decomposition methods learn nothing and MACPF wins almost 70 %",
        rule=f"mean final win rates: MACPF at least {_ALMOST_70}, each other at most {_NOTHING}",
        judge=_corridor,
        methods=("MACPF", "QMIX", "QPLEX", "FOP"),
        maps=("corridor",),
        compared=f"each mean with its bound: {_EACH}",
        test=_nothing_but_macpf,
    ),
    _of_table(
        table="table2",
        id="figure5-myopic",
        where="5.2, Figure 5",
        text="On the myopic maps MACPF's margin over the baselines is larger (as we read a sentence that breaks off)",
        rule="MACPF's mean less the best baseline's is positive on each myopic map, and larger than on the plain map",
        judge=_wider_when_myopic,
        maps=(*_HARD, *_MYOPIC),
        compared=f"MACPF's lead over each baseline on the myopic map with 0 and with that on the plain one: {_EACH}",
        test=_wider,
    ),
    *(_count(*pair) for pair in (("MACPF", 16), ("QMIX", 7), ("QPLEX", 8), ("MAPPO", 9), ("FOP", 5))),
    _of_table(
        table="table2",
        id="figure8-matches",
        where="D.1, D.2, Figure 8",
        text="MACPF outperforms or at least matches the best baseline on all twelve maps",
        rule=f"{_BOLD} on each of the twelve maps",
        judge=among_the_best("MACPF"),
        maps=_TWELVE,
        compared=f"MACPF's mean with each baseline's less that baseline's standard deviation, on each map: {_EACH}",
        test=_matches_everywhere,
    ),
    *(
        _of_table(
            table=table,
            id=id,
            where=f"1, {table.capitalize().replace('e', 'e ', 1)}",
            text=f"MACPF consistently outperforms its base method, FOP ({tasks})",
            rule=f"on no {one} is MACPF's mean below FOP's by more than FOP's standard deviation",
            judge=never_clearly_below("MACPF", "FOP"),
            methods=("MACPF", "FOP"),
            maps=maps,
            compared=f"MACPF's mean over all {one}s with FOP's, at 5 %, where the rule holds; contradicted if on one "
            f"{one} it is below FOP's less FOP's standard deviation, at 5 % over all of them together",
            test=_outperforms_fop,
        )
        for table, id, tasks, one, maps in (
            ("table2", "smac-fop", "SMAC", "map", _ALL),
            ("table1", "mpe-fop", "particle tasks", "task", _TASKS),
        )
    ),
    _of_table(
        table="table1",
        id="table1-best",
        where="5.3, Table 1",
        text="MACPF outperforms the baselines in all three particle tasks",
        rule="the best mean return on each task",
        judge=best_mean("MACPF"),
        maps=_TASKS,
        compared=f"MACPF's mean with each baseline's on each task: {_EACH}",
        test=_ahead_everywhere,
    ),
    _of_table(
        table="table1",
        id="table1-margin",
        where="5.3, Table 1",
        text="The margin is large in simple spread and minor in the other two particle tasks",
        rule="MACPF's mean less the best baseline's, in MACPF's standard deviations: above 1 in simple spread, "
        "0 to 1 in the others",
        judge=_spread_by_far,
        maps=_TASKS,
        compared=f"the same leads, over each baseline, with 1 and 0: {_EACH}",
        test=_far_only_in_spread,
    ),
]
