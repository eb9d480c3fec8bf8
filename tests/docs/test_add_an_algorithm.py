"""Following the page on new algorithms leads to a run that trains."""

import json
import re
import subprocess
import sys
from pathlib import Path

from macpf.records.ledger import NAME, Ledger

ROOT = Path(__file__).parents[2]


def test_the_example_trains_as_it_stands(tmp_path, monkeypatch, command_here):
    page = (ROOT / "docs" / "add_an_algorithm.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.S)
    settings, of_task = re.findall(r"```yaml\n(.*?)```", page, re.S)
    (tmp_path / "my_vdn.py").write_text(code)
    tasks = tmp_path / "conf" / "task" / "my_vdn"
    for folder in (tmp_path / "conf" / "algo", tasks):
        folder.mkdir(parents=True)
    (tmp_path / "conf" / "algo" / "my_vdn.yaml").write_text(settings.replace("baselines.my_vdn", "my_vdn"))
    (tasks / "matrix_game.yaml").write_text(of_task)
    assert "(`defaults: [/task/my_vdn/echo, _self_]`)" in page
    (tasks / "p0_12.yaml").write_text("# @package _global_\ndefaults: [/task/my_vdn/matrix_game, _self_]\n")
    arguments = ["algo=my_vdn", f"hydra.searchpath=[file://{tmp_path}/conf]", "budget=smoke", "tracking=disabled"]
    monkeypatch.syspath_prepend(tmp_path)
    done = command_here(*arguments, f"outputs={tmp_path}/outputs")
    assert done.returncode == 0, done.stderr
    (status,) = (tmp_path / "outputs").rglob("status.json")
    assert json.loads(status.read_text())["state"] == "finished"
    settings = Ledger.read(status.parent / NAME).manifest.config
    assert settings["algo"]["learner"]["lr"] == 1e-3  # the task's


def test_the_example_passes_the_checks_of_the_house(tmp_path):
    page = (ROOT / "docs" / "add_an_algorithm.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.S)
    (tmp_path / "my_vdn.py").write_text(code)
    for tool in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]):
        settings = ["--config-file" if tool == ["mypy"] else "--config", str(ROOT / "pyproject.toml")]
        command = [sys.executable, "-m", *tool, *settings, str(tmp_path / "my_vdn.py")]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_links_between_pages_lead_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
