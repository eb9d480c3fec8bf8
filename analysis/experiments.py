"""The runs that a figure or table of many maps needs, out of all that there are."""

from analysis.errors import AnalysisError
from analysis.evidence import LAST, SMOKE, Evidence, Experiment
from analysis.lengths import canonical
from analysis.runs import Runs
from analysis.selection import listing, nothing_counts, refuse_mixtures
from macpf import names

__all__ = ["LAST", "SMOKE", "Evidence", "Experiment", "find"]


def find(runs: Runs, experiment: Experiment, budget: str | None = None, backend: str | None = None) -> Evidence:
    """The runs of an experiment.

    Raises:
        AnalysisError: there are none, or of several budgets or backends, which no table may mix, or see
            `refuse_mixtures`.
    """
    report = runs.report
    wanted = report[names.MAP].isin(experiment.maps) & report[names.ALGO].isin(experiment.algos)
    all_ = report[wanted & (report[names.ENV] == experiment.env)]
    logged = report = all_[all_["counts"]]
    budget = budget and canonical(experiment.env, budget)
    for key, choice in ((names.BUDGET, budget), (names.BACKEND, backend)):
        if choice is not None:
            report = report[report[key] == choice]
        kinds = sorted(report[key].unique())
        if len(kinds) > 1:
            raise AnalysisError(
                f"there are runs with {key} {', '.join(kinds)}, which no figure mixes: --{key} {kinds[0]}"
            )
    if report.empty and len(logged):
        raise AnalysisError(f"no run of {experiment.name} is of this kind; there are: {listing(logged)}")
    if report.empty:
        raise AnalysisError(nothing_counts(all_, experiment.name, experiment.name))
    refuse_mixtures(report, runs.configs)
    others = all_[~all_["counts"]]
    for key in (names.BUDGET, names.BACKEND):
        others = others[others[key].isin([report[key].iloc[0], ""])]
    kept = runs.only(report)
    return Evidence(experiment, report, others, kept.frame, kept.configs, runs.excluded)
