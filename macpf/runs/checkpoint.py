"""Checkpoints that survive power loss: written atomically, checked when read, the previous one kept."""

from __future__ import annotations

import hashlib
import io
import logging
import pickle
from pathlib import Path
from typing import Any

import torch

from macpf.runs.folder import previous, write_atomically

log = logging.getLogger(__name__)

#: Changes with the layout of what is saved, so that a file of another version is refused, not misread.
MAGIC = b"MACPF-1\n"


class Unreadable(Exception):
    """A checkpoint file that is missing, cut short, altered, or of another version."""


def save(path: Path, state: dict[str, Any]) -> None:
    """Write the state (tensors, numbers, strings and containers of them) with a checksum in front."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getvalue()
    write_atomically(path, MAGIC + hashlib.sha256(payload).digest() + payload, keep_previous=True)


def load(path: Path) -> dict[str, Any] | None:
    """The newest readable state, on the CPU: the file's, else the previous one's (saying so); None if there is neither.

    Raises:
        Unreadable: there are files, but none can be read.
    """
    problems = []
    for candidate in (path, previous(path)):
        try:
            state = _read(candidate)
        except FileNotFoundError:
            continue
        except Unreadable as error:
            problems.append(f"{candidate} is {error}")
            continue
        for problem in problems:
            log.warning("%s; going on from the one before", problem)
        return state
    if problems:
        raise Unreadable("; ".join(problems))
    return None


def _read(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    if not content.startswith(MAGIC):
        raise Unreadable("no checkpoint of this version")
    start = len(MAGIC) + hashlib.sha256().digest_size
    if hashlib.sha256(content[start:]).digest() != content[len(MAGIC) : start]:
        raise Unreadable("damaged (its checksum does not match)")
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(content[start:]), map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError) as error:
        raise Unreadable(f"not loadable ({' '.join(str(error).split())[:200]})") from error
    return state
