"""Components of algorithms. Nothing here depends on an environment, a run or a particular algorithm."""
