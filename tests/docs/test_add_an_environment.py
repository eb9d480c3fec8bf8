"""Following the page on new environments leads to a run that trains."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "add_an_environment.md").read_text()


def test_the_example_is_trained_on_as_it_stands_and_passes_every_check(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    env, task = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
    (tmp_path / "echo.py").write_text(code)
    for group, name, text in (("env", "echo", env), ("map", "five_echoes", task)):
        (tmp_path / "conf" / group).mkdir(parents=True)
        (tmp_path / "conf" / group / f"{name}.yaml").write_text(text.replace("macpf.envs.echo", "echo"))
    place = f"hydra.searchpath=[file://{tmp_path}/conf]"
    arguments = ["algo=vdn", "env=echo", "budget=smoke", "tracking=disabled", f"outputs={tmp_path}/outputs"]
    said = []
    for command in ([str(ROOT / "run.py"), *arguments, place], ["-m", "macpf", "check", "env=echo", place]):
        done = subprocess.run(
            [sys.executable, *command],
            env=os.environ | {"PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        said.append(done.stdout.splitlines())
    assert len(said[1]) == 6
    assert all(line.startswith("ok") for line in said[1])
    (status,) = (tmp_path / "outputs").rglob("status.json")
    assert json.loads(status.read_text())["state"] == "finished"
    assert status.relative_to(tmp_path).parts[1:4] == ("echo", "five_echoes", "vdn")


def test_the_example_passes_the_checks_of_the_house(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    (tmp_path / "echo.py").write_text(code)
    for tool in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]):
        settings = ["--config-file" if tool == ["mypy"] else "--config", str(ROOT / "pyproject.toml")]
        command = [sys.executable, "-m", *tool, *settings, str(tmp_path / "echo.py")]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
