"""As in s2clientprotocol."""

from macpf.envs.smac.stand_in.messages import named as __getattr__

__all__ = ["__getattr__"]
