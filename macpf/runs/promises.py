"""What `macpf check` uses for algorithms and environments alike: a fault, a line for each check, and a comparison."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from macpf.runs.errors import described


class Fault(Exception):
    """A promise that is not kept; one line says what is wrong and what to do."""


def report(checks: Mapping[str, Callable[[], str]]) -> int:
    """Make the checks, each of which says what it found, and print a line for each; returns 0 if all succeed, else 1.

    Args:
        checks: by name, functions that return what they found, or raise.
    """
    fine = [_said(name, look) for name, look in checks.items()]
    return 0 if all(fine) else 1


def _said(name: str, look: Callable[[], str]) -> bool:
    try:
        found, fine = look(), True
    except Fault as fault:
        found, fine = str(fault), False
    except (Exception, SystemExit) as error:  # what is checked may raise anything
        found, fine = f"it stopped: {described(error)}", False
    print(f"{'ok' if fine else 'FAILED':<8}{name:<13}{found}", flush=True)
    return fine


def saved_and_loaded(state: dict[str, Any]) -> dict[str, Any]:
    """A state as a checkpoint gives it back.

    Raises:
        Fault: it holds what a checkpoint cannot, as it runs no code when it is loaded.
    """
    saved = io.BytesIO()
    try:
        torch.save(state, saved)
        saved.seek(0)
        loaded: dict[str, Any] = torch.load(saved, weights_only=True)
    except Exception as error:  # torch's message is long, and names its own options
        raise Fault("state_dict has to hold numbers, strings, tensors and containers of them only") from error
    return loaded


def difference(one: Any, other: Any, where: str = "") -> str:
    """The path of the first thing in which two nested states differ; empty if they are equal bit for bit."""
    here = where or "the whole"
    if type(one) is not type(other):
        return here
    if isinstance(one, dict):
        if one.keys() != other.keys():
            return here
        return _first(difference(one[key], other[key], f"{where} {key}".strip()) for key in one)
    if isinstance(one, list | tuple):
        if len(one) != len(other):
            return here
        return _first(difference(a, b, f"{where} {k}".strip()) for k, (a, b) in enumerate(zip(one, other, strict=True)))
    if isinstance(one, Tensor):
        equal = torch.equal(one, other)
    elif isinstance(one, np.ndarray):
        equal = np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    else:
        equal = one == other or (one != one and other != other)
    return "" if equal else here


def _first(found: Iterable[str]) -> str:
    return next(filter(None, found), "")
