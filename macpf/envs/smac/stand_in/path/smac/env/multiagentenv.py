"""As in oxwhirl's smac."""

from macpf.envs.smac.drop_in_view import MultiAgentEnv

__all__ = ["MultiAgentEnv"]
