"""Checkpoints that survive power loss: they are written atomically and checked when read, and the previous one is kept.

The replay's episodes are not in the file but in the run's journal, where each was written once. A checkpoint lists the
episodes that it needs, and is complete only if all of these can be read.
"""

from __future__ import annotations

import hashlib
import io
import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from macpf.experience.journal import Journal
from macpf.records.files import Damaged, previous, write_atomically
from macpf.records.owner import Foreign, Owner, refuse_foreign

log = logging.getLogger(__name__)

#: Changes with the layout of checkpoints, so that a file of another version is rejected, not misread.
MAGIC = b"MACPF-3\n"


class Unreadable(Exception):
    """A checkpoint that is cut short, altered, of another version, or without its episodes."""


def save(path: Path, owner: Owner, state: dict[str, Any], journal: Journal, keep_previous: bool = True) -> None:
    """Write the state of a run (tensors, numbers, strings and containers of them), preceded by a checksum.

    The journal is synced first, so that a checkpoint never refers to missing episodes. Without `keep_previous` there is
    no previous file, and the journal keeps the same episodes as before.
    """
    journal.sync()
    buffer = io.BytesIO()
    torch.save(state | {"owner": [owner.key, owner.origin]}, buffer)
    payload = buffer.getvalue()
    write_atomically(path, MAGIC + hashlib.sha256(payload).digest() + payload, keep_previous)
    if keep_previous:
        journal.checkpointed(state["replay"]["first"])


def load(
    path: Path, owner: Owner | None = None, journal: Callable[[Owner], Journal] | None = None
) -> dict[str, Any] | None:
    """The newest readable state, on the CPU: that of the file, or of the previous one (with a warning).

    Args:
        path: path of the checkpoint.
        owner: the run that the state must belong to; None: any run.
        journal: opens the journal of an owner, from which the ``episodes`` of the replay are read; None: without them.

    Returns:
        The state, with its ``owner`` as an `Owner`; None if there is no file.

    Raises:
        Unreadable: there are files, but none can be read.
        Foreign: the file or its episodes belong to another run.
    """
    problems = []
    for candidate in (path, previous(path)):
        try:
            state = _read(candidate)
            if owner is not None:
                refuse_foreign(candidate, state["owner"], owner)
            if journal is not None:
                replay = state["replay"]
                replay["episodes"] = journal(state["owner"]).read(replay["first"], replay["added"])
        except FileNotFoundError:
            continue
        except Foreign:
            raise
        except Unreadable as error:
            problems.append(f"{candidate} is {error}")
            continue
        except Damaged as error:
            problems.append(f"{candidate} cannot be used: {error}")
            continue
        for problem in problems:
            log.warning("%s; going on from the one before", problem)
        return state
    if problems:
        raise Unreadable("; ".join(problems))
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unreadable(f"not readable ({error.strerror})") from error
    if not content.startswith(MAGIC):
        raise Unreadable("no checkpoint of this version")
    start = len(MAGIC) + hashlib.sha256().digest_size
    if hashlib.sha256(content[start:]).digest() != content[len(MAGIC) : start]:
        raise Unreadable("damaged (its checksum does not match)")
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(content[start:]), map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError) as error:
        raise Unreadable(f"not loadable ({' '.join(str(error).split())[:200]})") from error
    key, origin = state["owner"]
    state["owner"] = Owner(key=key, origin=origin)
    return state
