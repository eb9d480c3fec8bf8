"""Messages of StarCraft II's interface, as far as SMAC writes them: names with values."""

from __future__ import annotations

from typing import Any

#: How the names of messages begin; all other names are constants: races, difficulties, kinds of player.
MESSAGES = ("Request", "Debug", "Action", "Interface", "LocalMap", "Point", "Size", "PlayerSetup")


class Repeated(list[Any]):
    """A field of many messages."""

    def add(self, **values: Any) -> Message:
        """Append a message."""
        self.append(Message(**values))
        message: Message = self[-1]
        return message


class Message:
    """Any message: it holds what it was made with; ``player_setup`` can be added to."""

    def __init__(self, **values: Any) -> None:
        self.player_setup = Repeated()
        self.__dict__.update(values)


def named(name: str) -> Any:
    """What a module of messages holds by that name: every message is a `Message`, every constant is its name.

    Raises:
        AttributeError: the name is one of Python's own.
    """
    if name.startswith("_"):
        raise AttributeError(name)
    is_message = name.startswith(
        ("Request", "Debug", "Action", "Interface", "LocalMap", "Point", "Size", "PlayerSetup")
    )
    return Message if is_message else name
