"""One run from start to end: what it is called, where it lives, how it trains, stops and goes on."""

from macpf import suite

suite.on_path()  # the baselines, whose import paths stand in conf/ and in trained runs
