"""The command line: Hydra composes, `job.run` trains, and errors are reported in one line."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, InterpolationKeyError, OmegaConfBaseException

from macpf.choices import choices
from macpf.configuration import CONF
from macpf.envs.fault import EnvironmentFault
from macpf.extensions import BrokenEntryPoint
from macpf.runs.command_line import Options, check_additions, nearest, not_known, typed
from macpf.runs.errors import NO_ROOM, NOT_WRITABLE, ConfigError, Interrupted, RunRefused, described
from macpf.runs.trained import with_choices_of_the_run
from macpf.yaml_files import BrokenFile

#: Errors about what was typed, whose messages say what is wrong.
KNOWN = (ConfigError, BrokenEntryPoint, HydraException, OmegaConfBaseException)

#: Largest number of letters of a message by Hydra, which may repeat all that was typed.
LONGEST = 600


def main() -> None:
    """Run `python run.py ...`; ends the process with 0, 1 (failed or refused), 2 (bad input) or 128 + a signal."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # raise errors instead of printing them over many lines
    with exit_codes():
        if "--why" in sys.argv[1:]:
            return print(why(sys.argv[1:]))
        sys.argv[1:] = with_choices_of_the_run(typed(sys.argv[1:]))
        Begun.run = False
        try:
            _hydra_main()
        except Exception as error:
            if Begun.run or isinstance(error, KNOWN):
                raise
            if isinstance(error, RecursionError):
                raise ConfigError(
                    "what was typed, or the defaults of a file, never ends or is nested too deeply"
                ) from error
            raise ConfigError(described(error)) from error  # Hydra cannot make a configuration of what was typed


def why(arguments: list[str]) -> str:
    """The output of ``--why KEY``; every other argument is an override.

    Raises:
        ConfigError: no key is named, or see `macpf.runs.why.explain`.
    """
    from macpf.runs.plan import checked  # imported late, as no other command needs them
    from macpf.runs.why import explain

    at = arguments.index("--why")
    key, *after = arguments[at + 1 :] or [""]
    if not key or "=" in key:
        raise ConfigError("--why takes a key, e.g. --why algo.learner.lr algo=qmix env=mpe map=simple_spread")
    options = vars(Options().parse_intermixed_args(with_choices_of_the_run(typed([*arguments[:at], *after]))))
    overrides, folder = options.pop("overrides"), options.pop("config_dir")
    if flags := [name for name, value in options.items() if value]:
        raise ConfigError(f"--why explains one run and takes no --{flags[0].replace('_', '-')}")
    if sweep := next((o for o in overrides if o.startswith("+experiment=")), None):
        raise ConfigError(f"--why explains one run, and {sweep} makes many; type algo=, env= and map= of one of them")
    if folder:  # another name of the same
        overrides.append(f"hydra.searchpath=[file://{Path(folder).absolute()}]")
    explained = explain(key, overrides)
    try:
        if "mode=evaluate" not in overrides and "mode=render" not in overrides:
            checked([overrides], elsewhere=True)
    except (*KNOWN, RunRefused, EnvironmentFault) as error:
        order, _, settings = explained.partition("\n\n")
        return f"{order}\nA run of these settings is refused: {in_one_line(error)}\n\n{settings}"
    return explained


class Begun:
    """Whether Hydra has composed a configuration and passed it to a run or a sweep."""

    run = False


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def _hydra_main(cfg: DictConfig) -> float | None:
    Begun.run = True
    logging.raiseExceptions = False  # the run itself reports a full disk in one line
    from macpf.runs.preemption import orphaned

    if HydraConfig.get().mode == RunMode.MULTIRUN:
        try:
            return _play(cfg)
        except Exception as error:  # the other runs continue; the sweep names this one at its end
            if not isinstance(error, Interrupted):
                print(f"error: {in_one_line(error)}", file=sys.stderr)
            elif orphaned():
                os._exit(128 + error.signum)  # the sweep is gone, and joblib would keep this worker for minutes
            return None
    with exit_codes():
        check_additions(cfg, HydraConfig.get().overrides.task)
        return _play(cfg)


def _play(cfg: DictConfig) -> float | None:
    """Train, evaluate or draw, as `cfg.mode` says; returns the score if there is one."""
    changes = HydraConfig.get().overrides.task
    from macpf.runs.devices import use_device  # imported late, as nothing before needs torch
    from macpf.runs.settings import check_run_settings

    check_run_settings(cfg)
    use_device(cfg.device)
    if cfg.mode == "render":
        from macpf.runs.render import render

        render(cfg, changes)
        return None
    if cfg.mode == "evaluate":
        from macpf.runs.evaluate import evaluate

        return evaluate(cfg, changes)
    from macpf.runs.job import run

    return run(cfg)


@contextlib.contextmanager
def exit_codes() -> Iterator[None]:
    """End the process with the exit code that `main` names; errors that a user can fix are printed as one line."""
    try:
        yield
    except KNOWN as error:
        print(f"error: {in_one_line(error)}", file=sys.stderr)
        raise SystemExit(2) from error
    except (RunRefused, EnvironmentFault) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from error
    except Interrupted as error:
        raise SystemExit(128 + error.signum) from error
    except Exception as error:
        # A run reports its own full disk; this is one outside of runs.
        if isinstance(error, OSError) and error.errno in (*NO_ROOM, *NOT_WRITABLE):
            print(f"error: {in_one_line(error)}", file=sys.stderr)
        else:  # an error in the code, shown from here on and not from Hydra's first frame on
            traceback.print_exception(error)
        raise SystemExit(1) from error
    except KeyboardInterrupt:  # only outside of training, which handles its own signals
        raise SystemExit(128 + signal.SIGINT) from None


def in_one_line(error: Exception) -> str:
    """An error's message; those of Hydra and OmegaConf are shortened and name the nearest known key or choice."""
    if isinstance(error, OSError) and error.filename:
        return f"cannot write {error.filename}: {error.strerror}; choose another folder, or make room"
    error = _of_a_file(error) or error
    text = " ".join(str(error).split())
    if isinstance(error, MissingConfigException) and error.options and error.missing_cfg_file:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        # Of launchers, Hydra lists some that do not work here; of other groups, it also knows one's own folders.
        return not_known(group, choice, (group == "hydra/launcher" and choices(group)) or error.options)
    # Only the texts of these say which key they are about.
    if isinstance(error, InterpolationKeyError) and (found := re.search(r"'([^']+)'", text)):
        missing = found.group(1)
        if missing.startswith("env.budgets."):
            return f"this environment has no budget={missing.split('.')[2]}; choose another, or add it to env.budgets"
        return f"{error.full_key or 'a setting'} refers to {missing}, which is missing; set it"
    if found := re.search(r"Could not override '([^']+)'", text):
        return f"there is no key {found.group(1)}; {nearest(found.group(1))}"
    if isinstance(error, ConfigKeyError | ConfigAttributeError) and error.full_key:
        return f"{error.full_key} is missing, which every run needs; set it"
    text = (
        text.partition(" Config search path: ")[0]
        .removesuffix("See https://hydra.cc/docs/1.2/advanced/override_grammar/basic for details")
        .strip()
    )
    text = re.sub(r" (full_key|object_type|reference_type)[:=].*", "", text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def _of_a_file(error: BaseException | None) -> BrokenFile | None:
    """The problem with a file that caused an error of Hydra's, whose own message does not say it."""
    while error is not None and not isinstance(error, BrokenFile):
        error = error.__cause__ or error.__context__
    return error
