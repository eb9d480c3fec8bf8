"""What the commands beside ``run.py`` make of their arguments."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import NoReturn

from macpf.suite import as_typed


class Parser(argparse.ArgumentParser):
    """Says in one line what it cannot take, with exit code 2."""

    def format_help(self) -> str:
        """The help, with commands as they are typed here."""
        return as_typed(super().format_help())

    def error(self, message: str) -> NoReturn:
        """End the process."""
        self.exit(2, f"{self.prog}: error: {' '.join(message.split())}; --help shows what can be typed\n")


def folder(text: str) -> Path:
    """A folder or file, with ``~`` written out: make passes it on as it was typed.

    Raises:
        argparse.ArgumentTypeError: none is named.
    """
    if not filled(text).isprintable():
        raise argparse.ArgumentTypeError(f"{text!r} is no path")
    return Path(os.path.expanduser(text))


def filled(text: str) -> str:
    """A text that says something.

    Raises:
        argparse.ArgumentTypeError: it is empty.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty; type something, or leave the option out")
    return text
