"""Compare whole updates with those of the authors' code, from files that were made with it."""
