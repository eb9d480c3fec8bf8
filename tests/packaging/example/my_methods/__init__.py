"""A third party's algorithms and environment."""
