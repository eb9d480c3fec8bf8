"""The modules of the package's extras (``pip install 'macpf[train]'``), and a one-line error if one is missing."""

from __future__ import annotations

import importlib.util

_BOTH = ("hydra", "joblib", "pandas", "pyarrow", "scipy", "matplotlib", "PIL", "rich", "filelock", "psutil")
#: Modules that each extra of pyproject.toml installs.
MODULES = {
    "render": ("matplotlib", "PIL"),
    "train": ("torch", "wandb", "safetensors", "mpe2", *_BOTH),
    "analysis": ("jinja2", "tabulate", *_BOTH),
    "slurm": ("submitit",),
    "search": ("optuna",),
}


class MissingExtra(ImportError):
    """A module is not installed; the message is one line that says what needs it and what to type."""


def missing(extra: str) -> str:
    """The first module of an extra that is not installed; empty if all are."""
    return next((name for name in MODULES[extra] if importlib.util.find_spec(name) is None), "")


def require(extra: str, what: str) -> None:
    """Make sure that an extra is installed.

    Args:
        extra: its name.
        what: what needs it, as the subject of a sentence.

    Raises:
        MissingExtra: a module of it is not installed.
    """
    if module := missing(extra):
        raise lacking(module, extra, what)


def lacking(module: str, extra: str, what: str) -> MissingExtra:
    """The error for a module that is not installed, with what to type (for the arguments see `require`)."""
    return MissingExtra(f"{what} needs {module}, which is not installed; type: pip install 'macpf[{extra}]'")
