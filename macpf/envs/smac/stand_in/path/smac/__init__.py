"""A stand-in for oxwhirl's smac: SMAC's environment on macpf's embedded engine."""
