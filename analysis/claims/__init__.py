"""What the paper claims of its experiments, and whether its own numbers and our runs bear it out."""
