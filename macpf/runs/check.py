"""``macpf check``: does an algorithm, or an environment, keep what all of them promise?

An algorithm is trained on a small game; an environment is played with random actions. Prints a line for each check.
"""

from __future__ import annotations

import logging
import sys

from macpf.arguments import Parser
from macpf.runs import algorithm_check, environment_check
from macpf.runs.build import build
from macpf.runs.errors import ConfigError
from macpf.runs.launch import exit_codes


def main(arguments: list[str]) -> int:
    """Run the command; returns 0, 1 (a check failed) or 2 (bad input)."""
    parser = Parser(prog="macpf check", description=__doc__)
    parser.add_argument("what", metavar="WHAT", help="an algorithm (qmix), or an environment (env=mpe)")
    parser.add_argument("overrides", nargs="*", help="changes of its settings: algo.learner.lr=0.01, or map=MMM2")
    options = parser.parse_intermixed_args(arguments)
    with exit_codes():
        if "," in options.what:
            first = options.what.partition(",")[0]
            raise ConfigError(f"macpf check looks at one thing at a time; type macpf check {first}")
        if options.what.startswith("env="):
            cfg, check = environment_check.configured([options.what, *options.overrides]), environment_check.check
        else:
            cfg, check = algorithm_check.configured(options.what, options.overrides), algorithm_check.check
        build(cfg)  # rejects invalid values before any check
        try:
            logging.disable(logging.WARNING)  # hide warnings of runs that were killed and resume
            return check(cfg)
        finally:
            logging.disable(logging.NOTSET)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
