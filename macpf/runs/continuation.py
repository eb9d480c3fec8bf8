"""Continue a finished run to a larger budget: its last state becomes the first checkpoint of the longer run.

The longer run then equals one that had the larger budget from the beginning, bit for bit. The state is therefore not
the final one of the shorter run, which includes an evaluation that a longer run does not make there. It is saved just
before that evaluation in ``continuable.pt`` (``checkpoint.keep_replay``), with the episodes of the replay.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig

from macpf.experience import journal as journals
from macpf.experience.journal import Journal
from macpf.records import ledger as records
from macpf.records.files import Damaged
from macpf.records.ledger import Ledger
from macpf.records.owner import Owner
from macpf.records.run_state import FINISHED, run_state
from macpf.runs import checkpoint, weights
from macpf.runs.folder import RunFolder
from macpf.runs.identity import Identity, result_settings
from macpf.runs.trainer import made_with


@dataclass(frozen=True)
class Shorter:
    """A finished run of the same configuration with a smaller budget.

    Attributes:
        folder: its folder.
        ledger: its ledger.
        why_not: why it cannot be continued bit for bit; empty if it can.
    """

    folder: RunFolder
    ledger: Ledger
    why_not: str

    @property
    def env_steps(self) -> int:
        """The env steps of its budget."""
        return self.ledger.manifest.env_steps

    def __str__(self) -> str:
        return f"the finished run of {self.env_steps:,} env steps in {self.folder.path}"


def shorter_run(cfg: DictConfig, identity: Identity, device: str) -> Shorter | None:
    """The longest finished run that differs from this one only by its smaller budget, if there is one.

    A run that can be continued is preferred to a longer one that cannot.

    Args:
        cfg: configuration of this run, its backend chosen, with its references to other settings.
        identity: identity of this run.
        device: device of this run.
    """
    found = []
    for folder, ledger in _finished(identity):
        shorter = cfg.copy()
        shorter.budget.env_steps = ledger.manifest.env_steps
        if ledger.manifest.env_steps < cfg.budget.env_steps and Identity.of(shorter).key == ledger.manifest.key:
            why_not = _follows_budget(result_settings(shorter), result_settings(cfg)) or _why_not(
                RunFolder(folder), ledger, device
            )
            found.append(Shorter(RunFolder(folder), ledger, why_not))
    return max(found, key=lambda run: (not run.why_not, run.env_steps), default=None)


def adopt(shorter: Shorter, folder: RunFolder, owner: Owner, row: np.dtype[np.void]) -> None:
    """Write the first checkpoint of a longer run, its episodes, and the weights that the shorter one kept.

    Args:
        shorter: a run that can be continued.
        folder: folder of the longer run, which has not started.
        owner: owner of the longer run's files.
        row: row type of the longer run's episodes.

    Raises:
        checkpoint.Unreadable, Damaged: the saved state is damaged or belongs to another run; nothing was written.
    """
    before = shorter.ledger.manifest.owner

    def journal(owner: Owner) -> Journal:
        return Journal(shorter.folder.episodes, row, str(owner))

    state = checkpoint.load(shorter.folder.continuable, before, journal)
    assert state is not None  # `shorter_run` saw it
    del state["owner"]
    episodes = state["replay"].pop("episodes")
    journals.delete(folder.episodes)
    copies = Journal(folder.episodes, row, str(owner))
    copies.next = state["replay"]["first"]
    copies.append(episodes)
    for name in weights.kept(shorter.folder.path):
        kept = weights.load(shorter.folder.path, name)
        if kept.about.env_steps <= state["clock"]["env_steps"]:
            about = kept.about.model_copy(update={"key": owner.key, "origin": owner.origin})
            weights.Weights(about, kept.tensors).save(folder.path / weights.FOLDER / f"{name}{weights.SUFFIX}")
    checkpoint.save(folder.checkpoint, owner, state, copies)


def _finished(identity: Identity) -> Iterator[tuple[Path, Ledger]]:
    """The finished runs of this algorithm, task and seed."""
    task = identity.folder.parents[1]
    for path in sorted(task.glob(f"*/seed={identity.seed}/{records.NAME}")):
        if path.parent != identity.folder and run_state(path.parent).state == FINISHED:
            try:
                yield path.parent, Ledger.read(path)
            except (Damaged, OSError):
                continue


def _follows_budget(shorter: dict[str, Any], longer: dict[str, Any]) -> str:
    """Names a setting that depends on the budget, so that the runs differ from the beginning; empty if none does."""
    for path, there, here in _differences(shorter, longer, ""):
        if path != "budget.env_steps":
            return f"{path} follows the budget ({there} there, {here} here)"
    return ""


def _differences(one: Any, other: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for key in one:
            yield from _differences(one[key], other[key], f"{path}.{key}" if path else str(key))
    elif one != other:
        yield path, one, other


def _why_not(folder: RunFolder, ledger: Ledger, device: str) -> str:
    """Why a run of the same settings cannot be continued bit for bit; empty if it can."""
    if not folder.continuable.exists():
        return "its replay was not kept (checkpoint.keep_replay=true keeps it)"
    if ledger.manifest.backend == "starcraft":
        return "the real game does not repeat itself"
    if device != "cpu":
        return f"device={device} is not known to repeat itself bit for bit"
    here = made_with(device) | {"torch": torch.__version__}
    for what, now in here.items():
        if others := [getattr(one, what) for one in ledger.attempts if getattr(one, what) != now]:
            return f"it was made with {what} {others[0]}, and this is {now}"
    return ""
