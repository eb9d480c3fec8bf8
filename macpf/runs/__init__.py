"""One run from start to end: what it is called, where it lives, how it trains, stops and goes on."""

import macpf.configuration  # noqa: F401  conf/config.yaml uses the resolver that it registers
