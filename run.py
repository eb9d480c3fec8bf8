"""Train one run, or a sweep with -m. Start with `python run.py --help`."""

from macpf.runs.launch import main

if __name__ == "__main__":
    main()
