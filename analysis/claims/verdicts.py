"""All claims of the paper, the evidence for each, and the verdicts as a table."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis import AnalysisError, paper, style
from analysis.beside_paper import cells
from analysis.claims import curve_claims, game_claims, table_claims
from analysis.claims.claim import FIGURE_ONLY, UNDECIDED, Claim, Judgement
from analysis.claims.curve_claims import THIRDS
from analysis.claims.game_claims import CAPTURED, CountClaim, ends_of
from analysis.claims.table_claims import TableClaim
from analysis.comparison import refuse_other_rules
from analysis.evidence import PAPER, SMOKE, Evidence, Experiment, places, trouble
from analysis.figures import figure1_data
from analysis.outcomes import final_returns, joint_policy, outcome_table, payoff_of
from analysis.run_facts import full_length, of_budget
from analysis.runs import Runs
from analysis.saving import save
from analysis.selection import find, select, usual_map
from analysis.style import MACPF
from macpf import names
from macpf.choices import sweep_params

#: The text of the evidence if no run counts.
NOTHING = "no finished runs"
_NUMBERS, _EVIDENCE, _OURS = "paper's numbers", "paper's evidence", "our verdict"
#: The columns of a `ledger` that hold verdicts.
VERDICT_COLUMNS = (_NUMBERS, _OURS)


def _claim(said: dict[str, Any]) -> Claim:
    """Make a claim from its entry in data/claims.yaml."""
    ((name, arguments),) = said.pop("test").items()
    maps = said.pop("maps", [])
    said["maps"] = Experiment.read(maps).maps if isinstance(maps, str) else tuple(maps)
    said["methods"] = methods = tuple(said["methods"])
    if name in table_claims.TESTS:
        judge, test = table_claims.TESTS[name](methods, said["maps"], **arguments)
        return TableClaim(**said, judge=judge, cells=test)
    if name in game_claims.COUNTS:
        counts = game_claims.COUNTS[name](methods, **arguments)
        return CountClaim(**said, judge=lambda lines: counts(ends_of(lines))[0], counts=counts)
    return Claim(**said, compare={**game_claims.GOALS, **curve_claims.TESTS}[name](methods, **arguments))


#: Every claim, in the order of the paper.
CLAIMS = [_claim(dict(said)) for said in paper.claims()]


def published(experiment: str) -> pd.DataFrame | None:
    """The paper's numbers as lines of evidence; None if it only has a figure."""
    if _LINES.get(experiment) is _cells:
        return table_claims.published(experiment)
    return game_claims.published() if _LINES.get(experiment) is outcome_lines else None


def gather(
    runs: Runs, budget: str | None = None, backend: str | None = None, map: str | None = None
) -> dict[str, Evidence]:
    """The evidence of every experiment that has runs of methods and maps that its claims name.

    Only runs that count are shown. Smoke runs and runs of another length than their budget's are left out altogether.

    Args:
        runs: all runs.
        budget, backend: the wanted value; None takes the only one that each experiment has. The games have one backend,
            which is not chosen.
        map: the payoff of the matrix game; None takes the environment's default.
    """
    report = runs.report
    games = game_envs()
    wanted = (report[names.BUDGET] != SMOKE) & _whole(report)
    if budget is not None:
        wanted &= of_budget(report, budget)
    if backend is not None:
        wanted &= (report[names.BACKEND] == backend) | report[names.ENV].isin(games)
    for env in games:
        own = report[names.ENV] == env
        if own.any():
            chosen = map if (report[names.MAP][own] == map).any() else usual_map(env)
            wanted &= ~own | (report[names.MAP] == chosen)
    evidence = {}
    for name in dict.fromkeys(claim.experiment for claim in CLAIMS):
        named = report[wanted & (report[names.ENV] == sweep_params(name)["env"])]
        about = set().union(*(claim.runs(named).index for claim in CLAIMS if claim.experiment == name))
        if about:
            evidence[name] = _found(name, runs, named.loc[sorted(about)])
    return evidence


def game_envs() -> set[str]:
    """The environments of experiments that have one map, which their claims do not name."""
    return {sweep_params(claim.experiment)["env"] for claim in CLAIMS if not claim.maps}


def _found(name: str, runs: Runs, report: pd.DataFrame) -> Evidence:
    """The evidence of these runs; if they cannot be chosen (several budgets, backends, ...), it is refused."""
    if _LINES.get(name) is _goal_lines:  # only runs that logged where sampled episodes went are judged
        tracked = runs.frame["run"][runs.frame["metric"] == names.sampled(0, 0, "x")]
        report = report.assign(counts=report["counts"] & report["run"].isin(tracked))
    env = sweep_params(name)["env"]
    try:
        if not report["counts"].any():
            raise AnalysisError(NOTHING)
        several = any(claim.maps for claim in CLAIMS if claim.experiment == name)
        judged = replace(runs, report=report)
        found = find(judged, Experiment.read(name)) if several else select(judged, env)
        refuse_other_rules(found.configs)
    except AnalysisError as error:
        nothing = Experiment(name, env, (), (), ())
        shown = vars(runs.only(report.iloc[:0]))
        return Evidence(**shown, experiment=nothing, others=report, refused=str(error))
    return replace(found, experiment=replace(found.experiment, name=name))


def _whole(report: pd.DataFrame) -> "pd.Series[bool]":
    """Which runs have the length of their budget, or a budget whose length is unknown."""
    lengths = zip(report[names.ENV], report[names.BUDGET], report["total"], strict=True)
    whole = [full_length(env, budget) in (None, total) for env, budget, total in lengths]
    return pd.Series(whole, index=report.index, dtype=bool)


def _goal_lines(selection: Evidence) -> pd.DataFrame:
    return figure1_data.reached(figure1_data.episodes_of(selection), figure1_data.Game.of(selection))


def _cells(found: Evidence) -> pd.DataFrame:
    table = cells(found)
    return table.assign(method=table[names.ALGO].map(style.label))


def curve_lines(found: Evidence) -> pd.DataFrame:
    """One line for each run and policy: map, method, seed and the scores of `curve_claims`."""
    seeds = found.report.set_index("run")[names.SEED]
    parts = []
    for place in product(found.experiment.maps, found.experiment.algos, (names.INDEPENDENT, names.DEPENDENT)):
        map_, algo, policy = place
        scores = found.scores(*place)  # a lost evaluation is NaN, which a mean leaves out
        means = {"final": found.final(*place), "training": scores.mean()}
        thirds = np.array_split(np.arange(len(scores)), len(THIRDS))
        means |= {name: scores.iloc[rows].mean() for name, rows in zip(THIRDS, thirds, strict=True)}
        part = pd.DataFrame(means)
        parts.append(part.assign(map=map_, method=style.label(algo, policy), seed=seeds.reindex(part.index)))
    return pd.concat(parts, ignore_index=True)


def outcome_lines(selection: Evidence) -> pd.DataFrame:
    """One line for each method: seeds, optimum, suboptimal, worse, nan, both, and unread.

    ``both`` counts the runs whose dependent policy keeps every optimum, and ``unread`` those that did not log with what
    probability it chooses them; both are 0 for other methods.
    """
    payoff = payoff_of(selection)
    table = outcome_table(final_returns(selection), payoff.tolist())
    own = selection.runs_of(MACPF)
    joints = [joint_policy(selection, own.iloc[[k]], payoff.shape) for k in range(len(own))]
    optimal = payoff == payoff.max()
    shares = [joint.probabilities[optimal] for joint in joints if joint is not None]
    read = [share for share in shares if np.isfinite(share).all()]
    both = sum(bool((share >= CAPTURED).all()) for share in read)
    dependent = table["method"] == style.label(MACPF, names.DEPENDENT)
    return table.assign(both=dependent * both, unread=dependent * (len(joints) - len(read)))


#: How an experiment's runs become lines of evidence; all others use `curve_lines`.
_LINES: dict[str, Callable[[Evidence], pd.DataFrame]] = {
    **{"table1": _cells, "table2": _cells},
    **{"figure1": _goal_lines, "figure4": outcome_lines},
}


def lines_of(found: Evidence) -> pd.DataFrame:
    """What claims on an experiment are judged by.

    Each line is a run, or stands for as many as its ``seeds`` says. It has the method's label, for a run its ``seed``,
    and the map in experiments that have several.

    Raises:
        AnalysisError: the runs were refused, or do not say what is needed.
    """
    if found.refused:
        raise AnalysisError(found.refused)
    return _LINES.get(found.experiment.name, curve_lines)(found)


def ledger(evidence: Mapping[str, Evidence], claims: Sequence[Claim] = CLAIMS) -> pd.DataFrame:
    """Every claim with the verdict on the paper's own numbers and on our runs.

    Args:
        evidence: by experiment, from `gather`; claims on a missing experiment stay undecided.
        claims: the claims to judge.

    Returns:
        id, where, claim, rule, paper's numbers (a verdict, or that there is only a figure), paper's evidence, test, our
        verdict (with the budget if it is not the paper's), evidence (with the runs that are not finished), p if no
        difference and p if true (`analysis.claims.calibrated.PValues`; NaN without a verdict), runs missing, seeds (of
        the cell that has fewest), power (with that number of seeds, but at least five; NaN if the paper prints no
        number), seeds needed (for a power of 80 %).
    """
    lines: dict[str, pd.DataFrame | str] = {}
    for name, found in evidence.items():
        try:
            lines[name] = lines_of(found)
        except AnalysisError as error:
            lines[name] = str(error)
    entries = [entry(claim, lines.get(claim.experiment, NOTHING), evidence.get(claim.experiment)) for claim in claims]
    return pd.DataFrame(entries)


def entry(claim: Claim, lines: pd.DataFrame | str, found: Evidence | None = None) -> dict[str, Any]:
    """A line of the `ledger`, from `lines_of` the evidence (or, in words, why there are none)."""
    told = [] if found is None else _trouble(claim, found.all)
    if isinstance(lines, str):
        ours, missing, seeds = Judgement(UNDECIDED, lines), claim.needed, 0
    else:
        missing, seeds = claim.missing(lines), min(claim.seeds(lines).values())
        short = Judgement(UNDECIDED, f"{claim.needed - missing} of {claim.needed} runs")
        ours = short if missing else claim.judged(lines)
        if found is not None and not missing:
            budget = "" if found.budget == PAPER else f" ({found.budget})"
            ours = ours._replace(verdict=ours.verdict + budget, numbers=f"{ours.numbers} (backend {found.backend})")
    of_paper = _published(claim)
    return {
        **{"id": claim.id, "where": claim.where, "claim": claim.claim, "rule": claim.rule},
        **{_NUMBERS: of_paper.verdict, _EVIDENCE: of_paper.numbers},
        **{"test": claim.compared, _OURS: ours.verdict, "evidence": ". ".join([ours.numbers, *told])},
        **{"p if no difference": ours.none, "p if true": ours.true, "runs missing": missing, "seeds": seeds},
        **{"power": claim.power(max(seeds, paper.SEEDS)), "seeds needed": claim.seeds_needed()},
    }


def _published(claim: Claim) -> Judgement:
    lines = None if claim.figure_only else published(claim.experiment)
    return Judgement(FIGURE_ONLY, "") if lines is None or claim.judge is None else claim.judge(claim.about(lines))


def _trouble(claim: Claim, everything: pd.DataFrame) -> list[str]:
    """What is wrong with the runs that the claim is about; a method or map may have none at all."""
    report = claim.runs(everything)
    report = report.assign(algo=report[names.ALGO].map(style.label))
    maps = claim.maps or tuple(sorted(everything[names.MAP].unique()))
    missing = set(product(maps, claim.players, range(paper.SEEDS))) - set(places(report))
    return trouble(report, missing, maps, claim.players, range(paper.SEEDS))


def write_ledger(table: pd.DataFrame, out: Path) -> list[Path]:
    """Write a `ledger` as CSV and Markdown."""
    return save({out / "claims.csv": table, out / "claims.md": table.to_markdown(index=False) + "\n"})


def readable(table: pd.DataFrame, width: int = 110) -> str:
    """A `ledger` for a terminal: a few lines for each claim, and the counts of each verdict."""
    blocks = []
    for line in table.to_dict("records"):
        missing = f", {line['runs missing']} runs missing" if line["runs missing"] else ""
        published = f" ({line[_EVIDENCE]})" if line[_EVIDENCE] else ""
        power = "" if np.isnan(line["power"]) else f"; if the paper is right, {max(line['seeds'], paper.SEEDS)} seeds "
        needed = str(line["seeds needed"])
        enough = f"{needed} for 80 %" if needed.startswith("no ") else f"80 % need {needed}"
        power += f"show it in {100 * line['power']:.0f} %, {enough}" if power else ""
        p = "" if np.isnan(line["p if true"]) else f"; p = {line['p if no difference']:.2g} if there is no difference, "
        p += f"{line['p if true']:.2g} if it is true" if p else ""
        rows = [
            f"{line['id']} ({line['where']}): {line['claim']}",
            f"  paper: {line[_NUMBERS]}{published}",
            f"  ours:  {line['our verdict']} ({line['evidence']}{missing}{p}{power})",
        ]
        blocks.append("\n".join(textwrap.fill(row, width, subsequent_indent=" " * 9) for row in rows))
    counts = ", ".join(f"{count} {verdict}" for verdict, count in table["our verdict"].value_counts().items())
    return "\n\n".join([*blocks, f"{len(table)} claim{'' if len(table) == 1 else 's'}: {counts}."])
