"""The one kind of failure that a user can put right."""


class AnalysisError(Exception):
    """The request cannot be answered; the message is one line that says why and what to type instead."""
