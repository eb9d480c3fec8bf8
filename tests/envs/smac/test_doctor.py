"""Each thing that the real game needs is looked at, and what is missing comes with its fix."""

import json
import sys

import pytest

from macpf.envs.smac import doctor, installation
from macpf.envs.smac.maps import map_names


@pytest.fixture
def complete(tmp_path, monkeypatch):
    """A machine that has all: stub packages on the path and a tree that looks like the game's."""
    packages, game = tmp_path / "packages", tmp_path / "StarCraftII"
    for folder in ("smac/env/starcraft2", "pysc2", "s2clientprotocol"):
        (packages / folder).mkdir(parents=True)
        (packages / folder.split("/")[0] / "__init__.py").touch()
    (packages / "s2clientprotocol" / "sc2api_pb2.py").touch()
    (packages / "smac-1.0.0.dist-info").mkdir()
    (packages / "smac-1.0.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: smac\nVersion: 1.0.0\n")
    for build in ("Base69232", "Base75689"):
        (game / "Versions" / build).mkdir(parents=True)
        (game / "Versions" / build / "SC2_x64").touch(mode=0o755)
    (game / "Maps" / "SMAC_Maps").mkdir(parents=True)
    for name in map_names():
        if "myopic" not in name:
            (game / "Maps" / "SMAC_Maps" / f"{name}.SC2Map").write_text(name)
    monkeypatch.syspath_prepend(str(packages))
    monkeypatch.setenv("SC2PATH", str(game))
    for name in ("smac", "pysc2", "s2clientprotocol"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def test_a_complete_machine_is_fine(complete, capsys):
    assert doctor.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["ok", name] for name in ("package", "SC2PATH", "build", "maps", "protobuf")
    ]
    assert "75689 (4.10)" in lines[2], "pysc2 starts the newest"
    assert "all 23 in" in lines[3]
    assert installation.why_not() is None


def remove(path):
    for child in path.iterdir() if path.is_dir() else ():
        remove(child)
    path.rmdir() if path.is_dir() else path.unlink()


@pytest.mark.parametrize(
    ("removed", "check", "found", "fix"),
    [
        ("packages/smac/env", "package", "not oxwhirl's but another project", "pip uninstall smac"),
        ("packages/pysc2", "package", "pysc2 is not installed", "pip install pysc2"),
        ("StarCraftII", "SC2PATH", "is no folder", "export SC2PATH="),
        ("StarCraftII/Versions", "build", "no Versions/Base<build>", "SC2.4.10.zip"),
        ("StarCraftII/Versions/Base75689/SC2_x64", "build", "missing or not executable", "chmod +x"),
        ("StarCraftII/Maps/SMAC_Maps/3m.SC2Map", "maps", "1 of 23 maps missing", "SMAC_Maps.zip"),
    ],
)
def test_what_is_missing_is_named_with_its_fix(complete, capsys, removed, check, found, fix):
    remove(complete / removed)
    assert doctor.main() == 1
    lines = capsys.readouterr().out.splitlines()
    first = next(k for k, line in enumerate(lines) if line.startswith("missing"))
    assert lines[first].split()[1] == check
    assert found in lines[first]
    assert lines[first + 1].strip().startswith("fix: ")
    assert fix in lines[first + 1]
    reason = installation.why_not()
    assert reason is not None
    assert found in reason
    assert fix in reason
    assert "\n" not in reason


def test_without_the_package_or_the_path_both_say_what_to_type(monkeypatch, capsys):
    monkeypatch.delenv("SC2PATH", raising=False)
    monkeypatch.setattr(installation.importlib.util, "find_spec", lambda name: None)
    assert installation.why_not() == f"the package smac is not installed; {installation.INSTALL}"
    assert doctor.main() == 1
    assert "SC2PATH is not set" in capsys.readouterr().out


def test_messages_that_cannot_be_read_are_reported(complete, capsys):
    (complete / "packages" / "s2clientprotocol" / "sc2api_pb2.py").write_text("raise TypeError('Descriptors cannot')")
    assert doctor.main() == 1
    out = capsys.readouterr().out
    assert "missing protobuf the game's messages cannot be read: TypeError: Descriptors cannot" in out
    assert "protobuf<3.21" in out


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("3.20.3", {}),
        ("4.21.0", {installation.PROTOBUF_SWITCH: "python"}),
        ("7.36.2", {installation.PROTOBUF_SWITCH: "python"}),
    ],
)
def test_game_processes_read_messages_slowly_where_they_must(monkeypatch, version, expected):
    monkeypatch.delenv(installation.PROTOBUF_SWITCH, raising=False)
    monkeypatch.setattr(installation.importlib.metadata, "version", lambda name: version)
    assert installation.protobuf_environment() == expected
    monkeypatch.setenv(installation.PROTOBUF_SWITCH, "upb")
    assert installation.protobuf_environment() == {}, "the user's choice stands"


def test_runs_can_record_build_map_and_version(complete):
    one, other = installation.provenance("8m_vs_9m"), installation.provenance("8m")
    assert one["game_build"] == "75689"
    assert one["smac_version"] == "1.0.0"
    assert len(one["map_sha256"]) == 64
    assert one["map_sha256"] != other["map_sha256"]
    assert installation.provenance("8m_vs_9m_myopic") == one, "the myopic map is the same file"
    source = {"url": "https://example.org/smac.git", "vcs_info": {"vcs": "git", "commit_id": "d6aab33"}}
    (complete / "packages" / "smac-1.0.0.dist-info" / "direct_url.json").write_text(json.dumps(source))
    assert installation.provenance("8m")["smac_version"] == "1.0.0 (commit d6aab33)"


def test_what_is_not_known_is_recorded_as_such(monkeypatch):
    monkeypatch.setenv("SC2PATH", "/nowhere")
    assert set(installation.provenance("8m").values()) == {"unknown"}
