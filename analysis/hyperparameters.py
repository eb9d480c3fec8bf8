"""The hyperparameter tables of the docs, generated from `conf/` so that they agree with it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hydra
import pandas as pd
from omegaconf import OmegaConf

from macpf.choices import CONF, choices, family

HEAD = """# Hyperparameters

Made from [`conf/`](../conf) by `python -m analysis hyperparameters`; a test fails when it is out of date. Where each
number comes from stands in the YAML files and on the page of its [algorithm](algorithms).
"""
#: The keys of a schedule.
SCHEDULE = {"start", "end", "per", "duration", "factor"}
#: Keys that are not settings.
_LABELS = ("name", "labels", "family", "_target_")


def page() -> str:
    """The page, in Markdown."""
    parts = {
        "## Defaults\n": defaults().to_markdown(),
        "\n## Variants\n": variants().to_markdown(index=False),
        "\n## What tasks and profiles change\n": overrides().to_markdown(index=False),
    }
    return "\n".join([HEAD, *(text for part in parts.items() for text in part), ""])


def defaults() -> pd.DataFrame:
    """One column for each algorithm, one row for each setting."""
    columns = {algo: _settings(_own(algo)) for algo in choices("algo") if family(algo) == algo}
    return pd.DataFrame(columns).fillna("").rename_axis("setting")


def variants() -> pd.DataFrame:
    """One row for each variant of an algorithm; names are in backticks, for Markdown."""
    rows = []
    for algo in choices("algo"):
        if (of := family(algo)) != algo:
            own, base = (_settings(_own(name)) for name in (algo, of))
            rows.append([f"`{algo}`", _listed({k: v for k, v in own.items() if base.get(k) != v}), f"`{of}`"])
    return pd.DataFrame(rows, columns=["`algo=`", "what is different", "from"])


def overrides() -> pd.DataFrame:
    """One row for each file that changes settings for a task or a profile, with its source."""
    rows = []
    for group in ("profile", "task"):
        for path in sorted((CONF / group).glob("*/*.yaml")):
            algo, where = path.parent.name, path.stem
            if group == "profile":
                algo, where = where, f"profile={algo}"
            changed = OmegaConf.load(path)
            settings = _settings(OmegaConf.select(changed, "algo", default={}))
            settings |= _settings(OmegaConf.select(changed, "env", default={}), "env.")
            rows.append([f"`{algo}`", where, _listed(settings), _said(path)])
    return pd.DataFrame(rows, columns=["`algo=`", "where", "what is different", "source"])


def _own(algo: str) -> Any:
    """The settings of an algorithm's file and those it builds on, without the changes of any task or profile."""
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra.compose(f"algo/{algo}").algo


def _said(path: Path) -> str:
    """The first comment of a file that is not a directive to Hydra, as the file's source; empty if there is none."""
    comments = (line.removeprefix("# ") for line in path.read_text().splitlines() if line.startswith("# "))
    return next((text.removeprefix("Source: ") for text in comments if not text.startswith("@package")), "")


def _settings(node: Any, prefix: str = "") -> dict[str, str]:
    """Settings as flat names and values; a schedule is one value, and `_LABELS` are left out."""
    if OmegaConf.is_config(node):
        node = OmegaConf.to_container(node, resolve=True)
    found: dict[str, str] = {}
    for key, value in node.items():
        name = f"{prefix}{key}"
        if key in _LABELS:
            continue
        if isinstance(value, Mapping) and not set(value) <= SCHEDULE:
            found |= _settings(value, f"{name}.")
            continue
        if isinstance(value, Mapping):
            text = _schedule(value)
        elif isinstance(value, list):
            text = ", then ".join(f"{' + '.join(step['losses'])} moves {' + '.join(step['moves'])}" for step in value)
        else:
            text = _shown(value)
        found[name.removeprefix("learner.")] = text
    return found


def _schedule(s: Mapping[str, Any]) -> str:
    if set(s) != SCHEDULE:  # only some of them are overridden
        return ", ".join(f"{key} {_shown(value)}" for key, value in s.items())
    if s["start"] == s["end"]:
        return _shown(s["start"])
    unit = str(s["per"]).replace("_", " ")
    way = f"in {s['duration']:,} {unit}" if s["duration"] else f"by {s['factor']} for each of the {unit}"
    return f"{_shown(s['start'])} to {_shown(s['end'])} {way}"


def _shown(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _listed(settings: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {value}" for name, value in settings.items())
