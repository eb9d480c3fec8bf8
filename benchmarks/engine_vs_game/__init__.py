"""The embedded engine beside what others logged of the real game: `python -m benchmarks.engine_vs_game --help`."""
