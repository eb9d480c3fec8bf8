"""As in oxwhirl's smac."""

from macpf.envs.smac.drop_in import StarCraft2Env
from macpf.envs.smac.drop_in_view import MultiAgentEnv

__all__ = ["MultiAgentEnv", "StarCraft2Env"]
