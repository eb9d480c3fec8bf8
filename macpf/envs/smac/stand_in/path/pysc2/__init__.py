"""Stands in for pysc2: a game of macpf's embedded engine."""
