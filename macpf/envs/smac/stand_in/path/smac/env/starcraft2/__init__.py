"""As in oxwhirl's smac."""
