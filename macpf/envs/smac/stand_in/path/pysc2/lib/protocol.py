"""As in pysc2: errors of the connection to the game, which never occur here."""


class ProtocolError(Exception):
    """The game did not understand a request."""


class ConnectionError(Exception):
    """The connection to the game was lost."""
