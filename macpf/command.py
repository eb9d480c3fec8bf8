"""The command ``macpf``: train, evaluate, draw and check, from any folder."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import NamedTuple

from macpf import suite
from macpf.extensions import BrokenEntryPoint
from macpf.extras import MissingExtra, require

USAGE = "macpf <command> ..."
HELP = ("-h", "--help")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code, 2 for one that is unknown or lacks something that it needs."""
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name in HELP:
        print(text())
        return 0
    if name == "--version":
        from importlib.metadata import version

        print(version("macpf"))
        return 0
    if name not in COMMANDS:
        print(f"error: there is no command {name}; choose one of: {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    return run(name, rest)


def run(name: str, arguments: list[str]) -> int:
    """Run a command that is known; returns its exit code."""
    command = COMMANDS[name]
    suite.on_path(first=True)
    try:
        if command.extra and not set(HELP) & set(arguments):
            require(command.extra, f"macpf {name}")
        return command.play(arguments) or 0
    except (MissingExtra, BrokenEntryPoint) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def text() -> str:
    """What ``macpf --help`` says."""
    wide = max(map(len, COMMANDS))
    lines = [f"  {name:<{wide}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join([f"usage: {USAGE}", "", __doc__ or "", "", *lines, "", ENDING])


ENDING = """\
A run:      macpf train algo=qmix env=matrix_game seed=3
A figure:   macpf sweep +experiment=figure4, then macpf analysis figure4
`macpf <command> --help` says more. Runs go to outputs/ and figures to figures/ of the folder one is in."""


def train(arguments: list[str]) -> None:
    """Train as ``python run.py`` does with these arguments, or say what can be typed; ends the process if it fails."""
    if set(HELP) & set(arguments):
        from macpf.runs.help import text as help_text

        print(help_text())
        return
    from macpf.runs.launch import main as launch

    sys.argv[1:] = arguments  # where Hydra reads them
    launch()


def doctor(arguments: list[str]) -> int:
    """Report on each thing that the real game needs; returns 1 if one is missing."""
    if set(HELP) & set(arguments):
        print("usage: macpf doctor\n\nA line for each thing that the real StarCraft II needs, and how to get it.")
        return 0
    if arguments:
        print(f"error: macpf doctor takes no {arguments[0]}; type it alone", file=sys.stderr)
        return 2
    from macpf.envs.smac.doctor import main as look

    return look()


def _prefixed(*first: str) -> Callable[[list[str]], None]:
    return lambda arguments: train([*first, *arguments])


def _main_of(module: str) -> Callable[[list[str]], int]:
    """The `main` of a module, which is imported when it is called."""
    return lambda arguments: int(importlib.import_module(module).main(arguments) or 0)


class Command(NamedTuple):
    """What a command does, the extra it needs, and how it is run with the arguments after its name."""

    summary: str
    extra: str
    play: Callable[[list[str]], int | None]


COMMANDS = {
    "train": Command("one run, or a sweep with -m: what run.py does in a checkout", "train", train),
    "sweep": Command("many runs: algo=macpf,qmix seed=0,1,2, or +experiment=figure4", "train", _prefixed("-m")),
    "evaluate": Command("many greedy episodes of a trained run: run=<folder>", "train", _prefixed("mode=evaluate")),
    "render": Command("an animated picture of one episode: run=<folder>", "train", _prefixed("mode=render")),
    "reproduce": Command(
        "plan, launch and draw a figure or table of the paper", "train", _main_of("macpf.runs.reproduce")
    ),
    "analysis": Command("figures, tables and reports from the logs of runs", "analysis", _main_of("analysis.__main__")),
    "check": Command(
        "does an algorithm, or env=<environment>, keep its promises: shapes, masks, determinism, resume",
        "train",
        _main_of("macpf.runs.check"),
    ),
    "doctor": Command("can the real StarCraft II be played here, and if not, what to type", "", doctor),
}
