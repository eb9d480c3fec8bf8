"""The command line of ``python -m analysis``."""

import argparse
from pathlib import Path
from typing import Any

from macpf import suite
from macpf.arguments import Parser, filled, folder

#: The beginning of ``--runs`` for runs on a server.
SERVER = "wandb:"
_DEFAULT = "default: %(default)s"
_DRAWN = "runs chosen drawing out"
#: Figures and tables of many maps; the experiments of the same names list them.
_OF_MAPS = {f"figure{n}": "learning curves" for n in range(5, 10)}
_OF_MAPS |= {"table1": "the particle tasks beside the paper", "table2": "all SMAC maps beside the paper"}
_OWN = {"curves": "learning curves", "table": "final scores"}
_FIGURES = {
    "figure2": "the two joint policies that MACPF learns in a coordination game",
    "figure3": "MACPF's modules with their parameter counts",
}
#: For each command: groups of options that it shares with others, a short help text and a long one.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "completeness": (
        "runs",
        "how complete each run is",
        "One line per run: how far it got, the evaluations found and expected, its attempts, damage to its "
        "log, NaN values, and its state: finished, incomplete (evaluations are missing), diverged, untrained, short "
        "(stopped in order), crashed (or still going on), no data. The last column says what else is wrong. "
        "docs/analysis_sources.md explains all columns.",
    ),
    "figure4": (
        _DRAWN,
        "the matrix game: payoffs, learning curves, learned joint policy",
        "Write Figure 4 as PDF, PNG and CSV and print how the runs ended. A figure shows one map, one "
        "budget and one backend; options choose where there are several.",
    ),
    "outcomes": (
        "runs excluding out",
        "matrix games: how the runs of every method ended, beside the paper",
        "Write outcomes.csv and outcomes.md: how many finished runs of each method and payoff end at an "
        "optimum, with intervals. Its runs: python run.py -m +experiment=outcomes.",
    ),
    "figure1": (
        _DRAWN,
        "the multi-goal game: where sampled episodes go",
        "Write Figure 1 as PDF and PNG, its episodes and the goals that each run reaches as CSV.",
    ),
    **{
        name: (_DRAWN if name == "figure2" else "runs excluding drawing out", what, f"Write {name}: {what}.")
        for name, what in _FIGURES.items()
    },
    **{
        name: (
            _DRAWN,
            what,
            f"Write {name} from the runs that conf/experiment/{name}.yaml names. Budgets, backends and "
            "configurations are never mixed.",
        )
        for name, what in _OF_MAPS.items()
    },
    **{
        name: (
            _DRAWN,
            f"{what} of any experiment, or of any runs",
            f"Write {what} of the runs that a file of conf/experiment sweeps, or of all runs. Several "
            "configurations of one algorithm are told apart by the settings in which they differ.",
        )
        for name, what in _OWN.items()
    },
    "statistics": (
        _DRAWN,
        "methods over all maps: IQM, probability of improvement and more, with intervals",
        "Write and print an experiment's aggregate statistics (Agarwal et al., 2021) as CSV and Markdown, "
        "and as figures: intervals, performance profile, probability of improvement, sample efficiency. What they "
        "mean: docs/analysis.md.",
    ),
    "export": (
        "runs chosen",
        "all finished runs as the JSON that marl-eval reads",
        "Write every run that counts as marl-eval's JSON, and on the error stream which do not; the "
        "mapping: docs/analysis.md.",
    ),
    "metrics": (
        "runs exclude",
        "every number that each run logged, as CSV or for TensorBoard",
        "Write one CSV for each run, whole or not: a line for each evaluation, a column for each metric, "
        "training's losses among them.",
    ),
    "claims": (
        "runs chosen out",
        "what the paper claims, by its own numbers and by our runs",
        "Print every claim of the paper with two verdicts, of the paper's own numbers and of the finished "
        "runs in the folder, and write them as claims.csv and claims.md. What decides: docs/analysis.md.",
    ),
    "calibration": (
        "",
        "how often the claims' verdicts err, and what they can show",
        "Print, for each claim on a table, how often its test supports and contradicts it in tables drawn "
        "from the paper's, and in tables of methods that are all like MACPF; and the seeds that show it in 80 %.",
    ),
    "verify": (
        "runs",
        "train what one claim still needs, and judge it",
        "Train the runs that a claim still lacks, as `make reproduce-...` does, and judge it: exit code 0 "
        "if it is supported, 1 if it is contradicted, 3 if it is undecided. Other arguments go to the training: "
        "--launcher, --seeds, --yes, --wait, and changes for run.py.",
    ),
    "hyperparameters": (
        "",
        "every algorithm's settings, as the page of the docs",
        "Write the tables of hyperparameters, made from conf/, as Markdown.",
    ),
    "report": (
        "runs excluding",
        "everything the runs say, as one HTML page",
        "Write one HTML page that needs no network and no file beside it: claims, tables beside the "
        "paper's, learning curves, matrix games, Figure 1, hyperparameters, every run, pictures.",
    ),
    "publish": (
        "runs exclude",
        "add runs to a study's archive in results/",
        "Add the runs that results/<study>/manifest.yaml names to the study's archive, also those that "
        "diverged or are not finished. Read them back with --runs results/<study>. docs/results.md explains it.",
    ),
    "figures": (
        "",
        "draw everything that the published studies show",
        "Draw what each study's manifest names, from its archive alone: no training, no network.",
    ),
    "status": (
        "runs",
        "what is done, running, failed, killed, missing",
        "How all runs stand, from the status each of them writes; on a terminal until all are finished.",
    ),
}


def parser_of_all() -> argparse.ArgumentParser:
    """The parser; ``command`` names the function of `analysis.__main__` that runs the chosen command."""
    parser = Parser(
        prog=suite.ANALYSE,
        description="Make figures and reports from finished (or unfinished) runs. Reads only what W&B kept, in a "
        "folder or on a server.",
        epilog="Runs are made by `make demo` or, for instance, `python run.py -m +experiment=figure4`.",
    )
    commands = parser.add_subparsers(required=True, metavar="command", dest="command")
    shared, own = _shared(), _options()
    for name, (given, what, at_length) in COMMANDS.items():
        parents = [shared[word] for word in given.split()]
        command = commands.add_parser(name, parents=parents, help=what, description=at_length)
        for flag, option in own.get(name, {}).items():
            command.add_argument(flag, **option)
        if name in _OF_MAPS or name in _OWN:
            command.set_defaults(command="of_maps" if name in _OF_MAPS else "own", name=name)
    return parser


def _shared() -> dict[str, Parser]:
    """Options that several commands have."""
    runs, exclude, drawing, out = (Parser(add_help=False) for _ in range(4))
    where = "folder, or wandb:entity/project on a W&B server (default: %(default)s)"
    runs.add_argument("--runs", type=_runs, default=Path("outputs"), metavar="WHERE", help=where)
    exclude.add_argument(
        "--exclude",
        action="append",
        type=filled,
        default=[],
        metavar="TEXT",
        help="leave out runs with this in their key; repeatable",
    )
    exclude.set_defaults(allow_incomplete=False)
    excluding = Parser(add_help=False, parents=[exclude])
    excluding.add_argument(
        "--allow-incomplete",
        action="store_true",
        help="count runs, too, that are not finished or lack evaluations (diverged and untrained ones never count)",
    )
    chosen = Parser(add_help=False, parents=[excluding])
    chosen.add_argument("--budget", help="the budget of the runs to look at")
    chosen.add_argument("--backend", help="the backend of the runs to look at")
    drawing.add_argument("--no-caption", action="store_true", help="write captions beside the figures, as text files")
    out.add_argument("--out", **_path("figures", "DIR"))
    shared = {"runs": runs, "exclude": exclude, "excluding": excluding, "chosen": chosen}
    return shared | {"drawing": drawing, "out": out}


def _path(default: str, metavar: str) -> dict[str, Any]:
    return {"type": folder, "default": Path(default), "metavar": metavar, "help": _DEFAULT}


def _options() -> dict[str, dict[str, dict[str, Any]]]:
    """The options of each command that it does not share."""
    real = "draw published runs of the real StarCraft II beside ours, of the same maps and algorithms"
    real_game = {"--real-game": {"action": "store_true", "help": real}}
    macpf = {"default": "macpf", "metavar": "ALGO", "help": "the MACPF variant (default: %(default)s)"}
    where = "only runs with these values, e.g. map=3m,2s3z or algo.learner.lr=0.001; repeatable"
    own: dict[str, dict[str, Any]] = {
        "experiment": {"nargs": "?", "help": "its name in conf/experiment; left out: any runs"},
        "--where": {"action": "append", "default": [], "metavar": "SETTING=VALUES", "help": where},
    }
    pictures = "one more folder of GIFs; repeatable"
    return {
        "figure4": {
            "--map": {"help": "the payoff matrix to show"},
            "--macpf": {"metavar": "ALGO", "help": "the MACPF variant to show (default: a figure for each)"},
        },
        "outcomes": {"--budget": {"help": "the budget of the runs to count"}},
        **{name: {"--macpf": macpf} for name in _FIGURES},
        **{name: real_game for name in _OF_MAPS if name.startswith("figure")},
        "curves": own | real_game,
        "table": own,
        "statistics": {"experiment": {"nargs": "?", "choices": _OF_MAPS, "default": "table2", "help": _DEFAULT}},
        "export": {"--to": {"type": folder, "required": True, "metavar": "FILE"}},
        "metrics": {
            "--to": {"type": folder, "required": True, "metavar": "DIR"},
            "--tensorboard": {"action": "store_true", "help": "event files; needs its package"},
        },
        "claims": {"--map": {"help": "the payoff matrix to judge the matrix game by (default: figure4's)"}},
        "calibration": {
            "--seeds": {"type": _count, "default": 5, "help": "runs of each cell (default: %(default)s)"},
            "--draws": {"type": _count, "default": 2000, "help": "tables drawn (default: %(default)s)"},
        },
        "verify": {
            "claim": {"help": "its id: `python -m analysis claims` lists them"},
            "--budget": {"default": "paper", "help": _DEFAULT},
            "--backend": {"help": "of SMAC"},
        },
        "hyperparameters": {"--out": _path("docs/hyperparameters.md", "FILE")},
        "report": {
            "--out": _path("figures/report.html", "FILE"),
            "--pictures": {"type": folder, "action": "append", "default": [], "metavar": "DIR", "help": pictures},
        },
        "publish": {"--to": {"type": folder, "required": True, "metavar": "DIR", "help": "results/<study>"}},
        "figures": {"--results": _path("results", "DIR"), "--out": _path("figures", "DIR")},
        "status": {
            "--plan": {"metavar": "NAME", "help": "only what one command needs, e.g. table2-paper"},
            "--once": {"action": "store_true", "help": "print once, also on a terminal"},
        },
    }


def _runs(text: str) -> Path | str:
    """A folder, or the address of runs on a server."""
    return text if text.startswith(SERVER) else folder(text)


def _count(text: str) -> int:
    if not text.isdecimal() or not 2 <= int(text[:9]) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text} is no number from 2 to 100,000")
    return int(text)
