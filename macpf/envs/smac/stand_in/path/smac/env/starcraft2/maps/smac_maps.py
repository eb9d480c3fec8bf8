"""As in oxwhirl's smac: the table of maps, and the class of a map."""

from macpf.envs.smac.stand_in.registry import get_smac_map_registry


class SMACMap:
    """A map of SMAC."""

    directory = "SMAC_Maps"
    players = 2
    step_mul = 8
    game_steps_per_episode = 0


map_param_registry = get_smac_map_registry()

__all__ = ["SMACMap", "get_smac_map_registry", "map_param_registry"]
