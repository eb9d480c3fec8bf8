"""``python -m analysis``: figures and reports from the runs in a folder."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.errors import AnalysisError
from macpf import names
from macpf.arguments import Parser, filled, folder

if TYPE_CHECKING:
    from analysis.runs import Runs

# pandas, matplotlib and all that reads them are imported by the commands, so that --help comes at once.

#: How ``--runs`` begins for runs on a server.
SERVER = "wandb:"


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code, 2 for a request that cannot be answered."""
    parser = _parser()
    options, more = parser.parse_known_args(arguments)
    options.training = more
    if more and options.command is not _verify:
        parser.error(f"unrecognized arguments: {' '.join(options.training)}")
    try:
        return options.command(options) or 0
    except Exception as error:
        from macpf.yaml_files import BrokenFile  # only now: it loads Hydra

        if not isinstance(error, AnalysisError | BrokenFile | OSError):  # files that cannot be read or written
            raise
        print(f"analysis: {error}", file=sys.stderr)
        return 2


def load_runs(where: Path | str) -> Runs:
    """See `analysis.runs.load_runs`."""
    from analysis.runs import load_runs as load

    return load(where)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m analysis",
        description="Make figures and reports from finished (or unfinished) runs. Reads only what W&B kept, in a "
        "folder or on a server.",
        epilog="Runs are made by `make demo` or, for instance, `python run.py -m +experiment=figure4`.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    runs = Parser(add_help=False)
    runs.add_argument(
        "--runs",
        type=_runs,
        default=Path("outputs"),
        metavar="WHERE",
        help="folder, or wandb:entity/project on a W&B server (default: %(default)s)",
    )
    excluding = Parser(add_help=False)
    excluding.add_argument(
        "--exclude",
        action="append",
        type=filled,
        default=[],
        metavar="TEXT",
        help="leave out runs with this in their key; repeatable",
    )
    excluding.add_argument(
        "--allow-incomplete",
        action="store_true",
        help="count runs, too, that are not finished or lack evaluations (diverged and untrained ones never count)",
    )
    chosen = Parser(add_help=False, parents=[excluding])
    chosen.add_argument("--budget", help="the budget of the runs to look at")
    chosen.add_argument("--backend", help="the backend of the runs to look at")
    out = Parser(add_help=False)
    out.add_argument("--out", type=folder, default=Path("figures"), metavar="DIR", help="default: %(default)s")

    completeness = commands.add_parser(
        "completeness",
        parents=[runs],
        help="how complete each run is",
        description="One line per run: how far it got, the evaluations found and expected, its attempts, damage to its "
        "log, NaN values, and its state: finished, incomplete (evaluations are missing), diverged, untrained, short "
        "(stopped in order), crashed (or still going on), no data. The last column says what else is wrong. "
        "docs/analysis_sources.md explains all columns.",
    )
    completeness.set_defaults(command=_completeness)

    figure4 = commands.add_parser(
        "figure4",
        parents=[runs, chosen, out],
        help="the matrix game: payoffs, learning curves, learned joint policy",
        description="Write Figure 4 as PDF, PNG and CSV and print how the runs ended. A figure shows one map, one "
        "budget and one backend; options choose where there are several.",
    )
    figure4.add_argument("--map", help="the payoff matrix to show")
    figure4.add_argument("--macpf", metavar="ALGO", help="the MACPF variant to show (default: a figure for each)")
    figure4.set_defaults(command=_figure4)

    outcomes = commands.add_parser(
        "outcomes",
        parents=[runs, excluding, out],
        help="matrix games: how the runs of every method ended, beside the paper",
        description="Write outcomes.csv and outcomes.md: how many finished runs of each method and payoff end at an "
        "optimum, with intervals. Its runs: python run.py -m +experiment=outcomes.",
    )
    outcomes.add_argument("--budget", help="the budget of the runs to count")
    outcomes.set_defaults(command=_outcomes)

    figure1 = commands.add_parser(
        "figure1",
        parents=[runs, chosen, out],
        help="the multi-goal game: where sampled episodes go",
        description="Write Figure 1 as PDF and PNG, its episodes and the goals that each run reaches as CSV.",
    )
    figure1.set_defaults(command=_figure1)

    for name, what in (
        ("figure2", "the two joint policies that MACPF learns in a coordination game"),
        ("figure3", "MACPF's modules with their parameter counts"),
    ):
        figure = commands.add_parser(
            name,
            parents=[runs, chosen if name == "figure2" else excluding, out],
            help=what,
            description=f"Write {name}: {what}.",
        )
        figure.add_argument("--macpf", default="macpf", metavar="ALGO", help="the MACPF variant (default: %(default)s)")
        figure.set_defaults(command=_figure2 if name == "figure2" else _figure3)

    of_maps = {f"figure{n}": "learning curves" for n in range(5, 10)}
    of_maps |= {"table1": "the particle tasks beside the paper", "table2": "all SMAC maps beside the paper"}
    for name, what in of_maps.items():
        many = commands.add_parser(
            name,
            parents=[runs, chosen, out],
            help=what,
            description=f"Write {name} from the runs that conf/experiment/{name}.yaml names. Budgets, backends and "
            "configurations are never mixed.",
        )
        many.set_defaults(command=_of_maps, name=name)

    statistics = commands.add_parser(
        "statistics",
        parents=[runs, chosen, out],
        help="methods over all maps: IQM, probability of improvement and more, with intervals",
        description="Write and print an experiment's aggregate statistics (Agarwal et al., 2021) as CSV and Markdown, "
        "and as figures: intervals, performance profile, probability of improvement, sample efficiency. What they "
        "mean: docs/analysis.md.",
    )
    statistics.add_argument("experiment", nargs="?", choices=of_maps, default="table2", help="default: %(default)s")
    statistics.set_defaults(command=_statistics)

    export = commands.add_parser(
        "export",
        parents=[runs, chosen],
        help="all finished runs as the JSON that marl-eval reads",
        description="Write every run that counts as marl-eval's JSON, and on the error stream which do not; the "
        "mapping: docs/analysis.md.",
    )
    export.add_argument("--to", type=folder, required=True, metavar="FILE")
    export.set_defaults(command=_export)

    claims = commands.add_parser(
        "claims",
        parents=[runs, chosen, out],
        help="what the paper claims, by its own numbers and by our runs",
        description="Print every claim of the paper with two verdicts, of the paper's own numbers and of the finished "
        "runs in the folder, and write them as claims.csv and claims.md. What decides: docs/analysis.md.",
    )
    claims.add_argument("--map", help="the payoff matrix to judge the matrix game by (default: figure4's)")
    claims.set_defaults(command=_claims)

    calibration = commands.add_parser(
        "calibration",
        help="how often the claims' verdicts err, and what they can show",
        description="Print, for each claim on a table, how often its test supports and contradicts it in tables drawn "
        "from the paper's, and in tables of methods that are all like MACPF; and the seeds that show it in 80 %.",
    )
    calibration.add_argument("--seeds", type=_count, default=5, help="runs of each cell (default: %(default)s)")
    calibration.add_argument("--draws", type=_count, default=2000, help="tables drawn (default: %(default)s)")
    calibration.set_defaults(command=_calibration)

    verify = commands.add_parser(
        "verify",
        parents=[runs],
        help="train what one claim still needs, and judge it",
        description="Train the runs that a claim still lacks, as `make reproduce-...` does, and judge it: exit code 0 "
        "if it is supported, 1 if it is contradicted, 3 if it is undecided. Other arguments go to the training: "
        "--launcher, --seeds, --yes, --wait, and changes for run.py.",
    )
    verify.add_argument("claim", help="its id: `python -m analysis claims` lists them")
    verify.add_argument("--budget", default="paper", help="default: %(default)s")
    verify.add_argument("--backend", help="of SMAC")
    verify.set_defaults(command=_verify)

    hyperparameters = commands.add_parser(
        "hyperparameters",
        help="every algorithm's settings, as the page of the docs",
        description="Write the tables of hyperparameters, made from conf/, as Markdown.",
    )
    hyperparameters.add_argument(
        "--out", type=folder, default=Path("docs/hyperparameters.md"), metavar="FILE", help="default: %(default)s"
    )
    hyperparameters.set_defaults(command=_hyperparameters)

    report = commands.add_parser(
        "report",
        parents=[runs, excluding],
        help="everything the runs say, as one HTML page",
        description="Write one HTML page that needs no network and no file beside it: claims, tables beside the "
        "paper's, learning curves, matrix games, Figure 1, hyperparameters, every run, pictures.",
    )
    report.add_argument(
        "--out", type=folder, default=Path("figures/report.html"), metavar="FILE", help="default: %(default)s"
    )
    report.add_argument(
        "--pictures",
        type=folder,
        action="append",
        default=[],
        metavar="DIR",
        help="one more folder of GIFs; repeatable",
    )
    report.set_defaults(command=_report)

    publish = commands.add_parser(
        "publish",
        parents=[runs],
        help="add runs to a study's archive in results/",
        description="Add the runs that results/<study>/manifest.yaml names to the study's archive, also those that "
        "diverged or are not finished. Read them back with --runs results/<study>. docs/results.md explains it.",
    )
    publish.add_argument("--to", type=folder, required=True, metavar="DIR", help="results/<study>")
    publish.set_defaults(command=_publish)

    figures = commands.add_parser(
        "figures",
        help="draw everything that the published studies show",
        description="Draw what each study's manifest names, from its archive alone: no training, no network.",
    )
    figures.add_argument("--results", type=folder, default=Path("results"), metavar="DIR", help="default: %(default)s")
    figures.add_argument("--out", type=folder, default=Path("figures"), metavar="DIR", help="default: %(default)s")
    figures.set_defaults(command=_figures)

    status = commands.add_parser(
        "status",
        parents=[runs],
        help="what is done, running, failed, killed, missing",
        description="How all runs stand, from the status each of them writes; on a terminal until all are finished.",
    )
    status.add_argument("--plan", metavar="NAME", help="only what one command needs, e.g. table2-paper")
    status.add_argument("--once", action="store_true", help="print once, also on a terminal")
    status.set_defaults(command=_status)

    return parser


def _runs(text: str) -> Path | str:
    """A folder, or what says where on a server the runs are."""
    return text if text.startswith(SERVER) else folder(text)


def _count(text: str) -> int:
    if not text.isdecimal() or not 2 <= int(text[:9]) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text} is no number from 2 to 100,000")
    return int(text)


def _status(options: argparse.Namespace) -> None:
    from rich.console import Console

    from analysis.status import status

    if not isinstance(options.runs, Path):
        raise AnalysisError("status looks at the folders of runs: --runs DIR; `completeness` lists runs on a server")

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    status(options.runs, options.plan, live=console.is_terminal and not options.once, console=console)


def _load(options: argparse.Namespace) -> Runs:
    """The runs but those left out, with a line on the error stream if there are some that no command can use."""
    runs = load_runs(options.runs)
    if runs.warning:
        print(f"analysis: {runs.warning}", file=sys.stderr)
    runs = runs.without(options.exclude)
    return runs.with_incomplete() if options.allow_incomplete else runs


def _completeness(options: argparse.Namespace) -> None:
    print(load_runs(options.runs).report.to_string(index=False))


def _figure4(options: argparse.Namespace) -> None:
    import pandas as pd

    from analysis.figures.figure4 import ENV, write_figure4
    from analysis.selection import select

    runs = _load(options)
    chosen = select(runs, ENV, options.map, options.budget, options.backend)
    for written in write_figure4(chosen, options.out, options.macpf):
        print(*written.paths, sep="\n")
        with pd.option_context("display.float_format", "{:.3f}".format):
            print(f"\n{written.outcomes.to_string(index=False)}\n")


def _outcomes(options: argparse.Namespace) -> None:
    from analysis.figures.figure4 import ENV
    from analysis.tables.outcomes import outcomes, write_outcomes

    paths = write_outcomes(outcomes(_load(options), ENV, options.budget), options.out)
    print(*paths, paths[-1].read_text(), sep="\n")


def _figure1(options: argparse.Namespace) -> None:
    from analysis.figures.figure1 import write_figure1
    from analysis.figures.figure1_data import ENV
    from analysis.selection import select

    selection = select(_load(options), ENV, None, options.budget, options.backend)
    paths, table = write_figure1(selection, options.out)
    print(*paths, f"\n{table.to_string(index=False, float_format='{:.1f}'.format)}", sep="\n")


def _figure2(options: argparse.Namespace) -> None:
    from analysis.figures.figure2 import ENV, MAP, write_figure2
    from analysis.selection import select

    chosen = select(_load(options), ENV, MAP, options.budget, options.backend)
    print(*write_figure2(chosen, options.out, options.macpf), sep="\n")


def _figure3(options: argparse.Namespace) -> None:
    from analysis.figures.figure3 import write_figure3

    print(*write_figure3(_load(options), options.out, options.macpf), sep="\n")


def _of_maps(options: argparse.Namespace) -> None:
    from analysis.experiments import Experiment, find
    from analysis.figures.curves import write_curves
    from analysis.tables.beside_paper import write_table

    experiment = Experiment.read(options.name)
    found = find(_load(options), experiment, options.budget, options.backend)
    if options.name.startswith("table"):
        print(*write_table(found, options.out), sep="\n")
        return
    print(*write_curves(found, options.out, _policies(options.name)), sep="\n")


def _policies(experiment: str) -> tuple[str, ...]:
    return (names.INDEPENDENT, names.DEPENDENT) if experiment == "figure6" else (names.INDEPENDENT,)


def _statistics(options: argparse.Namespace) -> None:
    from analysis.comparison import compare
    from analysis.experiments import Experiment, find
    from analysis.figures.aggregates import write_figures
    from analysis.normalisation import refuse_other_rules
    from analysis.tables.aggregates import aggregates, write_aggregates

    runs = _load(options)
    found = find(runs, Experiment.read(options.experiment), options.budget, options.backend)
    refuse_other_rules({run: runs.configs[run] for run in found.report["run"]})
    comparison = compare(found, _policies(options.experiment))
    table = aggregates(comparison)
    paths = write_aggregates(table, comparison, found, options.out)
    print(*paths, *write_figures(table, comparison, found, options.out), paths[-1].read_text(), sep="\n")


def _export(options: argparse.Namespace) -> None:
    from analysis.completeness import sentences
    from analysis.export import export, of_kind, write_export

    runs = _load(options)
    print(write_export(export(runs, options.budget, options.backend), options.to))
    for sentence in sentences(of_kind(runs, options.budget, options.backend)):  # the file has no place for it
        print(f"analysis: {sentence}.", file=sys.stderr)


def _claims(options: argparse.Namespace) -> None:
    from analysis.claims import ledger, readable, write_ledger
    from analysis.claims.evidence import gather
    from analysis.lengths import of_budget

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
    from analysis.claims import tables
    from analysis.claims.simulation import calibration

    print(calibration(tables.CLAIMS, options.seeds, options.draws).to_string(index=False, float_format="{:.3f}".format))


def _verify(options: argparse.Namespace) -> int:
    from analysis.claims.verify import claim_of, verify

    if not isinstance(options.runs, Path):
        raise AnalysisError("verify trains into a folder: --runs DIR; `claims` judges runs on a server")
    claim = claim_of(options.claim)
    return verify(claim, options.runs, options.budget, options.backend, options.training, load_runs)


def _report(options: argparse.Namespace) -> None:
    from analysis.report.page import write_report

    folder = options.runs if isinstance(options.runs, Path) else None
    size = write_report(_load(options), options.out, folder, options.pictures)
    print(f"{options.out} ({size / 1e6:.1f} MB)")


def _publish(options: argparse.Namespace) -> None:
    from analysis.archive import Manifest, publish

    manifest = Manifest.read(options.to)
    done = publish(load_runs(options.runs), options.to)
    states = ", ".join(f"{count} {state}" for state, count in done.report["state"].value_counts().items())
    print(
        f"{options.to}: {done.new} new runs, {done.grew} grew, {done.known} were there; "
        f"{len(done.report)} of {manifest.planned} runs of the manifest ({states or 'none'})"
    )


def _figures(options: argparse.Namespace) -> None:
    from analysis.archive import Manifest, studies

    found = studies(options.results)
    if not found:
        raise AnalysisError(f"no published study in {options.results}: see docs/results.md")
    for study in found:
        for command in Manifest.read(study).draw:
            print(f"python -m analysis {command} --runs {study} --out {options.out / study.name}")
            if main([*command.split(), "--runs", str(study), "--out", str(options.out / study.name)]):
                raise AnalysisError(f"{study} could not be drawn; see the line above")


def _hyperparameters(options: argparse.Namespace) -> None:
    from analysis.hyperparameters import page  # Hydra is slow to load, too

    options.out.write_text(page())
    print(options.out)


if __name__ == "__main__":
    sys.exit(main())
