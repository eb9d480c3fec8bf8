"""The environments. Each one is batched, and none depends on an algorithm."""
