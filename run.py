"""Train one run, or a sweep with -m. Start with `python run.py --help`."""

import sys

if __name__ == "__main__":
    if {"--help", "-h"} & set(sys.argv[1:]):
        from macpf.runs.help import text

        print(text())
    else:
        from macpf.runs.launch import main

        main()
