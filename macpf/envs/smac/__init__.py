"""SMAC: the embedded engine and the real game behind one interface."""
