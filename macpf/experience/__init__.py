"""Episodes: how they are collected (rollout), stored (replay) and passed to learners (batch)."""
