"""MACPF as the paper writes it: read `learner.py` first, then what it is made of."""
