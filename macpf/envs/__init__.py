"""What can be played. Every environment is batched and knows nothing of who plays it."""
