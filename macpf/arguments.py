"""Command-line arguments of the commands other than ``run.py``."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any, NoReturn

from macpf.suite import as_typed


class Parser(argparse.ArgumentParser):
    """A parser that reports an error in one line and exits with code 2."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        self.wanted: dict[str, str] = {}
        super().__init__(*arguments, **settings)

    def format_help(self) -> str:
        """The help, with commands as they are typed here."""
        return as_typed(super().format_help())

    def add_argument(self, *names: Any, **settings: Any) -> argparse.Action:
        """As in argparse; remembers what each argument is."""
        action = super().add_argument(*names, **settings)
        self.wanted["/".join(action.option_strings) or str(action.metavar or action.dest)] = str(action.help)
        return action

    def error(self, message: str) -> NoReturn:
        """Print the error and end the process."""
        lacks, _, missing = message.partition(" arguments are required: ")
        if lacks == "the following":
            first = missing.split(", ")[0]
            message = f"{first} is missing" + (f": {self.wanted[first]}" if first in self.wanted else "")
        self.exit(2, f"{self.prog}: error: {' '.join(message.split())}; --help shows what can be typed\n")


def folder(text: str) -> Path:
    """A path with ``~`` expanded: make passes it on as it was typed.

    Raises:
        argparse.ArgumentTypeError: the text is empty or cannot be printed.
    """
    if not filled(text).isprintable():
        raise argparse.ArgumentTypeError(f"{text!r} is no path")
    return Path(os.path.expanduser(text))


def filled(text: str) -> str:
    """A text that is not empty.

    Raises:
        argparse.ArgumentTypeError: it is empty.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty; type something, or leave the option out")
    return text
