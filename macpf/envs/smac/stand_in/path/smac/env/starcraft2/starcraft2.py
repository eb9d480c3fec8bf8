"""As in oxwhirl's smac."""

from macpf.envs.smac.drop_in import StarCraft2Env
from macpf.envs.smac.drop_in_view import Direction, MultiAgentEnv

__all__ = ["Direction", "MultiAgentEnv", "StarCraft2Env"]
