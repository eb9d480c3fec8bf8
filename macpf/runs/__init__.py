"""One run from start to end: what it is called, where it lives, how it trains, stops and goes on."""
