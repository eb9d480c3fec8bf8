"""Arguments of ``python run.py``: quotes paths as Hydra needs it, and rejects mistakes that Hydra would accept."""

from __future__ import annotations

import argparse
import difflib
import functools
import importlib.util
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, QuotedString
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from macpf import suite, yaml_files
from macpf.choices import choices
from macpf.extensions import folders, is_group, twins
from macpf.extras import MissingExtra, require
from macpf.runs.errors import ConfigError

#: Keys that hold a folder.
FOLDERS = ("run", "outputs", "init_from")
#: Names of choices from groups. Some become parts of paths and W&B ids.
NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"
#: The groups from which every run has one choice.
CHOSEN = ("algo", "env", "map", "budget", "tracking", "profile")
#: Keys of the objects that `macpf.runs.build` creates; added keys must be arguments of one of them.
MADE = ("algo.learner", "env.make", "env.auto")
#: Groups with choices that need an extra of the package: how the names of these choices begin, and the extra.
EXTRAS = {"hydra/launcher": ("slurm", "slurm"), "hydra/sweeper": ("optuna", "search")}
#: Sections that are checked elsewhere for unknown keys.
CHECKED_SECTIONS = ("algo.replay", "algo.rollout")


def typed(arguments: Sequence[str]) -> list[str]:
    """Check the arguments before Hydra does, and return them as Hydra needs them: quoted, and overrides last.

    Raises:
        ConfigError: an option is unknown or does not go with a sweep, a folder is empty, or a choice is not a name.
        hydra.errors.HydraException: an argument is not a valid override.
    """
    many = "-m" in arguments or "--multirun" in arguments
    quoted = [with_quoted_folder(argument, many) for argument in arguments]
    options = Options().parse_intermixed_args(quoted)
    if options.multirun and options.cfg:
        raise ConfigError("--cfg shows the settings of one run; leave -m and lists out")
    if not (options.help or options.hydra_help or options.version or options.shell_completion):
        check_choices(options.overrides)
        if options.config_dir:
            _refuse_twins(Path(options.config_dir))
    for override in options.overrides:
        quoted.remove(override)
    return [*quoted, *options.overrides]


class Options(argparse.ArgumentParser):
    """Hydra's documented options; Hydra's own parser is not public and reports an error in many lines."""

    def __init__(self) -> None:
        super().__init__(add_help=False)
        for flags in ("--help -h", "--hydra-help", "--version", "--resolve", "--run -r", "--multirun -m"):
            self.add_argument(*flags.split(), action="store_true")
        self.add_argument("--shell-completion", "-sc", action="store_true")
        for named in ("--package -p", "--config-path -cp", "--config-name -cn", "--config-dir -cd"):
            self.add_argument(*named.split())
        self.add_argument("--experimental-rerun")
        self.add_argument("--cfg", "-c", choices=("job", "hydra", "all"))
        info = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
        self.add_argument("--info", "-i", nargs="?", choices=info)
        self.add_argument("overrides", nargs="*")

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(f"{' '.join(message.split())}; `{suite.TRAIN} --help` shows what can be typed")


def with_quoted_folder(argument: str, many: bool = False) -> str:
    """Quote a folder as Hydra needs it, because names of run folders contain ``=``, and expand ``~``.

    ``checkpoint=<name>`` is short for ``checkpoint.name=<name>``; these names may contain ``=``, too.

    Args:
        argument: one argument as it was typed; any other than a folder or checkpoint is returned unchanged.
        many: whether it belongs to a sweep, where ``run=a,b`` means two folders.

    Raises:
        ConfigError: a folder is empty.
    """
    key, equals, value = argument.partition("=")
    if key == "checkpoint" and equals and value != "null" and value[:1] != "{":
        return f"checkpoint.name={','.join(map(_as_value, value.split(',')))}"
    if key not in FOLDERS or not equals:
        return argument
    parts = value.split(",") if many and key == "run" and value[:1] not in ("'", '"') else [value]
    if not all(part.strip() for part in parts):
        raise ConfigError(f"{key}= names no folder; type e.g. {key}=outputs")
    return f"{key}={','.join(map(_as_value, parts))}"


def _as_value(text: str) -> str:
    """A text in Hydra's quotes if it needs them and is neither quoted already nor an interpolation (``${...}``)."""
    if text[:1] == "$" or (len(text) > 1 and text[0] in "'\"" and text[-1] == text[0]):
        return text
    whole = os.path.expanduser(text)
    plain = re.fullmatch(r"[\w./-]*", whole, re.ASCII)
    return text if plain and "~" not in text else _quoted(whole)


def runs_named(arguments: Sequence[str]) -> list[str]:
    """The folders in ``run=...`` among arguments that `typed` returned."""
    for override in OverridesParser.create().parse_overrides([a for a in arguments if a.startswith("run=")]):
        return [str(one.text if isinstance(one, QuotedString) else one) for one in _choices_in(override) if one]
    return []


def _quoted(text: str) -> str:
    """A text in Hydra's quotes. Backslashes are doubled only before a quote; elsewhere Hydra takes them literally."""
    escaped = re.sub(r"(\\*)(?='|$)", lambda found: 2 * found.group(1), text).replace("'", "\\'")
    return f"'{escaped}'"


def check_choices(arguments: Sequence[str]) -> None:
    """Check every choice from a group (``algo=qmix``, or ``algo=qmix,fop`` in a sweep).

    Raises:
        ConfigError: a choice is a path, a number, empty or several instead of a name, or its extra is not installed.
        hydra.errors.HydraException: an argument is not a valid override.
    """
    for argument in arguments:
        _check_form(argument)
    for override in OverridesParser.create().parse_overrides(list(arguments)):
        group = override.key_or_group
        if not group:
            raise ConfigError(f"{override.input_line} names no key; type key=value")
        if group == "task" and override.value() != "none":
            raise ConfigError(
                f"{override.input_line} cannot be typed: what a task changes follows from algo, env and map; task=none "
                "leaves it out"
            )
        if group == "hydra.searchpath":
            _check_search_path(override.value())
        if group in EXTRAS:
            _check_extra(override, *EXTRAS[group])
        if group in CHOSEN and override.is_delete():
            raise ConfigError(f"~{group} leaves no {group}; type {group}=<one of: {', '.join(choices(group))}>")
        if group not in (*CHOSEN, "experiment"):
            continue
        for choice in _choices_in(override):
            text = choice.text if isinstance(choice, QuotedString) else choice
            if not isinstance(text, str) or not re.match(NAME, text):
                shown = "null" if text is None else text
                raise ConfigError(not_known(group, shown, choices(group)))


def _check_form(argument: str) -> None:
    """Refuse what has no ``=`` and what ends with a comma, for which Hydra's message names a parser's symbols."""
    key, equals, _ = argument.partition("=")
    if argument and (not equals or os.sep in key) and os.path.isdir(argument):
        raise ConfigError(f"{argument} is a folder; type run={argument}")
    if not equals and argument[:1] != "~":
        raise ConfigError(f"missing EQUAL sign after {argument}; type key=value, e.g. algo=qmix")
    if re.search(r"(?<!\\),\s*($|,)", re.split("['\"]", argument, maxsplit=1)[0]):
        raise ConfigError(f"{argument} has a comma without a value beside it; leave it out, or name the value")


def not_known(group: str, choice: Any, there_are: Sequence[str]) -> str:
    """The message about a choice that a group does not have: those most like it, whatever their case, and all."""
    by_name = {name.lower(): name for name in there_are}
    near = [by_name[name] for name in difflib.get_close_matches(str(choice).lower(), by_name, n=2)]
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return f"{group}={choice} is not known; {hint}choose one of: {', '.join(there_are)}"


def _check_extra(override: Override, beginning: str, extra: str) -> None:
    """Refuse a launcher or sweeper that is not installed; Hydra would only report an unknown name."""
    named = [choice for choice in _choices_in(override) if str(choice).startswith(beginning)]
    try:
        if named:
            require(extra, f"{override.key_or_group}={named[0]}")
    except MissingExtra as error:
        raise ConfigError(str(error)) from error


def _check_search_path(folders: Any) -> None:
    for folder in folders if isinstance(folders, list) else []:
        scheme, mark, path = str(folder.text if isinstance(folder, QuotedString) else folder).partition("://")
        if not mark:
            raise ConfigError(f"hydra.searchpath: {scheme} is no address; type file:// and the whole path of a folder")
        if scheme == "file" and not os.path.isdir(path):
            raise ConfigError(f"hydra.searchpath: there is no folder {path}; type its whole path")
        if scheme == "pkg" and not _package(path):
            raise ConfigError(f"hydra.searchpath: there is no package {path}; install it, or type file:// and a folder")
        if scheme == "file":
            _refuse_twins(Path(path))


def _package(name: str) -> bool:
    try:
        return importlib.util.find_spec(name.replace("/", ".")) is not None
    except (ImportError, ValueError):
        return False


def _refuse_twins(folder: Path) -> None:
    """Refuse files of a user's folder with the name of one that Hydra reads instead."""
    for path, there in twins(folder, folders()):
        raise ConfigError(f"{path} would change nothing, as {there} has the same name; give it another")


def _choices_in(override: Override) -> Iterable[Any]:
    value = override.value()
    if isinstance(value, ChoiceSweep):
        return value.list
    return [] if override.is_sweep_override() else [value]  # Hydra expands patterns of names (glob)


def check_additions(cfg: DictConfig, overrides: Iterable[str]) -> None:
    """Check what ``+key=value`` added to a configuration.

    A user's configuration files may hold any keys, but a key on the command line must have an effect. It must be an
    argument of an object in `MADE` (``+env.kwargs.N=5``), or lie in a section that is checked elsewhere.

    Raises:
        ConfigError: nothing reads a key; the message suggests the nearest one.
    """
    added = [one for one in OverridesParser.create().parse_overrides(list(overrides)) if _adds_a_value(one, cfg)]
    if not added:
        return
    used = _arguments(cfg)
    for override in added:
        key = override.key_or_group
        if override.package is not None:
            raise ConfigError(f"+{key}@{override.package} puts {key} where no run reads it; type {key}=<choice>")
        if key.startswith(CHECKED_SECTIONS) or _read_by_us(key):
            continue
        without = OmegaConf.to_container(cfg)
        if _drop(without, key.split(".")) and _arguments(DictConfig(without)) == used:
            raise ConfigError(f"there is no key {key}, so +{key} would change nothing; {nearest(key)}")


def _adds_a_value(override: Override, cfg: DictConfig) -> bool:
    """Whether an override adds a key or puts a group elsewhere (``+algo@mine=qmix``), where nothing reads it."""
    key, value = override.key_or_group, override.value()
    if not (override.is_add() or override.is_force_add()) or key.startswith("hydra"):
        return False
    if override.package is not None:
        return key in CHOSEN
    # For a choice from a group, also a user's own group, the configuration holds the file's content, not the name.
    there = OmegaConf.select(cfg, key, throw_on_resolution_failure=False)
    return not (is_group(key) or (isinstance(value, str) and OmegaConf.is_config(there)))


def _drop(node: Any, path: list[str]) -> bool:
    """Remove a key from nested dictionaries; returns whether it was there."""
    for name in path[:-1]:
        node = node.get(name) if isinstance(node, dict) else None
    there = isinstance(node, dict) and path[-1] in node
    if there:
        del node[path[-1]]
    return there


def _read_by_us(key: str) -> bool:
    """Whether a key is a known setting outside `MADE`: ``++seed=3`` has the same effect as ``seed=3``."""
    group, _, name = key.partition(".")
    if group in ("algo", "env", "map"):
        if group == "algo" and name.split(".")[0] in ("labels", "family"):
            return True
        return name in ("name", "env", "backend", "parallel", "eval_parallel", "bootstrap_at_limit")
    return key in known_keys()


def _arguments(cfg: DictConfig) -> list[Any]:
    """The objects in `MADE` with their arguments; where these cannot be resolved, the error's text instead."""
    found: list[Any] = []
    for key in MADE:
        try:
            node = OmegaConf.select(cfg, key)
            found.append(OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node)
        except OmegaConfBaseException as error:
            found.append(str(error))
    return found


def nearest(key: str) -> str:
    """A hint for a wrong key: the known key that was probably meant, and how to list all keys."""
    known = known_keys()
    last = key.rpartition(".")[2]
    same_end = [name for name in known if name.endswith(f".{last}") and name.split(".")[0] == key.split(".")[0]]
    close = min(same_end, key=len) if same_end and key not in known else None
    if not close and "." not in key and key not in known:
        ends = [name for name in known if name.endswith(f".{key}")]
        close = ends[0] if len(ends) == 1 else None
    close = close or next(iter(difflib.get_close_matches(key, known, n=1)), None)
    hint = f"did you mean {'+' * (close == key)}{close}? " if close else ""
    return f"{hint}`{suite.TRAIN} --cfg job` shows all keys"


@functools.cache
def known_keys() -> list[str]:
    """Every group, and every key that a file of this repository or of an installed package sets."""
    known: set[str] = set()
    files = [(path, path.relative_to(folder)) for folder in folders() for path in folder.rglob("*.yaml")]
    for path, name in files:
        groups = list(name.parts[:-1])
        content = OmegaConf.to_container(yaml_files.load(path))
        whole = "# @package _global_" in path.read_text(encoding="utf-8")
        known |= {"/".join(groups)} | set(_names(content, [] if whole else groups))
    return sorted(name for name in known if name and not name.startswith(("hydra", "defaults")))


def _names(node: Any, above: list[str]) -> Iterable[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key != "defaults":
                yield ".".join([*above, str(key)])
                yield from _names(value, [*above, str(key)])
