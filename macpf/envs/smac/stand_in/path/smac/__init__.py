"""Stands in for oxwhirl's smac: SMAC's environment on the embedded engine of macpf."""
