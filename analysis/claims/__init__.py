"""What the paper claims about its experiments, and whether its own numbers and our runs support it."""
