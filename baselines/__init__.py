"""The algorithms that MACPF is compared with, each in one file."""
