"""Compare the engine with the real game, and print the tables of docs/environments/smac_believability.md."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analysis import AnalysisError
from benchmarks.engine_vs_game import fit, random_play, scripted_play
from benchmarks.engine_vs_game.real_game import POLICY_MAPS, TEST, TRAINING
from macpf.envs.smac.maps import map_names
from macpf.envs.smac.scripted import POLICIES


def parameters(settings: Sequence[str]) -> dict[str, Any]:
    """``name=value`` words as the engine's parameters; the engine itself refuses bad ones."""
    return dict(word.partition("=")[::2] for word in settings)


def _random(options: argparse.Namespace) -> None:
    given = parameters(options.set)
    rows = {m: random_play.compare(m, options.episodes, range(options.seeds), given) for m in options.maps}
    print(random_play.report(rows))


def _policies(options: argparse.Namespace) -> None:
    from benchmarks.engine_vs_game import policies  # loads torch, which random play does not need

    settings = parameters(options.set)
    what = options.weights, tuple(options.maps), options.episodes, 0, settings, options.slots
    print(policies.report(policies.play_all(*what)))


def _scripted(options: argparse.Namespace) -> None:
    what = options.maps, options.policies, options.episodes, options.seed, parameters(options.set)
    if options.ensemble:
        print(scripted_play.ensemble(*what))
    else:
        print(scripted_play.table_of_scores(scripted_play.play_all(*what), options.policies))


def _learning(options: argparse.Namespace) -> None:
    from benchmarks.engine_vs_game import learning  # loads pandas, likewise

    print(learning.main(options.runs))


def _fit(options: argparse.Namespace) -> None:
    found = fit.fit(parameters(options.set), options.guesses, options.episodes, lambda line: print(line, flush=True))
    print(" ".join(f"{name}={value}" for name, value in found.items()) or "nothing is better than the defaults")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine_vs_game", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    maps = (*TRAINING, *TEST)
    command = commands.add_parser("random", help="random teams: lengths, returns, attackers")
    command.add_argument("--maps", nargs="+", default=maps, choices=maps, metavar="MAP")
    command.add_argument("--episodes", type=int, default=100, help="battles for each map and engine seed")
    command.add_argument("--seeds", type=int, default=3, help="engine seeds 0, 1, ...")
    command.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="other guesses about the game")
    command.set_defaults(run=_random)
    command = commands.add_parser("policies", help="policies trained in the real game: win rates there and here")
    command.add_argument("weights", type=Path, help="clone of starry-sky6688/MARL-Algorithms")
    command.add_argument("--maps", nargs="+", default=POLICY_MAPS, choices=POLICY_MAPS, metavar="MAP")
    command.add_argument("--episodes", type=int, default=100)
    command.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="other guesses about the game")
    rules = ("made", "reversed", "types", "south")  # policies.SLOTS, which comes with torch
    command.add_argument("--slots", default="made", choices=rules, help="order of the enemies' slots")
    command.set_defaults(run=_policies)
    command = commands.add_parser("scripted", help="teams that learn nothing, and the range of their scores")
    command.add_argument("--maps", nargs="+", default=map_names(), choices=map_names(), metavar="MAP")
    command.add_argument("--policies", nargs="+", default=tuple(POLICIES), choices=tuple(POLICIES), metavar="POLICY")
    command.add_argument("--episodes", type=int, default=200, help="battles for each policy and map")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="other guesses about the game")
    command.add_argument("--ensemble", action="store_true", help="the range of scores over other guesses")
    command.set_defaults(run=_scripted)
    command = commands.add_parser("learning", help="finished QMIX runs beside those in the real game")
    command.add_argument("runs", type=Path, help="folder of runs (outputs)")
    command.set_defaults(run=_learning)
    command = commands.add_parser("fit", help="guesses that the training maps prefer")
    command.add_argument("--guesses", nargs="+", default=tuple(fit.CHOICES), choices=tuple(fit.CHOICES), metavar="NAME")
    command.add_argument("--episodes", type=int, default=50, help="battles for each map and engine seed")
    command.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="where to start")
    command.set_defaults(run=_fit)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run a command.

    Returns:
        The exit code: 0, or 2 for a map or parameter that does not exist.
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (AnalysisError, ValueError) as error:
        print(f"engine_vs_game: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
