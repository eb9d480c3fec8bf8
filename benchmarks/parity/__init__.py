"""Whole updates beside those of the algorithms' own code, from files that were made with it."""
