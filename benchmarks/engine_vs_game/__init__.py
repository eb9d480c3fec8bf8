"""The embedded engine compared with logs of the real game by others: `python -m benchmarks.engine_vs_game --help`."""
