"""The messages of StarCraft II's interface that SMAC sends, as objects with named values."""

from __future__ import annotations

from typing import Any


class Repeated(list[Any]):
    """A repeated field: a list of messages."""

    def add(self, **values: Any) -> Message:
        """Append a message."""
        self.append(Message(**values))
        message: Message = self[-1]
        return message


class Message:
    """Any message: its keyword arguments are its fields; ``player_setup`` is a repeated field."""

    def __init__(self, **values: Any) -> None:
        self.player_setup = Repeated()
        self.__dict__.update(values)


def named(name: str) -> Any:
    """The attribute of a module of messages: `Message` for every message, and the name itself for a constant.

    Raises:
        AttributeError: the name begins with an underscore.
    """
    if name.startswith("_"):
        raise AttributeError(name)
    is_message = name.startswith(
        ("Request", "Debug", "Action", "Interface", "LocalMap", "Point", "Size", "PlayerSetup")
    )
    return Message if is_message else name
