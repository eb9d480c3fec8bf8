"""``python -m analysis``: figures and reports from the runs in a folder."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from analysis import AnalysisError
from analysis.parser import parser_of_all
from macpf import names
from macpf.suite import as_typed

if TYPE_CHECKING:
    from analysis.evidence import Evidence
    from analysis.runs import Runs

# pandas, matplotlib and the modules that need them are imported by the commands, so that --help is fast.


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code, 2 for a request that cannot be answered."""
    parser = parser_of_all()
    options, more = parser.parse_known_args(arguments)
    options.training = more
    if more and options.command != "verify":
        parser.error(f"unrecognized arguments: {' '.join(options.training)}")
    try:
        return globals()[f"_{options.command}"](options) or 0
    except Exception as error:
        from macpf.extensions import BrokenEntryPoint
        from macpf.yaml_files import BrokenFile  # imported only here, as it loads Hydra

        # OSError: a file that cannot be read or written
        if not isinstance(error, AnalysisError | BrokenEntryPoint | BrokenFile | OSError):
            raise
        told = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.strerror else str(error)
        print(f"analysis: {as_typed(told + _wanted(error, options))}", file=sys.stderr)
        return 2


def _wanted(error: Exception, options: argparse.Namespace) -> str:
    """What --out or --to wants, after the message of a file that could not be written."""
    from analysis.saving import NotWritten

    if not isinstance(error, NotWritten):
        return ""
    flag = "--to" if "to" in options else "--out"
    files = {"report": "report.html", "export": "runs.json", "hyperparameters": "hyperparameters.md"}
    file = files.get(options.command)
    return f"; {flag} wants a file, e.g. {flag} {file}" if file else f"; {flag} wants a folder, e.g. {flag} figures"


def load_runs(where: Path | str, metrics: str = "") -> Runs:
    """See `analysis.runs.load_runs`."""
    from analysis import runs

    return runs.load_runs(where, metrics)


def _status(options: argparse.Namespace) -> None:
    from rich.console import Console

    from analysis.status import status

    folder = _folder(options, "status looks at the folders of runs", "`completeness` lists runs on a server")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    status(folder, options.plan, live=console.is_terminal and not options.once, console=console)


def _folder(options: argparse.Namespace, what: str, instead: str) -> Path:
    """The folder of runs for a command that can use neither a server nor published runs."""
    from analysis.sources import studies

    if not isinstance(options.runs, Path):
        raise AnalysisError(f"{what}: --runs DIR; {instead}")
    if studies(options.runs):
        others = "`completeness` lists and `claims` judges published runs"
        command = options.command
        raise AnalysisError(
            f"{command} looks at the folders of runs, and {options.runs} has none: --runs DIR; {others}"
        )
    return options.runs


def _load(options: argparse.Namespace, metrics: str = "") -> Runs:
    """Load the runs without those of --exclude; a line on the error stream warns of values that cannot be used.

    The frame holds only metrics that begin with `metrics`.
    """
    runs = load_runs(options.runs, metrics)
    if runs.warning:
        print(f"analysis: {as_typed(runs.warning)}", file=sys.stderr)
    runs = runs.without(options.exclude)
    return runs.with_incomplete() if options.allow_incomplete else runs


def _completeness(options: argparse.Namespace) -> None:
    print(load_runs(options.runs).report.to_string(index=False))


def _figure4(options: argparse.Namespace) -> None:
    from analysis.figures.figure4 import write_figure4
    from analysis.outcomes import ENV
    from analysis.selection import select

    runs = _load(options)
    chosen = select(runs, ENV, options.map, options.budget, options.backend, plan="figure4")
    for paths, ended in write_figure4(chosen, options.out, options.macpf, not options.no_caption):
        print(*paths, f"\n{ended.to_string(index=False, float_format='{:.3f}'.format)}\n", sep="\n")


def _outcomes(options: argparse.Namespace) -> None:
    from analysis.outcomes import find_outcomes, write_outcomes

    paths = write_outcomes(find_outcomes(_load(options), options.budget), options.out)
    print(*paths, paths[-1].read_text(), sep="\n")


def _figure1(options: argparse.Namespace) -> None:
    from analysis.figures.figure1 import write_figure1
    from analysis.figures.figure1_data import ENV
    from analysis.selection import select

    selection = select(_load(options), ENV, None, options.budget, options.backend, plan="figure1")
    paths, table = write_figure1(selection, options.out, not options.no_caption)
    print(*paths, f"\n{table.to_string(index=False, float_format='{:.1f}'.format)}", sep="\n")


def _figure2(options: argparse.Namespace) -> None:
    from analysis.figures.figure2 import write_figure2
    from analysis.selection import select
    from macpf.choices import sweep_params

    game = sweep_params("figure2")
    chosen = select(_load(options), game["env"], game["map"], options.budget, options.backend)
    print(*write_figure2(chosen, options.out, options.macpf, not options.no_caption), sep="\n")


def _figure3(options: argparse.Namespace) -> None:
    from analysis.figures.figure3 import write_figure3

    print(*write_figure3(_load(options), options.out, options.macpf, not options.no_caption), sep="\n")


def _of_maps(options: argparse.Namespace) -> None:
    from analysis.beside_paper import write_table
    from analysis.evidence import Experiment
    from analysis.selection import find

    found = find(_load(options, "eval/"), Experiment.read(options.name), options.budget, options.backend)
    if options.name.startswith("table"):
        print(*write_table(found, options.out), sep="\n")
        return
    _print_curves(options, found, _policies(options.name))


def _own(options: argparse.Namespace) -> None:
    from dataclasses import replace

    from analysis.beside_paper import write_table
    from analysis.differences import chosen
    from analysis.evidence import evaluated
    from macpf.choices import choices

    known = choices("experiment")
    if options.experiment not in (None, *known):
        raise AnalysisError(f"no conf/experiment/{options.experiment}.yaml; there are: {', '.join(known)}")
    pairs = [text.partition("=") for text in options.where]
    if wrong := [key for key, equals, _ in pairs if not equals]:
        raise AnalysisError(f"--where {wrong[0]} has no value: SETTING=VALUES")
    where = {key: value for key, _, value in pairs}
    found = chosen(_load(options, "eval/"), options.experiment, where, options.budget, options.backend)
    stem = f"{options.name}_{options.experiment}" if options.experiment else options.name
    found = replace(found, experiment=replace(found.experiment, name=stem))  # figure4 writes figure4.pdf itself
    if options.name == "curves":
        _print_curves(options, found, evaluated(found.frame))
        return
    paths = write_table(found, options.out)
    print(*paths, paths[1].read_text(), sep="\n")


def _print_curves(options: argparse.Namespace, found: Evidence, policies: tuple[str, ...]) -> None:
    from analysis.figures.learning_curves import write_curves

    print(*write_curves(found, options.out, policies, not options.no_caption, options.real_game), sep="\n")


def _policies(experiment: str) -> tuple[str, ...]:
    return (names.INDEPENDENT, names.DEPENDENT) if experiment == "figure6" else (names.INDEPENDENT,)


def _statistics(options: argparse.Namespace) -> None:
    from analysis.comparison import aggregates, compare, write_aggregates
    from analysis.evidence import Experiment
    from analysis.figures.intervals import write_figures
    from analysis.selection import find

    found = find(_load(options, "eval/"), Experiment.read(options.experiment), options.budget, options.backend)
    comparison = compare(found, _policies(options.experiment))
    table = aggregates(comparison)
    paths = write_aggregates(table, comparison, found, options.out)
    figures = write_figures(table, comparison, found, options.out, not options.no_caption)
    print(*paths, *figures, paths[-1].read_text(), sep="\n")


def _export(options: argparse.Namespace) -> None:
    import json

    from analysis.evidence import sentences
    from analysis.export import export, of_kind
    from analysis.saving import save

    runs = _load(options)
    print(*save({options.to: json.dumps(export(runs, options.budget, options.backend), indent=1)}))
    for sentence in sentences(of_kind(runs, options.budget, options.backend)):  # the JSON has no place for it
        print(f"analysis: {sentence}.", file=sys.stderr)


def _metrics(options: argparse.Namespace) -> None:
    from analysis.export import write_csv, write_tensorboard

    print(*(write_tensorboard if options.tensorboard else write_csv)(_load(options), options.to), sep="\n")


def _claims(options: argparse.Namespace) -> None:
    from analysis.claims.verdicts import gather, ledger, readable, write_ledger
    from analysis.run_facts import of_budget

    runs = _load(options)
    for key in (names.MAP, names.BUDGET, names.BACKEND):
        choice, there_are = getattr(options, key), sorted(set(runs.report[key]) - {""})
        meant = key == names.BUDGET and choice is not None and of_budget(runs.report, choice).any()
        if choice is not None and choice not in there_are and not meant:
            raise AnalysisError(f"no runs with --{key} {choice}; there are: {', '.join(there_are) or 'none'}")
    evidence = gather(runs, options.budget, options.backend, options.map)
    table = ledger(evidence)
    print(*write_ledger(table, options.out), "", readable(table), sep="\n")


def _calibration(options: argparse.Namespace) -> None:
    from analysis.claims.simulation import calibration
    from analysis.claims.table_claims import TableClaim
    from analysis.claims.verdicts import CLAIMS

    claims = [claim for claim in CLAIMS if isinstance(claim, TableClaim)]
    print(calibration(claims, options.seeds, options.draws).to_string(index=False, float_format="{:.3f}".format))


def _verify(options: argparse.Namespace) -> int:
    from analysis.claims.verify import claim_of, train, verdict

    folder = _folder(options, "verify trains into a folder", "`claims` judges runs on a server")
    claim = claim_of(options.claim)
    train(claim, folder, options.budget, options.backend, options.training)
    return verdict(claim, load_runs(folder), options.budget, options.backend)


def _local(options: argparse.Namespace) -> Path | None:
    """The folder of the runs; None if they are on a server."""
    return options.runs if isinstance(options.runs, Path) else None


def _report(options: argparse.Namespace) -> None:
    from analysis.report.page import write_report

    size = write_report(_load(options), options.out, _local(options), options.pictures)
    print(f"{options.out} ({size / 1e6:.1f} MB)")


def _publish(options: argparse.Namespace) -> None:
    from analysis.archive import Manifest, publish
    from analysis.report.inventory import states
    from macpf.records.run_state import RUNNING

    manifest = Manifest.read(options.to)
    runs = load_runs(options.runs).without(options.exclude)
    if runs.warning:
        print(f"analysis: {as_typed(runs.warning)}", file=sys.stderr)
    report = runs.report.assign(state=states(runs, _local(options)))
    unread = (manifest.names(report) | (report[names.ENV] == "")) & (report["found"] == 0) & (report["gaps"] > 0)
    if lost := report["run"][unread & (report["state"] != RUNNING)].tolist():
        print(f"analysis: left out, as their logs cannot be read: {', '.join(lost)}", file=sys.stderr)
    running = manifest.names(report) & (report["state"] == RUNNING)
    done = publish(runs.only(runs.report[~running]), options.to)
    kinds = ", ".join(f"{count} {state}" for state, count in done.report["state"].value_counts().items())
    print(
        f"{options.to}: {done.new} new runs, {done.grew} grew, {done.known} were there; "
        f"{len(done.report)} of {manifest.planned} runs of the manifest ({kinds or 'none'})"
        + f"; left for later, as they are running: {running.sum()}"
        * bool(running.any())
    )


def _figures(options: argparse.Namespace) -> None:
    from analysis.sources import studies

    found = studies(options.results)
    if not found:
        raise AnalysisError(f"no published study in {options.results}: see docs/results.md")
    if failed := [str(study) for study in found if not _draw(study, options.out / study.name)]:
        raise AnalysisError(f"{', '.join(failed)} could not be drawn; see the lines above")


def _draw(study: Path, out: Path) -> bool:
    """Draw what the manifest of a study names, and test its claims; returns whether nothing was wrong."""
    from analysis.archive import Manifest, whole_runs
    from analysis.claims.verdicts import CLAIMS, gather, ledger, readable, write_ledger
    from analysis.runs import load_runs

    try:
        whole, manifest = whole_runs(study), Manifest.read(study)
    except AnalysisError as error:
        print(f"analysis: {error}", file=sys.stderr)
        return False
    print(f"{study}: {whole} of {manifest.planned} runs of the manifest are finished")
    codes = []
    for command in manifest.draw if whole else ():
        print(f"python -m analysis {command} --runs {study} --out {out}")
        codes.append(main([*command.split(), "--runs", str(study), "--out", str(out)]))
    if claims := [claim for claim in CLAIMS if whole and claim.id in manifest.claims]:
        table = ledger(gather(load_runs(study)), claims)
        print(*write_ledger(table, out), "", readable(table), sep="\n")
    return not any(codes)


def _hyperparameters(options: argparse.Namespace) -> None:
    from analysis.hyperparameters import page  # loads Hydra, which is slow
    from analysis.saving import save

    print(*save({options.out: page()}))


if __name__ == "__main__":
    sys.exit(main())
