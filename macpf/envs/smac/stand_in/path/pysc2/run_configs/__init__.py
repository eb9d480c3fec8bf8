"""As in pysc2: where the game is."""

from macpf.envs.smac.stand_in.game import RunConfig


def get(version: str | None = None) -> RunConfig:
    """The embedded engine, whatever the version."""
    return RunConfig()
