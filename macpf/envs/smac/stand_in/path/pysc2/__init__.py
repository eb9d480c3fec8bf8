"""A stand-in for pysc2 that plays on macpf's embedded engine."""
