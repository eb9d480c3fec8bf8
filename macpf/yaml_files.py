"""Read configuration files like Hydra, but report one that is broken or ambiguous in one line."""

from __future__ import annotations

import copy
import functools
import re
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.core_plugins import file_config_source
from hydra._internal.sources_registry import SourcesRegistry
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf

#: The most values that a file may have with its aliases written out.
MOST_VALUES = 100_000
#: The YAML tags that settings may have.
TAGS = {"map", "seq", "str", "int", "float", "bool", "null", "merge", "timestamp"}
#: Numbers that YAML 1.1 reads as others than they seem: 010 is 8, 1:30 is 90.
OTHER_NUMBER = re.compile(r"[-+]?(0[0-9_]+|[0-9][0-9_]*(:[0-5]?[0-9])+)")
#: Folders in which Hydra has looked for files in this process, in its order: conf/, --config-dir, hydra.searchpath.
OPENED: dict[Path, None] = {}


class BrokenFile(HydraException):
    """A configuration file cannot be read, or in two ways; the message names the file, the place and the remedy."""


class FileConfigSource(file_config_source.FileConfigSource):
    """Hydra's source of files, which checks a file before it loads it.

    It has the name of Hydra's class, because Hydra then keeps it when it registers its own. Hydra's public plugins can
    add a source of another scheme, but cannot replace that of plain folders, through which a user's own files come in.
    Therefore this module, and no other, imports from `hydra._internal`.
    """

    def __init__(self, provider: str, path: str) -> None:
        super().__init__(provider, path)
        OPENED[Path(self.path)] = None

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        OPENED[Path(self.path)] = None  # in a sweep's worker, which unpickles its sources

    def load_config(self, config_path: str) -> ConfigResult:
        """Load one file.

        Raises:
            BrokenFile: it cannot be read, or can be read in two ways.
        """
        path = Path(self.path) / self._normalize_file_name(config_path)
        if not path.exists():
            return super().load_config(config_path)
        config = load(path)
        with path.open(encoding="utf-8") as file:
            header = self._get_header_dict(file.read(512))
        return ConfigResult(config=config, path=f"{self.scheme()}://{self.path}", provider=self.provider, header=header)


SourcesRegistry.instance().types[FileConfigSource.scheme()] = FileConfigSource


def load(path: Path) -> DictConfig:
    """Load a file of settings; the caller may change the result.

    Raises:
        BrokenFile: it cannot be read, or can be read in two ways.
    """
    check(path)
    stat = path.stat()
    return copy.deepcopy(_loaded(path.absolute(), stat.st_mtime_ns, stat.st_size))


@functools.lru_cache(maxsize=1024)
def _loaded(path: Path, mtime: int, size: int) -> DictConfig:
    """Load a file, cached by its time and size: plans compose the same ones many hundred times."""
    try:
        loaded = OmegaConf.load(path)
    except (yaml.YAMLError, ValueError) as error:
        raise BrokenFile(f"{path}: {' '.join(str(error).split())}; mend it there") from error
    assert isinstance(loaded, DictConfig)
    return loaded


def check(path: Path) -> None:
    """Check a file before it is used.

    Raises:
        BrokenFile: it cannot be read, is not UTF-8 or not YAML, holds no settings, has a key twice, has something that
            YAML takes for something else, or has aliases that make too many values of it.
    """
    try:
        stat = path.stat()
        _checked(path.absolute(), stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        raise BrokenFile(f"cannot read {path}: {error.strerror}") from error


@functools.lru_cache(maxsize=1024)
def _checked(path: Path, mtime: int, size: int) -> None:
    """Check a file, cached by its time and size: plans compose the same ones many hundred times."""
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        if root is None:
            return
        if not isinstance(root, yaml.MappingNode):
            raise BrokenFile(f"{path} holds no settings; write lines of the form key: value")
        _count(path, root, {})
    except UnicodeDecodeError as error:
        raise BrokenFile(f"{path}: byte {error.start} is not UTF-8; save it as UTF-8") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}, line {mark.line + 1}" if mark else str(path)
        raise BrokenFile(f"{where}: {' '.join(str(error.problem).split())}; mend the YAML there") from error
    except yaml.YAMLError as error:
        raise BrokenFile(f"{path}: {' '.join(str(error).split())}; mend the YAML there") from error
    except RecursionError as error:
        raise BrokenFile(f"{path} is nested too deeply; write it flatter") from error


def _count(path: Path, node: yaml.Node, known: dict[int, int]) -> int:
    """Count the values below a node with all aliases written out, and refuse what YAML takes for something else."""
    if node.tag.removeprefix("tag:yaml.org,2002:") not in TAGS:
        raise BrokenFile(
            f"{_at(path, node)}: {node.tag} is no kind of setting; leave that mark out, or put quotes around"
        )
    if isinstance(node, yaml.ScalarNode):
        _check_scalar(path, node)
        return 1
    if id(node) in known:
        if known[id(node)] == 0:
            raise BrokenFile(f"{_at(path, node)}: an anchor contains its own alias; write it out")
        return known[id(node)]
    known[id(node)] = 0
    children: list[Any] = [child for pair in node.value for child in pair] if _is_mapping(node) else list(node.value)
    if _is_mapping(node):
        _check_keys(path, node)
    total = 1 + sum(_count(path, child, known) for child in children)
    if total > MOST_VALUES:
        raise BrokenFile(f"{_at(path, node)}: aliases make more than {MOST_VALUES:,} values of it; write it out")
    known[id(node)] = total
    return total


def _is_mapping(node: yaml.Node) -> bool:
    return isinstance(node, yaml.MappingNode)


def _check_keys(path: Path, node: yaml.Node) -> None:
    seen: set[str] = set()
    for key, _ in node.value:
        if key.tag == "tag:yaml.org,2002:merge":
            continue
        if not isinstance(key, yaml.ScalarNode) or key.tag in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:null"):
            said = key.value if isinstance(key, yaml.ScalarNode) else "this"
            raise BrokenFile(f"{_at(path, key)}: YAML does not read {said} as a name; put quotes around the key")
        if key.value in seen:
            raise BrokenFile(f"{_at(path, key)}: {key.value} stands there twice; leave one out")
        seen.add(key.value)


def _check_scalar(path: Path, node: yaml.ScalarNode) -> None:
    if node.tag == "tag:yaml.org,2002:int" and OTHER_NUMBER.fullmatch(node.value):
        number = yaml.SafeLoader.construct_yaml_int(yaml.SafeLoader(""), node)
        raise BrokenFile(f"{_at(path, node)}: YAML reads {node.value} as {number}; write that, or put quotes around it")


def _at(path: Path, node: yaml.Node) -> str:
    return f"{path}, line {node.start_mark.line + 1}"
