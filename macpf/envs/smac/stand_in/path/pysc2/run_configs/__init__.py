"""As in pysc2: how the game is started."""

from macpf.envs.smac.stand_in.game import RunConfig


def get(version: str | None = None) -> RunConfig:
    """The embedded engine, whatever the version."""
    return RunConfig()
