"""Train one run, or a sweep with -m. Start with `python run.py --help`."""

import sys

if __name__ == "__main__":
    from macpf.command import run

    sys.exit(run("train", sys.argv[1:]))
