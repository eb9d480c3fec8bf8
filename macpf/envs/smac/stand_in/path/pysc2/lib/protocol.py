"""As in pysc2: what may go wrong on the way to the game. Nothing does here."""


class ProtocolError(Exception):
    """The game did not understand."""


class ConnectionError(Exception):
    """The game is gone."""
