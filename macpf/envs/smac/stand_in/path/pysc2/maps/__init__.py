"""As in pysc2: maps by name."""

from types import SimpleNamespace

from . import lib


def get(map_name: str) -> SimpleNamespace:
    """A map by its name, with the path that its file would have."""
    return SimpleNamespace(name=map_name, path=f"{map_name}.SC2Map")


__all__ = ["get", "lib"]
