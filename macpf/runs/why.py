"""`python run.py --why KEY ...`: the value of a setting, the file and line it comes from, and what it overrode."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from macpf import suite
from macpf.configuration import CONF, compose
from macpf.extensions import find, is_group
from macpf.runs.command_line import known_keys, nearest
from macpf.runs.errors import ConfigError
from macpf.yaml_files import OPENED

_COMMAND_LINE = "the command line"


@dataclass(frozen=True)
class Said:
    """One place that gives a setting a value.

    Attributes:
        key: the setting's whole path, as in ``algo.learner.alpha.start``.
        value: the text that is written there; it may refer to other settings.
        where: file and line, or the command line.
        comment: the comment directly above the setting or its section, or else the file's first comment.
    """

    key: str
    value: str
    where: str
    comment: str


def explain(key: str, overrides: Sequence[str]) -> str:
    """Where a setting, or every setting of a section, comes from, as lines to print.

    Args:
        key: a setting (``algo.learner.lr``) or a section (``algo.learner``).
        overrides: what one would type after ``python run.py`` to start the run.

    Raises:
        ConfigError: there is no such setting.
        hydra.errors.HydraException: an override does not fit, or a file is broken.
    """
    cfg = compose(*overrides)
    if key.split(".")[0] == "hydra":
        raise ConfigError(f"{key} is a setting of Hydra and not of the run; `{suite.TRAIN} --cfg hydra` shows it")
    for override in overrides:
        if override.startswith("~") and f"{key}.".startswith(f"{override[1:].partition('=')[0]}."):
            raise ConfigError(f"{key} is deleted by {override}")
    if not _there(cfg, key):
        if "." in key and key in known_keys():
            raise ConfigError(f"{key} is a setting of other choices than these; type the algo=, env= and map= with it")
        raise ConfigError(f"there is no key {key}; {nearest(key)}")
    files, layers = [], []
    with initialize_config_dir(str(CONF), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        for default in loader.compute_defaults_list("config", list(overrides), RunMode.RUN).defaults:
            path = find("", str(default.config_path), OPENED)
            if path is not None and not str(default.config_path).startswith("hydra"):
                files.append(str(default.config_path))
                layers.append(list(_said_in(path, default.package or "")))
    layers.append(list(_typed(overrides)))
    lines = [f"Composed in this order, the last one wins: {', '.join(dict.fromkeys(files))}, then {_COMMAND_LINE}."]
    for leaf, value in _leaves(OmegaConf.select(cfg, key), key):
        lines += ["", *_history(leaf, value, layers)]
    return "\n".join(lines)


def _there(cfg: DictConfig, key: str) -> bool:
    parent, _, last = key.rpartition(".")
    node = OmegaConf.select(cfg, parent, throw_on_resolution_failure=False) if parent else cfg
    return isinstance(node, DictConfig) and last in node


def _history(leaf: str, value: Any, layers: list[list[Said]]) -> Iterator[str]:
    """Lines with the value, the place that set it last, and the places that set it before."""
    told = [s for layer in layers for s in layer if leaf == s.key or leaf.startswith((f"{s.key}.", f"{s.key}["))]
    replaced = [s for layer in layers for s in layer if s.key.startswith(f"{leaf}.")]  # by a value for the section
    yield f"{leaf} = {_shown(value)}"
    for said in reversed(told):
        if said is not told[-1]:
            what = f"overrides {said.value} of"
        elif "${" in said.value:
            what = f"{said.value}, set in"
        else:
            what = "set in"
        yield f"  {what} {said.where}{f'  # {said.comment}' if said.comment else ''}"
    for said in reversed(replaced):
        yield f"  overrides {said.key.removeprefix(f'{leaf}.')}: {said.value} of {said.where}"


def _leaves(node: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, DictConfig) and len(node):
        for name in map(str, node):
            yield from _leaves(node[name], f"{key}.{name}")
    else:
        yield key, node


def _shown(value: Any) -> str:
    return (
        yaml.safe_dump(
            OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value,
            default_flow_style=True,
            width=10_000,
        )
        .removesuffix("...\n")
        .strip()
    )


def _said_in(path: Path, package: str) -> Iterator[Said]:
    """Every setting of a file."""
    text = path.read_text(encoding="utf-8")
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if isinstance(root, yaml.MappingNode):
        lines = text.splitlines()
        head = next((line.lstrip("# ") for line in lines if line.startswith("#") and "@package" not in line), "")
        shown = os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
        yield from _walk(root, package, shown, lines, head, text)


def _walk(node: yaml.MappingNode, above: str, path: str, lines: list[str], comment: str, text: str) -> Iterator[Said]:
    for name, value in node.value:
        if name.value == "<<":  # before the mapping's own settings, which override it
            for merged in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                yield from _walk(merged, above, path, lines, comment, text)
    for name, value in node.value:
        # A name with a dot is no setting's place, and ??? is no value.
        if name.value == "<<" or "." in name.value or value.value == "???":
            continue
        if not above and name.value in ("defaults", "hydra"):
            continue
        key = f"{above}.{name.value}" if above else str(name.value)
        line = name.start_mark.line
        own = _comment_above(lines, line) or comment
        if isinstance(value, yaml.MappingNode) and value.value:
            yield from _walk(value, key, path, lines, own, text)
        else:
            written = text[value.start_mark.index : value.end_mark.index].strip()
            yield Said(key, " ".join(written.split()), f"{path}:{line + 1}", own)


def _comment_above(lines: list[str], line: int) -> str:
    """The comment directly above a line and with the same indentation; empty if there is none."""
    indent = len(lines[line]) - len(lines[line].lstrip())
    found: list[str] = []
    while line > 0 and lines[line - 1].startswith(" " * indent + "#") and "@package" not in lines[line - 1]:
        line -= 1
        found.insert(0, lines[line].strip().lstrip("# "))
    return " ".join(found)


def _typed(overrides: Sequence[str]) -> Iterator[Said]:
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        if is_group(override.key_or_group) or override.is_delete():  # an override of a group chooses a file instead
            continue
        if isinstance(value := override.value(), dict) and value:  # it is merged into the mapping that is there
            yield from _parts(override.key_or_group, value)
        else:
            yield Said(override.key_or_group, str(override.input_line).partition("=")[2], _COMMAND_LINE, "")


def _parts(above: str, mapping: dict[Any, Any]) -> Iterator[Said]:
    for name, value in mapping.items():
        if isinstance(value, dict) and value:
            yield from _parts(f"{above}.{name}", value)
        else:
            yield Said(f"{above}.{name}", str(value), _COMMAND_LINE, "")
