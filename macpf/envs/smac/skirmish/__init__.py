"""The embedded engine: SMAC battles in compiled code, batched, without StarCraft."""
