"""Compose configurations from `conf/` in Python, without starting a run."""

from __future__ import annotations

import difflib
import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from macpf import choices, yaml_files
from macpf.choices import CONF as CONF
from macpf.extensions import find


def _options(group: str) -> set[str]:
    """The names of a group's choices in all folders where Hydra looks."""
    return {path.stem for folder in yaml_files.OPENED for path in (folder / group).glob("*.yaml")}


def family(algo: str) -> str:
    """The algorithm of which `algo` is a variant, if its file is anywhere where Hydra looks; see `choices.family`.

    Raises:
        BrokenFile: see `_check_name`.
    """
    _check_name("algo", algo)
    return choices.family(algo, yaml_files.OPENED)


def _check_name(group: str, choice: str) -> None:
    """Require that the file of a choice has its own name: its runs would else be taken for those of another.

    Raises:
        BrokenFile: it has another name, or none. A name that is made of other settings is not looked at.
    """
    if path := find(group, choice, yaml_files.OPENED):
        name = _name_in(path, path.stat().st_mtime_ns)
        if name != choice and "${" not in str(name):
            has = f"has name: {name}" if name else "has no name"
            raise yaml_files.BrokenFile(f"{path} {has}; write name: {choice}, as its runs are called")


@functools.cache
def _name_in(path: Path, changed: int) -> Any:
    """The name in a choice's file; read once for all runs of a sweep, until the file has changed."""
    said = choices.read(path)
    return said.get("name", "") if isinstance(said, dict) else ""


def task(algo: str, env: str, map: str) -> str:
    """The most specific file below conf/task for a run, which holds what its task changes; ``none`` if there is none.

    Args:
        algo, env, map: the choices of a run.

    Raises:
        BrokenFile: the folder has a file that belongs to no environment and no map, or see `_check_name`.
    """
    _check_name("env", env)
    _check_name("map", map)
    known = _options("env") | _options("map")
    for folder in yaml_files.OPENED:
        if folder != CONF:  # whose files the tests look at
            _refuse_lost(folder)
    for name in dict.fromkeys((algo, family(algo))):
        there = _options(f"task/{name}")
        if lost := sorted(there - known):
            raise yaml_files.BrokenFile(
                f"task/{name}/{lost[0]}.yaml belongs to no environment and no map{_meant(lost[0], known)}"
            )
        for place in (map, env):
            if place in there:
                return f"{name}/{place}"
    return "none"


def _refuse_lost(folder: Path) -> None:
    """Refuse files for an algorithm that is none, or with another ending: nothing would read them.

    Raises:
        BrokenFile: there is one.
    """
    algos = _options("algo")
    for path in sorted(folder.glob("task/*/")):
        if path.is_dir() and path.name not in algos:
            raise yaml_files.BrokenFile(f"{path} belongs to no algorithm{_meant(path.name, algos)}")
    for path in sorted(folder.glob("profile/*/*.yaml")):
        if path.stem not in algos:
            raise yaml_files.BrokenFile(f"{path} belongs to no algorithm{_meant(path.stem, algos)}")
        if (own := choices.family(path.stem, yaml_files.OPENED)) != path.stem:
            raise yaml_files.BrokenFile(f"{path} is not read: profiles hold for families, and {path.stem}'s is {own}")
    for group in ("algo", "env", "map", "task/*", "profile/*"):
        if other := next(folder.glob(f"{group}/*.yml"), None):
            raise yaml_files.BrokenFile(f"{other} is not read; give it the ending .yaml")


def _meant(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else "; rename it, or add what it belongs to"


OmegaConf.register_new_resolver("family", family, replace=True)
OmegaConf.register_new_resolver("task", task, replace=True)
#: Turns an import path into a name that can be part of a file's path.
OmegaConf.register_new_resolver("plain", lambda path: str(path).replace(":", "."), replace=True)


if importlib.util.find_spec("submitit") is not None:  # else the command line says what is missing
    from hydra_plugins.hydra_submitit_launcher.config import SlurmQueueConf

    @dataclass
    class SlurmJobs(SlurmQueueConf):
        """Settings of conf/hydra/launcher/slurm*.yaml: Hydra's own, the runs of a job, and how many run at once."""

        _target_: str = "hydra_plugins.macpf_launchers.SlurmLauncher"
        runs_per_job: int = 1
        at_once: int = 1

    ConfigStore.instance().store(group="hydra/launcher", name="slurm_jobs", node=SlurmJobs, provider="macpf")


def compose(*overrides: str, config_name: str = "config") -> DictConfig:
    """The configuration of `python run.py <overrides>`; within a command of Hydra's, with that command's folders.

    Raises:
        hydra.errors.HydraException: an override does not fit, or a file is broken (`macpf.yaml_files.BrokenFile`).
    """
    if GlobalHydra.instance().is_initialized():
        return hydra.compose(config_name, list(overrides))
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra.compose(config_name, list(overrides))


@functools.cache
def neutral_values() -> dict[str, object]:
    """Settings that came after runs had been made, by path, with the value that changes nothing (conf/neutral.yaml)."""
    declared = OmegaConf.to_container(OmegaConf.load(CONF / "neutral.yaml"))
    return {str(path): value for path, value in declared.items()} if isinstance(declared, dict) else {}
