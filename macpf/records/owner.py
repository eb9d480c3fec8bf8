"""The owner of a file: the key of a run, and the origin, which tells apart runs with the same key."""

from __future__ import annotations

import uuid
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from macpf.records.files import Damaged
from macpf.records.numbering import SHOWN

Text = Annotated[str, Field(min_length=1, max_length=500)]


class Foreign(Damaged):
    """A file of another run, or of another origin of the same run."""


Origin = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class Owner(BaseModel):
    """The run to which a file belongs.

    Attributes:
        key: ``<algo>-<env>-<map>-<config hash>-s<seed>``, the same for the same settings on any machine.
        origin: 32 random hex digits, drawn when the run first begins; two people's runs of the same key differ in it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: Text
    origin: Origin

    @classmethod
    def new(cls, key: str) -> Owner:
        """The owner for a new run, with a new origin."""
        return cls(key=key, origin=uuid.uuid4().hex)

    @property
    def wandb_id(self) -> str:
        """W&B's id of the run: never shared by two origins, so no server can merge them."""
        return f"{self.key}-{self.origin[:SHOWN]}"

    def __str__(self) -> str:
        return f"{self.key}@{self.origin[:SHOWN]}"


def refuse_foreign(what: object, found: Owner, expected: Owner) -> None:
    """Refuse a file of another owner.

    Raises:
        Foreign: the owners differ; the message names the file and both owners.
    """
    if found != expected:
        raise Foreign(f"{what} belongs to the run {found}, not to {expected}; put it back where it came from")
