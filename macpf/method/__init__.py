"""MACPF as in the paper. Start with `learner.py`; the other modules are its components."""
