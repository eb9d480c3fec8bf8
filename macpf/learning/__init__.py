"""What algorithms are made of. Nothing here knows an environment, a run or another algorithm."""
