"""MACPF (multi-agent conditional policy factorization) and the machinery that trains it."""
