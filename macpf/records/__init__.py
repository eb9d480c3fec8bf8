"""The files that a run writes and the analysis reads. They name their run and prove that they are complete.

Nothing here imports torch, so the analysis can use all of it.
"""
