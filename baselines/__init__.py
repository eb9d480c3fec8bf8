"""The algorithms MACPF is compared with: one algorithm, one file."""
