"""Everything about a run: its settings and identity, its folder, and how it trains, stops and resumes."""

from macpf import suite

suite.on_path()  # for the baselines, whose import paths are in conf/ and in trained runs
