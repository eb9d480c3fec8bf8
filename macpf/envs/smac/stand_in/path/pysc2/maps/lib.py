"""As in pysc2: the base class of maps."""


class Map:
    """A map."""
