"""As in oxwhirl's smac."""

from macpf.envs.smac.stand_in.registry import get_map_params, get_smac_map_registry

__all__ = ["get_map_params", "get_smac_map_registry"]
