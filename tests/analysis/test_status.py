"""What the page on the runs' states says."""

import io
import json
import time

import pytest
from rich.console import Console

from analysis import AnalysisError
from analysis.__main__ import main
from analysis.sources import INDEX
from analysis.status import status
from macpf.records.run_state import write_plan
from tests.analysis.synthetic import write_end


def run(root, algo, seed, **facts):
    folder = root / "smac" / "3m" / algo / "0123abcd" / f"seed={seed}"
    folder.mkdir(parents=True)
    (folder / "status.json").write_text(json.dumps(facts))
    return folder


def shown(root, plan=None):
    text = io.StringIO()
    status(root, plan, live=False, console=Console(file=text, width=200))
    return text.getvalue()


def test_every_state_is_counted_and_every_trouble_named(tmp_path):
    done = run(tmp_path, "macpf", 0)
    write_end(done)
    report = {"env_step": 500, "total_env_steps": 1000, "score": {"independent": 0.25}, "steps_per_second": 71.0}
    run(tmp_path, "macpf", 1, state="running", host="far", updated=time.time(), seconds_left=3660, **report)
    failed = run(tmp_path, "qmix", 0, state="failed", error="ValueError: no room")
    run(tmp_path, "qmix", 1, state="running", host="far", pid=12, updated=0)
    write_plan(tmp_path, "table2-paper", [done, done.with_name("seed=7")])
    page = shown(tmp_path)
    assert "5 runs: 1 finished, 1 running, 1 failed, 1 stale, 1 missing" in page
    assert "1/3 " in page
    assert "0/2 (1 failed, 1 stale)" in page
    (line,) = (line for line in page.splitlines() if line.strip().startswith("smac/3m/macpf seed=1"))
    assert line.split()[2:] == ["50%", "0.25", "71", "1:01:00", "far"]
    # 300 and 1,000 steps are known, so the other three runs are taken to be 650 long; 2,450 of 3,250 are left.
    assert "24% done, about 0:35 left with 1 at once" in page
    assert f"failed: smac/3m/qmix seed=0: ValueError: no room (see {failed}/error.txt)" in page.replace("\n", " ")
    assert "killed: smac/3m/qmix seed=1: process 12 on far is gone or silent" in page
    assert "2 runs: 1 finished, 1 missing" in shown(tmp_path, "table2-paper")


def test_nothing_there_is_said(tmp_path):
    with pytest.raises(AnalysisError, match="no runs in"):
        shown(tmp_path)
    with pytest.raises(AnalysisError, match="no folder"):
        shown(tmp_path / "nowhere")
    with pytest.raises(AnalysisError, match="no plan called table9-paper"):
        shown(tmp_path, "table9-paper")


@pytest.mark.parametrize("command", [["status"], ["verify", "figure4-macpf"]])
def test_published_runs_have_no_folders(tmp_path, capsys, command):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / INDEX).write_text("{}")
    assert main([*command, "--runs", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(
        f"analysis: {command[0]} looks at the folders of runs, and {tmp_path} has"
    )
