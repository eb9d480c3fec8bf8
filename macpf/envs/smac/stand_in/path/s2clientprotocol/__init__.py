"""A stand-in for s2clientprotocol, the game's messages."""
