"""As in pysc2: the class that tables of maps derive from."""


class Map:
    """A map."""
