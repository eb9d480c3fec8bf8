"""Figures, tables and verdicts from the W&B logs of runs; never imports torch."""


class AnalysisError(Exception):
    """The request cannot be answered; the message is one line that says why and what to type instead."""
