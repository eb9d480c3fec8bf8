"""Episodes: how they are played (rollout), kept (replay) and handed to learners (batch)."""
