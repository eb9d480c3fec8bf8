"""What one can type after ``python -m analysis``."""

from __future__ import annotations

import argparse
from pathlib import Path

from macpf import suite
from macpf.arguments import Parser, filled, folder

#: How ``--runs`` begins for runs on a server.
SERVER = "wandb:"
_REAL_GAME = "draw published runs of the real StarCraft II beside ours, of the same maps and algorithms"


def parser_of_all() -> argparse.ArgumentParser:
    """The parser; a chosen command's name is in ``command``."""
    parser = Parser(
        prog=suite.ANALYSE,
        description="Make figures and reports from finished (or unfinished) runs. Reads only what W&B kept, in a "
        "folder or on a server.",
        epilog="Runs are made by `make demo` or, for instance, `python run.py -m +experiment=figure4`.",
    )
    commands = parser.add_subparsers(required=True, metavar="command", dest="command")
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
    drawing = Parser(add_help=False)
    drawing.add_argument("--no-caption", action="store_true", help="write captions beside the figures, as text files")
    out = Parser(add_help=False)
    out.add_argument("--out", type=folder, default=Path("figures"), metavar="DIR", help="default: %(default)s")

    commands.add_parser(
        "completeness",
        parents=[runs],
        help="how complete each run is",
        description="One line per run: how far it got, the evaluations found and expected, its attempts, damage to its "
        "log, NaN values, and its state: finished, incomplete (evaluations are missing), diverged, untrained, short "
        "(stopped in order), crashed (or still going on), no data. The last column says what else is wrong. "
        "docs/analysis_sources.md explains all columns.",
    )

    figure4 = commands.add_parser(
        "figure4",
        parents=[runs, chosen, drawing, out],
        help="the matrix game: payoffs, learning curves, learned joint policy",
        description="Write Figure 4 as PDF, PNG and CSV and print how the runs ended. A figure shows one map, one "
        "budget and one backend; options choose where there are several.",
    )
    figure4.add_argument("--map", help="the payoff matrix to show")
    figure4.add_argument("--macpf", metavar="ALGO", help="the MACPF variant to show (default: a figure for each)")

    outcomes = commands.add_parser(
        "outcomes",
        parents=[runs, excluding, out],
        help="matrix games: how the runs of every method ended, beside the paper",
        description="Write outcomes.csv and outcomes.md: how many finished runs of each method and payoff end at an "
        "optimum, with intervals. Its runs: python run.py -m +experiment=outcomes.",
    )
    outcomes.add_argument("--budget", help="the budget of the runs to count")

    commands.add_parser(
        "figure1",
        parents=[runs, chosen, drawing, out],
        help="the multi-goal game: where sampled episodes go",
        description="Write Figure 1 as PDF and PNG, its episodes and the goals that each run reaches as CSV.",
    )

    for name, what in (
        ("figure2", "the two joint policies that MACPF learns in a coordination game"),
        ("figure3", "MACPF's modules with their parameter counts"),
    ):
        figure = commands.add_parser(
            name,
            parents=[runs, chosen if name == "figure2" else excluding, drawing, out],
            help=what,
            description=f"Write {name}: {what}.",
        )
        figure.add_argument("--macpf", default="macpf", metavar="ALGO", help="the MACPF variant (default: %(default)s)")

    of_maps = {f"figure{n}": "learning curves" for n in range(5, 10)}
    of_maps |= {"table1": "the particle tasks beside the paper", "table2": "all SMAC maps beside the paper"}
    for name, what in of_maps.items():
        many = commands.add_parser(
            name,
            parents=[runs, chosen, drawing, out],
            help=what,
            description=f"Write {name} from the runs that conf/experiment/{name}.yaml names. Budgets, backends and "
            "configurations are never mixed.",
        )
        if name.startswith("figure"):
            many.add_argument("--real-game", action="store_true", help=_REAL_GAME)
        many.set_defaults(command="of_maps", name=name)

    for name, what in (("curves", "learning curves"), ("table", "final scores")):
        own = commands.add_parser(
            name,
            parents=[runs, chosen, drawing, out],
            help=f"{what} of any experiment, or of any runs",
            description=f"Write {what} of the runs that a file of conf/experiment sweeps, or of all runs. Several "
            "configurations of one algorithm are told apart by the settings in which they differ.",
        )
        own.add_argument("experiment", nargs="?", help="its name in conf/experiment; left out: any runs")
        own.add_argument(
            "--where",
            action="append",
            default=[],
            metavar="SETTING=VALUES",
            help="only runs with these values, e.g. map=3m,2s3z or algo.learner.lr=0.001; repeatable",
        )
        if name == "curves":
            own.add_argument("--real-game", action="store_true", help=_REAL_GAME)
        own.set_defaults(command="own", name=name)

    statistics = commands.add_parser(
        "statistics",
        parents=[runs, chosen, drawing, out],
        help="methods over all maps: IQM, probability of improvement and more, with intervals",
        description="Write and print an experiment's aggregate statistics (Agarwal et al., 2021) as CSV and Markdown, "
        "and as figures: intervals, performance profile, probability of improvement, sample efficiency. What they "
        "mean: docs/analysis.md.",
    )
    statistics.add_argument("experiment", nargs="?", choices=of_maps, default="table2", help="default: %(default)s")

    export = commands.add_parser(
        "export",
        parents=[runs, chosen],
        help="all finished runs as the JSON that marl-eval reads",
        description="Write every run that counts as marl-eval's JSON, and on the error stream which do not; the "
        "mapping: docs/analysis.md.",
    )
    export.add_argument("--to", type=folder, required=True, metavar="FILE")

    metrics = commands.add_parser(
        "metrics",
        parents=[runs, excluding],
        help="every number that each run logged, as CSV or for TensorBoard",
        description="Write one CSV for each run, whole or not: a line for each evaluation, a column for each metric, "
        "training's losses among them.",
    )
    metrics.add_argument("--to", type=folder, required=True, metavar="DIR")
    metrics.add_argument("--tensorboard", action="store_true", help="event files; needs its package")

    claims = commands.add_parser(
        "claims",
        parents=[runs, chosen, out],
        help="what the paper claims, by its own numbers and by our runs",
        description="Print every claim of the paper with two verdicts, of the paper's own numbers and of the finished "
        "runs in the folder, and write them as claims.csv and claims.md. What decides: docs/analysis.md.",
    )
    claims.add_argument("--map", help="the payoff matrix to judge the matrix game by (default: figure4's)")

    calibration = commands.add_parser(
        "calibration",
        help="how often the claims' verdicts err, and what they can show",
        description="Print, for each claim on a table, how often its test supports and contradicts it in tables drawn "
        "from the paper's, and in tables of methods that are all like MACPF; and the seeds that show it in 80 %.",
    )
    calibration.add_argument("--seeds", type=_count, default=5, help="runs of each cell (default: %(default)s)")
    calibration.add_argument("--draws", type=_count, default=2000, help="tables drawn (default: %(default)s)")

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

    hyperparameters = commands.add_parser(
        "hyperparameters",
        help="every algorithm's settings, as the page of the docs",
        description="Write the tables of hyperparameters, made from conf/, as Markdown.",
    )
    hyperparameters.add_argument(
        "--out", type=folder, default=Path("docs/hyperparameters.md"), metavar="FILE", help="default: %(default)s"
    )

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

    publish = commands.add_parser(
        "publish",
        parents=[runs],
        help="add runs to a study's archive in results/",
        description="Add the runs that results/<study>/manifest.yaml names to the study's archive, also those that "
        "diverged or are not finished. Read them back with --runs results/<study>. docs/results.md explains it.",
    )
    publish.add_argument("--to", type=folder, required=True, metavar="DIR", help="results/<study>")

    figures = commands.add_parser(
        "figures",
        help="draw everything that the published studies show",
        description="Draw what each study's manifest names, from its archive alone: no training, no network.",
    )
    figures.add_argument("--results", type=folder, default=Path("results"), metavar="DIR", help="default: %(default)s")
    figures.add_argument("--out", type=folder, default=Path("figures"), metavar="DIR", help="default: %(default)s")

    status = commands.add_parser(
        "status",
        parents=[runs],
        help="what is done, running, failed, killed, missing",
        description="How all runs stand, from the status each of them writes; on a terminal until all are finished.",
    )
    status.add_argument("--plan", metavar="NAME", help="only what one command needs, e.g. table2-paper")
    status.add_argument("--once", action="store_true", help="print once, also on a terminal")

    return parser


def _runs(text: str) -> Path | str:
    """A folder, or what says where on a server the runs are."""
    return text if text.startswith(SERVER) else folder(text)


def _count(text: str) -> int:
    if not text.isdecimal() or not 2 <= int(text[:9]) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text} is no number from 2 to 100,000")
    return int(text)
