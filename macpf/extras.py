"""What is installed with ``pip install 'macpf[train]'`` and the like, and one line for whoever lacks it."""

from __future__ import annotations

import importlib.util

_BOTH = ("hydra", "joblib", "pandas", "pyarrow", "scipy", "matplotlib", "PIL", "rich", "filelock", "psutil")
#: Modules that an extra of pyproject.toml brings.
MODULES = {
    "render": ("matplotlib", "PIL"),
    "train": ("torch", "wandb", "safetensors", "mpe2", *_BOTH),
    "analysis": ("jinja2", "tabulate", *_BOTH),
    "slurm": ("submitit",),
    "search": ("optuna",),
}


class MissingExtra(ImportError):
    """Something is not installed: one line that says what wants it and what to type."""


def missing(extra: str) -> str:
    """The first module of an extra that is not installed; empty if all are."""
    return next((name for name in MODULES[extra] if importlib.util.find_spec(name) is None), "")


def require(extra: str, what: str) -> None:
    """Make sure that an extra is installed.

    Args:
        extra: its name.
        what: wants it, as the subject of a sentence.

    Raises:
        MissingExtra: it is not.
    """
    if module := missing(extra):
        raise lacking(module, extra, what)


def lacking(module: str, extra: str, what: str) -> MissingExtra:
    """Says that something is not installed, and what to type (`require` says what the arguments are)."""
    return MissingExtra(f"{what} needs {module}, which is not installed; type: pip install 'macpf[{extra}]'")
