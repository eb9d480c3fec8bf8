"""What the real game needs: what is installed on this machine, what is missing, and how to get it.

Nothing here imports the package `smac`. The checks must be cheap, and the package called smac on PyPI is another
project.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from macpf.envs.smac.maps import map_names
from macpf.envs.smac.stand_in import PATH as STAND_IN

MYOPIC = "_myopic"
INSTALL = "type: pip install 'macpf[smac]', or '.[smac]' in a checkout (docs/environments/starcraft.md)"
#: Builds of the game with which SMAC papers report results, and their versions.
BUILDS = {69232: "4.6.2", 75689: "4.10"}
PROTOBUF_SWITCH = "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"


@dataclass(frozen=True)
class Check:
    """One thing that the real game needs.

    Attributes:
        name: what was checked.
        fine: whether it is as needed.
        found: what was found.
        fix: what to type if it is not fine.
    """

    name: str
    fine: bool
    found: str
    fix: str


def why_not() -> str | None:
    """None if the real game can be played here, else one line with what is missing and what to type."""
    for look in (package, sc2path, build, maps):
        check = look()
        if not check.fine:
            return f"{check.found}; {check.fix}"
    return None


def package() -> Check:
    """Oxwhirl's package `smac`, and `pysc2`, which it needs."""
    spec = importlib.util.find_spec("smac")
    places = list(spec.submodule_search_locations or []) if spec else []
    if spec is None:
        fine, found = False, "the package smac is not installed"
    elif not any((Path(place) / "env" / "starcraft2").is_dir() for place in places):
        fix = f"type: pip uninstall smac; then {INSTALL}"
        return Check("package", False, "the installed package smac is not oxwhirl's but another project", fix)
    elif any(STAND_IN in Path(place).parents for place in places):
        found = "the package smac on the path is the stand-in for programs without the game"
        return Check("package", False, found, f"take {STAND_IN} off PYTHONPATH; then {INSTALL}")
    elif importlib.util.find_spec("pysc2") is None:
        return Check("package", False, "the package pysc2 is not installed", "type: pip install pysc2")
    else:
        fine, found = True, f"smac {smac_version()}"
    return Check("package", fine, found, INSTALL)


def sc2path() -> Check:
    """The folder of the game, in SC2PATH."""
    fix = "install StarCraft II for Linux and type: export SC2PATH=/path/to/StarCraftII"
    given = os.environ.get("SC2PATH")
    if not given:
        return Check("SC2PATH", False, "SC2PATH is not set", fix)
    if not Path(given).expanduser().is_dir():
        return Check("SC2PATH", False, f"SC2PATH={given} is no folder", fix)
    return Check("SC2PATH", True, given, fix)


def build() -> Check:
    """The game itself: pysc2 starts the newest build in SC2PATH/Versions."""
    fix = "unpack SC2.4.10.zip (github.com/Blizzard/s2client-proto, Linux packages) so that SC2PATH holds Versions/"
    number = game_build()
    if number is None:
        return Check("build", False, f"no Versions/Base<build> in {_root()}", fix)
    program = _root() / "Versions" / f"Base{number:05d}" / "SC2_x64"
    if sys.platform == "linux" and not os.access(program, os.X_OK):
        return Check("build", False, f"{program} is missing or not executable", f"{fix}; type: chmod +x {program}")
    return Check("build", True, f"{number} ({BUILDS.get(number, 'a version that no SMAC paper reports')})", fix)


def maps() -> Check:
    """The files of SMAC's 23 maps, which the myopic maps use, too."""
    fix = "unpack SMAC_Maps.zip (github.com/oxwhirl/smac, releases) so that SC2PATH/Maps/SMAC_Maps holds *.SC2Map"
    names = [name for name in map_names() if not name.endswith(MYOPIC)]
    missing = [name for name in names if not map_file(name).is_file()]
    if missing:
        which = "" if len(missing) == len(names) else f": {', '.join(missing)}"
        found = f"{len(missing)} of {len(names)} maps missing in {map_file(names[0]).parent}{which}"
        return Check("maps", False, found, fix)
    return Check("maps", True, f"all {len(names)} in {map_file(names[0]).parent}", fix)


def game_build() -> int | None:
    """The newest build in SC2PATH, which is the one that pysc2 starts."""
    found = (folder.name.removeprefix("Base") for folder in (_root() / "Versions").glob("Base*"))
    return max((int(number) for number in found if number.isdecimal()), default=None)


def map_file(name: str) -> Path:
    """Where the game looks for a map; a myopic map is the same file, played with a shorter sight range."""
    return _root() / "Maps" / "SMAC_Maps" / f"{name.removesuffix(MYOPIC)}.SC2Map"


def smac_version() -> str:
    """Version of the package, with the commit if pip has recorded it; ``unknown`` if it is not installed."""
    try:
        smac = importlib.metadata.distribution("smac")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
    source = json.loads(smac.read_text("direct_url.json") or "{}")  # PEP 610
    commit = source.get("vcs_info", {}).get("commit_id")
    return f"{smac.version} (commit {commit})" if commit else smac.version


def provenance(map_name: str) -> dict[str, str]:
    """The versions on which results of the real game depend, recorded with the run: build, map and package."""
    file = map_file(map_name)
    return {
        "game_build": str(game_build() or "unknown"),
        "map_sha256": hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "unknown",
        "smac_version": smac_version(),
    }


def protobuf_environment() -> dict[str, str]:
    """Environment variables that processes of the game need to read the game's messages.

    The game's message classes are older than protobuf 3.21. From that version on, only protobuf's slow reader in Python
    accepts them. W&B needs a newer protobuf, so only the game's processes use that reader.
    """
    try:
        version = importlib.metadata.version("protobuf").split(".")
    except importlib.metadata.PackageNotFoundError:
        return {}
    old = (int(version[0]), int(version[1])) < (3, 21)
    return {} if old or PROTOBUF_SWITCH in os.environ else {PROTOBUF_SWITCH: "python"}


def _root() -> Path:
    return Path(os.environ.get("SC2PATH") or "SC2PATH").expanduser()
