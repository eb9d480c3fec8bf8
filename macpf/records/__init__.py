"""What runs leave behind, for the side that writes and the side that reads: names its owner, proves that it is whole.

Nothing here imports torch, so the analysis can use all of it.
"""
