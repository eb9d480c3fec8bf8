"""From what runs left behind to figures and tables: reads W&B logs only, and never imports torch."""


class AnalysisError(Exception):
    """The request cannot be answered; the message is one line that says why and what to type instead."""
