"""As in pysc2."""
