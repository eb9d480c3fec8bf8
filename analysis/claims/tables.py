"""Claims that the numbers of Tables 1 and 2 decide, the paper's as well as ours.

Lines are those of `analysis.tables.beside_paper.cells` with the method's label: map, method, seeds, mean, std, bold.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

import pandas as pd

from analysis.claims.claim import Claim, Judgement, two_way, unless_nan
from analysis.experiments import Experiment
from macpf import names

Rule = Callable[[pd.DataFrame], Judgement]

METHODS = ("MACPF", "QMIX", "QPLEX", "FOP", "MAPPO")
_HARD, _MYOPIC = ("8m_vs_9m", "10m_vs_11m"), ("8m_vs_9m_myopic", "10m_vs_11m_myopic")
_SIX, _TWELVE = Experiment.read("figure5").maps, Experiment.read("figure8").maps
_ALL, _TASKS = Experiment.read("table2").maps, Experiment.read("table1").maps
#: "almost 70 %" and "fail to learn any meaningful joint policies", as win rates.
_ALMOST_70, _NOTHING = 0.65, 0.05


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


_BOLD = "bold as in Table 2 (within one standard deviation, the best's, of the best mean)"


def _of_table(
    table: str,
    id: str,
    where: str,
    text: str,
    rule: str,
    judge: Rule,
    maps: tuple[str, ...],
    methods: tuple[str, ...] = METHODS,
) -> Claim:
    return Claim(id, where, text, rule, unless_nan(["mean"], judge), table, methods, maps)


def _count(method: str, count: int) -> Claim:
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
    ),
    _of_table(
        table="table2",
        id="figure5-myopic",
        where="5.2, Figure 5",
        text="On the myopic maps MACPF's margin over the baselines is larger (as we read a sentence that breaks off)",
        rule="MACPF's mean less the best baseline's is positive on each myopic map, and larger than on the plain map",
        judge=_wider_when_myopic,
        maps=(*_HARD, *_MYOPIC),
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
    ),
    _of_table(
        table="table2",
        id="smac-fop",
        where="1, Table 2",
        text="MACPF consistently outperforms its base method, FOP (SMAC)",
        rule="on no map is MACPF's mean final win rate below FOP's by more than FOP's standard deviation",
        judge=never_clearly_below("MACPF", "FOP"),
        methods=("MACPF", "FOP"),
        maps=_ALL,
    ),
    _of_table(
        table="table1",
        id="mpe-fop",
        where="1, Table 1",
        text="MACPF consistently outperforms its base method, FOP (particle tasks)",
        rule="on no task is MACPF's mean return below FOP's by more than FOP's standard deviation",
        judge=never_clearly_below("MACPF", "FOP"),
        methods=("MACPF", "FOP"),
        maps=_TASKS,
    ),
    _of_table(
        table="table1",
        id="table1-best",
        where="5.3, Table 1",
        text="MACPF outperforms the baselines in all three particle tasks",
        rule="the best mean return on each task",
        judge=best_mean("MACPF"),
        maps=_TASKS,
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
    ),
]
